package change

import (
	"encoding/binary"
	"fmt"
)

// Cell says where one value is in Batch.Data and how it is written there.
type Cell struct {
	Offset uint32
	Length int32
	Kind   CellKind
}

// CellKind is the kind byte of a column in pgoutput's TupleData; [Absent] is
// our own.
type CellKind byte

// The kinds of a Cell.
const (
	Absent    CellKind = 'a' // not sent: a non-key column of a key-only tuple
	Null      CellKind = 'n'
	Unchanged CellKind = 'u' // a TOASTed value that the update did not touch: not NULL
	Text      CellKind = 't'
	Binary    CellKind = 'b'
)

// Bytes returns the value's bytes, without copying; empty for kinds that have
// no value.
func (c Cell) Bytes(data []byte) []byte {
	end := c.Offset + uint32(c.Length)
	return data[c.Offset:end:end]
}

// Cells reads the tuples of rows [first, first+n) and writes their cells column
// by column: the cell of row first+r in column c is dst[c*n+r]. dst must hold
// n × len(Table.Columns) cells. A tuple that is cut short, or has another
// number of columns than the table, is an error.
//
// Reading a strip of some hundred rows at a time keeps both the bytes and the
// cells in the processor's cache while each column is encoded in its own loop.
func (b *Batch) Cells(first, n int, dst []Cell) error {
	columns := len(b.Table.Columns)
	dst = dst[:n*columns]
	for r := range n {
		row := &b.Rows[first+r]
		var err error
		switch b.Format {
		case TupleCopy:
			err = b.copyCells(int(row.Offset), dst[r:], n)
		case TuplePgoutput:
			err = b.pgoutputCells(int(row.Offset), dst[r:], n)
		default:
			err = fmt.Errorf("unknown tuple format %d", b.Format)
		}
		if err != nil {
			return fmt.Errorf("reading row %d of a batch of %s at %s: %w", first+r, b.Table, FormatLSN(row.LSN), err)
		}
		if row.KeyOnly {
			for c := range columns {
				if !b.Table.Columns[c].InKey {
					dst[c*n+r] = Cell{Kind: Absent}
				}
			}
		}
	}
	return nil
}

func (b *Batch) copyCells(at int, dst []Cell, stride int) error {
	data, columns := b.Data, len(b.Table.Columns)
	at, err := fieldCount(data, at, columns)
	if err != nil {
		return err
	}
	for c := range columns {
		if len(data)-at < 4 {
			return fmt.Errorf("tuple ends in the length of column %d", c+1)
		}
		length := int32(binary.BigEndian.Uint32(data[at:]))
		at += 4
		if length < 0 {
			dst[c*stride] = Cell{Kind: Null}
			continue
		}
		if len(data)-at < int(length) {
			return fmt.Errorf("tuple ends in the value of column %d", c+1)
		}
		kind := Binary
		if b.TextColumns != nil && b.TextColumns[c] {
			kind = Text
		}
		dst[c*stride] = Cell{Offset: uint32(at), Length: length, Kind: kind}
		at += int(length)
	}
	return nil
}

func (b *Batch) pgoutputCells(at int, dst []Cell, stride int) error {
	data, columns := b.Data, len(b.Table.Columns)
	at, err := fieldCount(data, at, columns)
	if err != nil {
		return err
	}
	for c := range columns {
		if at >= len(data) {
			return fmt.Errorf("tuple ends before column %d", c+1)
		}
		kind := CellKind(data[at])
		at++
		switch kind {
		case Null, Unchanged, Absent:
			dst[c*stride] = Cell{Kind: kind}
		case Text, Binary:
			if len(data)-at < 4 {
				return fmt.Errorf("tuple ends in the length of column %d", c+1)
			}
			length := int32(binary.BigEndian.Uint32(data[at:]))
			at += 4
			if length < 0 || len(data)-at < int(length) {
				return fmt.Errorf("tuple ends in the value of column %d", c+1)
			}
			dst[c*stride] = Cell{Offset: uint32(at), Length: length, Kind: kind}
			at += int(length)
		default:
			return fmt.Errorf("unknown kind %q of column %d", kind, c+1)
		}
	}
	return nil
}

// fieldCount reads the number of fields at the head of a tuple and returns the
// position behind it.
func fieldCount(data []byte, at, want int) (int, error) {
	if at < 0 || len(data)-at < 2 {
		return 0, fmt.Errorf("tuple ends in its number of columns")
	}
	if got := int(binary.BigEndian.Uint16(data[at:])); got != want {
		return 0, fmt.Errorf("tuple has %d columns where the table has %d", got, want)
	}
	return at + 2, nil
}
