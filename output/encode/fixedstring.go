package encode

import (
	"slices"
	"unicode/utf8"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/penstock/penstock/internal/change"
)

// fixedString encodes FixedString(width): shorter values are filled with zero
// bytes, longer ones do not fit.
type fixedString struct {
	*site
	form  textForm
	width int

	buf    []byte
	nulls  []uint8
	rows   int
	marked int
}

func newFixedString(s *site, width int) encoder {
	return &fixedString{site: s, form: textForm{site: s}, width: width}
}

func (f *fixedString) append(data []byte, cells []change.Cell) error {
	first := f.rows
	f.rows += len(cells)
	f.buf = slices.Grow(f.buf, len(cells)*f.width)[:f.rows*f.width]
	dst := f.buf[first*f.width:]
	clear(dst)
	var nulls []uint8
	if f.nullable {
		f.nulls = slices.Grow(f.nulls, len(cells))[:f.rows]
		nulls = f.nulls[first:]
		clear(nulls)
	}
	for i, cell := range cells {
		isNull, err := f.put(dst[i*f.width:(i+1)*f.width], i, data, cell)
		if err != nil {
			return err
		}
		if isNull && nulls != nil {
			nulls[i] = 1
		}
	}
	return nil
}

// put writes one value into dst, which is all zero.
func (f *fixedString) put(dst []byte, i int, data []byte, cell change.Cell) (isNull bool, err error) {
	if cell.Kind != change.Binary && cell.Kind != change.Text {
		return true, f.absent(i, cell.Kind)
	}
	value, err := f.bytes(i, cell, data)
	if err != nil {
		return false, err
	}
	if len(value) > f.width {
		isNull, err = f.settle(i, tooLong, cell, data)
		if isNull || err != nil {
			return isNull, err
		}
		value = f.cut(value)
	}
	copy(dst, value)
	return false, nil
}

// bytes returns the value's bytes; of "char" its one byte, which PostgreSQL
// prints as \ooo above 127 and not at all if it is 0.
func (f *fixedString) bytes(i int, cell change.Cell, data []byte) ([]byte, error) {
	if f.kind != famChar || cell.Kind == change.Binary && cell.Length == 1 {
		if f.kind == famChar {
			return cell.Bytes(data), nil
		}
		return f.form.bytes(i, cell, data)
	}
	value := cell.Bytes(data)
	if cell.Kind == change.Text && len(value) == 4 && value[0] == '\\' {
		var ok bool
		if f.form.scratch, ok = appendBytea(f.form.scratch[:0], value); ok {
			return f.form.scratch, nil
		}
	}
	if cell.Kind == change.Binary || len(value) > 1 {
		return nil, f.malformed(i, cell, data, nil)
	}
	return value, nil
}

// cut shortens a value to the width, and a text not within a character.
func (f *fixedString) cut(value []byte) []byte {
	n := f.width
	if f.kind != famBytea {
		for n > 0 && !utf8.RuneStart(value[n]) {
			n--
		}
	}
	return value[:n]
}

func (f *fixedString) mark() { f.marked = f.rows }

func (f *fixedString) rollback() { f.truncate(f.marked) }

func (f *fixedString) reset() { f.truncate(0) }

func (f *fixedString) truncate(rows int) {
	f.rows, f.buf, f.nulls = rows, f.buf[:rows*f.width], f.nulls[:min(rows, len(f.nulls))]
}

func (f *fixedString) size() int { return len(f.buf) + len(f.nulls) }

// Type implements proto.ColInput.
func (f *fixedString) Type() proto.ColumnType { return proto.ColumnType(f.dest) }

// Rows implements proto.ColInput.
func (f *fixedString) Rows() int { return f.rows }

// EncodeState implements proto.StateEncoder: there is none.
func (f *fixedString) EncodeState(*proto.Buffer) {}

// EncodeColumn implements proto.ColInput.
func (f *fixedString) EncodeColumn(b *proto.Buffer) {
	b.PutRaw(f.nulls)
	b.PutRaw(f.buf)
}

// WriteColumn implements proto.ColInput.
func (f *fixedString) WriteColumn(w *proto.Writer) {
	w.ChainWrite(f.nulls)
	w.ChainWrite(f.buf)
}
