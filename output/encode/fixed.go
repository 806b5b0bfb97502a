package encode

import (
	"slices"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/penstock/penstock/internal/change"
)

// encoder fills one destination column, or the elements of an array. It is its
// own ch-go column.
type encoder interface {
	proto.ColInput
	proto.StateEncoder
	// append adds one row per cell. After an error the column is in an unknown
	// state until rollback.
	append(data []byte, cells []change.Cell) error
	// mark remembers the length to which rollback returns.
	mark()
	rollback()
	// reset empties the column and keeps its memory.
	reset()
	// size in bytes of what was appended.
	size() int
}

// fixed encodes values of a fixed width T.
type fixed[T any] struct {
	*site
	// binary and text read one value. Where the verdict is clampable, the value
	// is the nearest one.
	binary, text func(value []byte) (T, verdict)
	// run, if not nil, reads binary cells up to the first that is NULL, text, or
	// unusual, and returns their number: the loop that nearly all values take.
	run func(dst []T, data []byte, cells []change.Cell) int
	// input gives the values their wire form.
	input func(values []T) proto.ColInput

	// missing is the type's default, which ClickHouse stores where there is no
	// value: for most types it is zero.
	missing T

	values []T
	nulls  []uint8 // parallel to values where site.nullable, else empty
	marked int
}

func (f *fixed[T]) append(data []byte, cells []change.Cell) error {
	first := len(f.values)
	f.values = slices.Grow(f.values, len(cells))[:first+len(cells)]
	dst := f.values[first:]
	var nulls []uint8
	if f.nullable {
		f.nulls = slices.Grow(f.nulls, len(cells))[:first+len(cells)]
		nulls = f.nulls[first:]
		clear(nulls)
	}
	for i := 0; i < len(cells); i++ {
		if f.run != nil && cells[i].Kind == change.Binary {
			if i += f.run(dst[i:], data, cells[i:]); i == len(cells) {
				break
			}
		}
		cell := cells[i]
		var v verdict
		switch cell.Kind {
		case change.Binary:
			dst[i], v = f.binary(cell.Bytes(data))
		case change.Text:
			dst[i], v = f.text(cell.Bytes(data))
		default:
			if err := f.absent(i, cell.Kind); err != nil {
				return err
			}
			f.setNull(dst, nulls, i)
		}
		if v != exact {
			useNull, err := f.settle(i, v, cell, data)
			if err != nil {
				return err
			}
			if useNull {
				f.setNull(dst, nulls, i)
			}
		}
	}
	return nil
}

func (f *fixed[T]) setNull(dst []T, nulls []uint8, i int) {
	dst[i] = f.missing
	if nulls != nil {
		nulls[i] = 1
	}
}

func (f *fixed[T]) mark() { f.marked = len(f.values) }

func (f *fixed[T]) rollback() { f.truncate(f.marked) }

func (f *fixed[T]) reset() { f.truncate(0) }

func (f *fixed[T]) truncate(n int) {
	f.values = f.values[:n]
	f.nulls = f.nulls[:min(n, len(f.nulls))]
}

func (f *fixed[T]) size() int { return len(f.values)*sizeOf[T]() + len(f.nulls) }

// Type implements proto.ColInput.
func (f *fixed[T]) Type() proto.ColumnType { return proto.ColumnType(f.dest) }

// Rows implements proto.ColInput.
func (f *fixed[T]) Rows() int { return len(f.values) }

// EncodeState implements proto.StateEncoder: there is none.
func (f *fixed[T]) EncodeState(*proto.Buffer) {}

// EncodeColumn implements proto.ColInput.
func (f *fixed[T]) EncodeColumn(b *proto.Buffer) {
	proto.ColUInt8(f.nulls).EncodeColumn(b)
	f.input(f.values).EncodeColumn(b)
}

// WriteColumn implements proto.ColInput.
func (f *fixed[T]) WriteColumn(w *proto.Writer) {
	proto.ColUInt8(f.nulls).WriteColumn(w)
	f.input(f.values).WriteColumn(w)
}
