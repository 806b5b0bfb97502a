package verify

import (
	"encoding/binary"
	"fmt"
)

// A cell is a value in canonical form:
//
//	cellNull
//	cellValue, UInt32 length, bytes
//	cellList,  UInt32 length, the elements as cells
const (
	cellNull  = 0
	cellValue = 1
	cellList  = 2
)

// row builds the canonical form of one row after the other.
type row struct {
	table   *table
	cells   []byte
	ends    []int // behind each cell
	key     []byte
	element []byte // of an array literal, unescaped
}

func newRow(t *table) *row { return &row{table: t} }

func (r *row) reset() { r.cells, r.ends = r.cells[:0], r.ends[:0] }

// finish returns the key and the whole row, valid until the next reset.
func (r *row) finish() (key, whole []byte) {
	if len(r.table.key) == len(r.ends) {
		return r.cells, r.cells
	}
	r.key = r.key[:0]
	for _, c := range r.table.key {
		begin := 0
		if c > 0 {
			begin = r.ends[c-1]
		}
		r.key = append(r.key, r.cells[begin:r.ends[c]]...)
	}
	return r.key, r.cells
}

// addSource adds a value as PostgreSQL prints it.
func (r *row) addSource(column int, text []byte, isNull bool) (err error) {
	f := &r.table.columns[column].form
	switch {
	case isNull && f.kind == kindList:
		r.open(cellList) // a NULL array and an empty one are the same in ClickHouse
	case isNull:
		err = r.null(f)
	case f.kind == kindList:
		err = r.literal(f, text)
	default:
		err = r.value(f, text, true)
	}
	r.ends = append(r.ends, len(r.cells))
	return err
}

// addDestination adds a value as ClickHouse prints it.
func (r *row) addDestination(column int, from *rowBinary) error {
	f := &r.table.columns[column].form
	if f.kind != kindList {
		text, isNull, err := from.nullable()
		if err != nil {
			return err
		}
		if isNull {
			r.cells = append(r.cells, cellNull)
		} else if err := r.value(f, text, false); err != nil {
			return err
		}
		r.ends = append(r.ends, len(r.cells))
		return nil
	}
	n, err := from.length()
	if err != nil {
		return err
	}
	begin := r.open(cellList)
	for range n {
		text, isNull, err := from.nullable()
		if err != nil {
			return err
		}
		if isNull {
			r.cells = append(r.cells, cellNull)
		} else if err := r.value(f.element, text, false); err != nil {
			return err
		}
	}
	r.close(begin)
	r.ends = append(r.ends, len(r.cells))
	return nil
}

// literal adds the elements of an array literal. One that ClickHouse's array
// cannot hold (more dimensions, another lower bound) is added as its text,
// which differs from any list.
func (r *row) literal(f *form, text []byte) error {
	if len(text) < 2 || text[0] != '{' {
		return r.value(&form{kind: kindText}, text, true)
	}
	before := len(r.cells)
	begin := r.open(cellList)
	at := 1
	for at < len(text) && text[at] != '}' {
		if text[at] == '{' {
			r.cells = r.cells[:before]
			return r.value(&form{kind: kindText}, text, true)
		}
		var quoted bool
		r.element, at, quoted = arrayElement(r.element[:0], text, at, f.delimiter)
		if !quoted && string(r.element) == "NULL" {
			if err := r.null(f.element); err != nil {
				return err
			}
		} else if err := r.value(f.element, r.element, true); err != nil {
			return err
		}
		if at < len(text) && text[at] == f.delimiter {
			at++
		}
	}
	if at != len(text)-1 {
		return fmt.Errorf("%q is not an array", text)
	}
	r.close(begin)
	return nil
}

// arrayElement reads one element of an array literal, which begins at at, and
// returns the position behind it. PostgreSQL docs 8.15.6.
func arrayElement(dst, text []byte, at int, delimiter byte) (element []byte, next int, quoted bool) {
	for ; at < len(text); at++ {
		switch c := text[at]; {
		case c == '"':
			quoted = true
			for at++; at < len(text) && text[at] != '"'; at++ {
				if text[at] == '\\' && at+1 < len(text) {
					at++
				}
				dst = append(dst, text[at])
			}
		case c == delimiter, c == '}':
			return dst, at, quoted
		case c == '\\' && at+1 < len(text):
			at++
			dst = append(dst, text[at])
		default:
			dst = append(dst, c)
		}
	}
	return dst, at, quoted
}

func (r *row) value(f *form, text []byte, fromSource bool) (err error) {
	begin := r.open(cellValue)
	if r.cells, err = f.append(r.cells, text, fromSource); err != nil {
		return err
	}
	r.close(begin)
	return nil
}

// null adds NULL, or what stands for it.
func (r *row) null(f *form) error {
	if f.nullText != nil {
		return r.value(f, f.nullText, false)
	}
	r.cells = append(r.cells, cellNull)
	return nil
}

// open begins a cell and returns where its content begins.
func (r *row) open(kind byte) int {
	r.cells = append(r.cells, kind, 0, 0, 0, 0)
	return len(r.cells)
}

func (r *row) close(begin int) {
	binary.LittleEndian.PutUint32(r.cells[begin-4:], uint32(len(r.cells)-begin))
}

// nextCell cuts the first cell off cells.
func nextCell(cells []byte) (cell, rest []byte) {
	if cells[0] == cellNull {
		return cells[:1], cells[1:]
	}
	end := 5 + int(binary.LittleEndian.Uint32(cells[1:]))
	return cells[:end], cells[end:]
}
