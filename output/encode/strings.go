package encode

import (
	"encoding/binary"
	"slices"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/penstock/penstock/internal/change"
)

// text encodes String, and JSON in its string form. The values lie in memory as
// they go to the socket, each behind its length as a varint, so that they are
// copied once.
type text struct {
	*site
	form textForm
	json bool // the column is JSON

	buf   []byte
	rows  int
	nulls []uint8

	markedBuf, markedRows int
}

func newText(s *site) *text { return &text{site: s, form: textForm{site: s}} }

// newJSON encodes JSON as strings for the server to parse: serialization version
// 1 of its native format, since ClickHouse 25.3.
func newJSON(s *site) encoder {
	t := newText(s)
	t.json = true
	return t
}

func (t *text) append(data []byte, cells []change.Cell) error {
	first := t.rows
	t.rows += len(cells)
	var nulls []uint8
	if t.nullable {
		t.nulls = slices.Grow(t.nulls, len(cells))[:t.rows]
		nulls = t.nulls[first:]
		clear(nulls)
	}
	for i := 0; i < len(cells); i++ {
		if t.form.plain() && !t.json {
			if i += t.run(data, cells[i:]); i == len(cells) {
				break
			}
		}
		isNull, err := t.appendOne(i, data, cells[i])
		if err != nil {
			return err
		}
		if isNull && nulls != nil {
			nulls[i] = 1
		}
	}
	return nil
}

// run appends the values up to the first NULL, as they are.
func (t *text) run(data []byte, cells []change.Cell) int {
	n, total := 0, 0
	for ; n < len(cells) && (cells[n].Kind == change.Binary || cells[n].Kind == change.Text); n++ {
		total += int(cells[n].Length) + 1
		if cells[n].Length >= 0x80 {
			total += binary.MaxVarintLen32 - 1
		}
	}
	buf := slices.Grow(t.buf, total)
	at := len(buf)
	buf = buf[:at+total]
	for i := range cells[:n] {
		c := &cells[i]
		if c.Length < 0x80 {
			buf[at] = byte(c.Length)
			at++
		} else {
			at += binary.PutUvarint(buf[at:], uint64(c.Length))
		}
		at += copy(buf[at:], data[c.Offset:c.Offset+uint32(c.Length)])
	}
	t.buf = buf[:at]
	return n
}

func (t *text) appendOne(i int, data []byte, cell change.Cell) (isNull bool, err error) {
	if cell.Kind != change.Binary && cell.Kind != change.Text {
		if err := t.absent(i, cell.Kind); err != nil {
			return false, err
		}
		t.appendDefault()
		return true, nil
	}
	value, err := t.form.bytes(i, cell, data)
	if err != nil {
		return false, err
	}
	if t.json && !isObject(value) {
		if _, err := t.settle(i, notAnObject, cell, data); err != nil {
			return false, err
		}
		t.appendDefault()
		return true, nil
	}
	t.buf = binary.AppendUvarint(t.buf, uint64(len(value)))
	t.buf = append(t.buf, value...)
	return false, nil
}

// appendDefault appends what stands where there is no value: an empty string, or
// an empty object.
func (t *text) appendDefault() {
	if t.json {
		t.buf = append(t.buf, 2, '{', '}')
		return
	}
	t.buf = append(t.buf, 0)
}

// isObject looks at the first byte that counts.
func isObject(b []byte) bool {
	for _, c := range b {
		switch c {
		case ' ', '\t', '\n', '\r':
			continue
		}
		return c == '{'
	}
	return false
}

func (t *text) mark() { t.markedBuf, t.markedRows = len(t.buf), t.rows }

func (t *text) rollback() { t.truncate(t.markedBuf, t.markedRows) }

func (t *text) reset() { t.truncate(0, 0) }

func (t *text) truncate(buf, rows int) {
	t.buf, t.rows, t.nulls = t.buf[:buf], rows, t.nulls[:min(rows, len(t.nulls))]
}

func (t *text) size() int { return len(t.buf) + len(t.nulls) }

// Type implements proto.ColInput.
func (t *text) Type() proto.ColumnType { return proto.ColumnType(t.dest) }

// Rows implements proto.ColInput.
func (t *text) Rows() int { return t.rows }

// EncodeState implements proto.StateEncoder.
func (t *text) EncodeState(b *proto.Buffer) {
	if t.json {
		b.PutUInt64(proto.JSONStringSerializationVersion)
	}
}

// EncodeColumn implements proto.ColInput.
func (t *text) EncodeColumn(b *proto.Buffer) {
	b.PutRaw(t.nulls)
	b.PutRaw(t.buf)
}

// WriteColumn implements proto.ColInput.
func (t *text) WriteColumn(w *proto.Writer) {
	w.ChainWrite(t.nulls)
	w.ChainWrite(t.buf)
}
