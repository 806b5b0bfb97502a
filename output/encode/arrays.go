package encode

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/pgvalue"
)

// array encodes Array(T), and Array(Array(T)) for arrays of more dimensions: the
// ends of the rows at each level, then all elements in one column of T.
type array struct {
	*site
	elements encoder
	levels   []proto.ColUInt64
	marked   []int // length of each level

	// The elements of a run of arrays in one format: where they are in the batch's
	// data or, in text format, unescaped in bytes.
	cells  []change.Cell
	bytes  []byte
	format change.CellKind
	ends   []int // of each row's elements in cells
	first  int   // the row that ends begins with

	scratch []byte // of the text reader
}

func newArray(s, element *site, elements encoder, dimensions int) *array {
	a := &array{site: s, elements: elements, levels: make([]proto.ColUInt64, dimensions), marked: make([]int, dimensions)}
	element.rowOf = a.rowOf
	return a
}

func (a *array) append(data []byte, cells []change.Cell) error {
	a.first = 0
	for i, cell := range cells {
		if cell.Kind != a.format && (cell.Kind == change.Binary || cell.Kind == change.Text) {
			if err := a.flush(data); err != nil {
				return err
			}
			a.first, a.format = i, cell.Kind
		}
		if err := a.appendOne(i, data, cell); err != nil {
			a.forget()
			return err
		}
		a.ends = append(a.ends, len(a.cells))
	}
	return a.flush(data)
}

// flush encodes the elements of the rows from a.first on.
func (a *array) flush(data []byte) error {
	defer a.forget()
	if a.format == change.Text {
		data = a.bytes
	}
	err := a.elements.append(data, a.cells)
	if r, ok := err.(*refusal); ok {
		r.index = a.rowOf(r.index)
	}
	return err
}

// rowOf returns the row that holds element i of those being flushed.
func (a *array) rowOf(i int) int { return a.first + sort.SearchInts(a.ends, i+1) }

func (a *array) forget() { a.cells, a.bytes, a.ends = a.cells[:0], a.bytes[:0], a.ends[:0] }

// appendOne reads one array's shape and collects its elements. A NULL array is
// an empty one, since ClickHouse has no Nullable(Array).
func (a *array) appendOne(i int, data []byte, cell change.Cell) error {
	switch cell.Kind {
	case change.Binary:
		if a.appendPlain(data, cell) {
			return nil
		}
	case change.Text:
	case change.Null:
		a.lose(i, nullArray)
		a.appendEmpty()
		return nil
	default:
		if err := a.absent(i, cell.Kind); err != nil {
			return err
		}
		a.appendEmpty()
		return nil
	}
	reader, err := a.open(cell, data)
	if err != nil {
		return a.malformed(i, cell, data, err)
	}
	if reader.Dims() == 0 {
		a.appendEmpty()
		return nil
	}
	if reader.Dims() != len(a.levels) || !reader.LowerBoundOne() {
		if _, err := a.settle(i, manyDimensions, cell, data); err != nil {
			return err
		}
		a.appendEmpty()
		return nil
	}
	a.appendShape(&reader)
	if cell.Kind == change.Text {
		err = a.collectText(&reader)
	} else if at := cell.Offset + uint32(12+8*reader.Dims()); !a.collectBinary(data, at, cell.Offset+uint32(cell.Length), reader.Len()) {
		err = fmt.Errorf("its elements have other lengths")
	}
	if err != nil {
		return a.malformed(i, cell, data, err)
	}
	return nil
}

// appendPlain takes the binary array of one dimension that begins at subscript
// 1, which nearly all are: Int32 1, flags and element type; Int32 length and
// lower bound; the elements. Everything else is left to [pgvalue.BinaryArray].
func (a *array) appendPlain(data []byte, cell change.Cell) bool {
	const header = 20
	if cell.Length < header || len(a.levels) != 1 {
		return false
	}
	b := cell.Bytes(data)
	n := int(binary.BigEndian.Uint32(b[12:]))
	if binary.BigEndian.Uint32(b) != 1 || binary.BigEndian.Uint32(b[16:]) != 1 || n > len(b)/4 {
		return false
	}
	before := len(a.cells)
	if !a.collectBinary(data, cell.Offset+header, cell.Offset+uint32(cell.Length), n) {
		a.cells = a.cells[:before]
		return false
	}
	a.levels[0] = append(a.levels[0], a.end(0)+uint64(n))
	return true
}

