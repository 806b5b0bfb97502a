package encode

import (
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

	// A strip's elements, unescaped, and where they are in there.
	bytes   []byte
	cells   []change.Cell
	scratch []byte // of the text reader
	ends    []int  // of each row's elements in cells
}

func newArray(s *site, elements encoder, dimensions int) encoder {
	return &array{site: s, elements: elements, levels: make([]proto.ColUInt64, dimensions), marked: make([]int, dimensions)}
}

func (a *array) append(data []byte, cells []change.Cell) error {
	a.bytes, a.cells, a.ends = a.bytes[:0], a.cells[:0], a.ends[:0]
	for i, cell := range cells {
		if err := a.appendOne(i, data, cell); err != nil {
			return err
		}
		a.ends = append(a.ends, len(a.cells))
	}
	if err := a.elements.append(a.bytes, a.cells); err != nil {
		if r, ok := err.(*refusal); ok {
			r.index = sort.SearchInts(a.ends, r.index+1) // the row that holds the element
		}
		return err
	}
	return nil
}

// appendOne reads one array's shape and collects its elements. A NULL array is
// an empty one, since ClickHouse has no Nullable(Array).
func (a *array) appendOne(i int, data []byte, cell change.Cell) error {
	switch cell.Kind {
	case change.Binary, change.Text:
	case change.Null:
		a.lost[nullArray]++
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
	if err := a.collect(&reader, cell.Kind); err != nil {
		return a.malformed(i, cell, data, err)
	}
	return nil
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

// collect copies the elements together, so that one call encodes those of a
// whole strip.
func (a *array) collect(reader *pgvalue.ArrayReader, kind change.CellKind) error {
	for {
		value, null, ok := reader.Next()
		if !ok {
			break
		}
		if null {
			a.cells = append(a.cells, change.Cell{Kind: change.Null})
			continue
		}
		a.cells = append(a.cells, change.Cell{Offset: uint32(len(a.bytes)), Length: int32(len(value)), Kind: kind})
		a.bytes = append(a.bytes, value...)
	}
	if kind == change.Text {
		a.scratch = reader.Scratch()
	}
	return reader.Err()
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