func (a *array) open(cell change.Cell, data []byte) (pgvalue.ArrayReader, error) {
	if cell.Kind == change.Binary {
		return pgvalue.BinaryArray(cell.Bytes(data))
	}
	delimiter := a.source.Delim
	if delimiter == 0 {
		delimiter = ','
	}
	return pgvalue.TextArray(cell.Bytes(data), delimiter, a.scratch)
}

// collectBinary adds the n elements that fill data[at:end], each behind its
// Int32 length, -1 for NULL.
func (a *array) collectBinary(data []byte, at, end uint32, n int) bool {
	a.cells = slices.Grow(a.cells, n)
	for range n {
		if end-at < 4 {
			return false
		}
		length := int32(binary.BigEndian.Uint32(data[at:]))
		at += 4
		switch {
		case length == -1:
			a.cells = append(a.cells, change.Cell{Kind: change.Null})
		case length < 0 || uint32(length) > end-at:
			return false
		default:
			a.cells = append(a.cells, change.Cell{Offset: at, Length: length, Kind: change.Binary})
			at += uint32(length)
		}
	}
	return at == end
}

// collectText copies the elements together, so that one call encodes those of
// many arrays.
func (a *array) collectText(reader *pgvalue.ArrayReader) error {
	for {
		value, null, ok := reader.Next()
		switch {
		case !ok:
			a.scratch = reader.Scratch()
			return reader.Err()
		case null:
			a.cells = append(a.cells, change.Cell{Kind: change.Null})
		default:
			a.cells = append(a.cells, change.Cell{Offset: uint32(len(a.bytes)), Length: int32(len(value)), Kind: change.Text})
			a.bytes = append(a.bytes, value...)
		}
	}
}

func (a *array) appendEmpty() { a.levels[0] = append(a.levels[0], a.end(0)) }

// end returns the last end of a level.
func (a *array) end(level int) uint64 {
	if n := len(a.levels[level]); n > 0 {
		return a.levels[level][n-1]
	}
	return 0
}

// appendShape adds one row to the first level and, to each further level, as
// many ends as the levels above it have elements.
func (a *array) appendShape(reader *pgvalue.ArrayReader) {
	rows := 1
	for level := range a.levels {
		length := reader.DimLen(level)
		at := a.end(level)
		ends := slices.Grow(a.levels[level], rows)
		for range rows {
			at += uint64(length)
			ends = append(ends, at)
		}
		a.levels[level] = ends
		rows *= length
	}
}

func (a *array) mark() {
	for i := range a.levels {
		a.marked[i] = len(a.levels[i])
	}
	a.elements.mark()
}

func (a *array) rollback() {
	for i := range a.levels {
		a.levels[i] = a.levels[i][:a.marked[i]]
	}
	a.elements.rollback()
}

func (a *array) reset() {
	for i := range a.levels {
		a.levels[i] = a.levels[i][:0]
	}
	a.elements.reset()
}

func (a *array) size() int {
	n := a.elements.size()
	for i := range a.levels {
		n += 8 * len(a.levels[i])
	}
	return n
}

// Type implements proto.ColInput.
func (a *array) Type() proto.ColumnType { return proto.ColumnType(a.dest) }

// Rows implements proto.ColInput.
func (a *array) Rows() int { return len(a.levels[0]) }

// EncodeState implements proto.StateEncoder.
func (a *array) EncodeState(b *proto.Buffer) { a.elements.EncodeState(b) }

// EncodeColumn implements proto.ColInput.
func (a *array) EncodeColumn(b *proto.Buffer) {
	for i := range a.levels {
		a.levels[i].EncodeColumn(b)
	}
	a.elements.EncodeColumn(b)
}

// WriteColumn implements proto.ColInput.
func (a *array) WriteColumn(w *proto.Writer) {
	for i := range a.levels {
		a.levels[i].WriteColumn(w)
	}
	a.elements.WriteColumn(w)
}
