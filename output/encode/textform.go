package encode

import (
	"encoding/binary"
	"slices"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/pgvalue"
)

// appendText prints a binary value as PostgreSQL does.
func appendText(dst []byte, t *change.Type, typeMod int32, value []byte) ([]byte, error) {
	return pgvalue.AppendText(dst, t, typeMod, value)
}

// textForm gives the bytes that a column of strings stores for a value: what
// PostgreSQL prints, but the raw bytes of a bytea.
type textForm struct {
	*site
	scratch []byte
}

// plain says that both forms of the source's values are those bytes already.
func (f *textForm) plain() bool { return f.kind == famText || f.kind == famEnum || f.kind == famJSON }

// bytes returns what is stored for a Binary or Text cell; the result is valid
// until the next call.
func (f *textForm) bytes(i int, cell change.Cell, data []byte) ([]byte, error) {
	value := cell.Bytes(data)
	if f.plain() {
		return value, nil
	}
	var out []byte
	var ok bool
	var err error
	if cell.Kind == change.Binary {
		out, ok, err = f.fromBinary(value)
	} else {
		out, ok = f.fromText(value)
	}
	if !ok {
		return nil, f.malformed(i, cell, data, err)
	}
	return out, nil
}

func (f *textForm) fromBinary(value []byte) ([]byte, bool, error) {
	switch f.kind {
	case famBytea:
		return value, true, nil
	case famJSONB:
		// A version byte, 1, then the text; PostgreSQL, jsonb_send.
		if len(value) == 0 || value[0] != 1 {
			return nil, false, nil
		}
		return value[1:], true, nil
	}
	text, err := appendText(f.scratch[:0], f.source, f.typeMod, value)
	if err != nil {
		return nil, false, err
	}
	f.scratch = text
	return text, true, nil
}

// fromText returns PostgreSQL's text unchanged, but where its form depends on
// the server's locale or version, or where it came through a mapping (RFC 3339,
// true and false): those get the form that a binary value is printed in.
func (f *textForm) fromText(value []byte) ([]byte, bool) {
	switch f.kind {
	case famBytea:
		var ok bool
		f.scratch, ok = appendBytea(f.scratch[:0], value)
		return f.scratch, ok
	case famBool:
		b, v := readBool(value)
		return trueFalse[b : b+1], v == exact
	case famMoney:
		return f.moneyText(value)
	case famTimestamp, famTimestampTZ:
		return f.timestampText(value)
	case famChar:
		if len(value) == 1 && value[0] >= 0x80 { // printed as it is before PostgreSQL 16
			return f.print(value)
		}
	}
	return value, true
}

var trueFalse = []byte("ft")

func (f *textForm) print(binaryValue []byte) ([]byte, bool) {
	text, err := appendText(f.scratch[:0], f.source, f.typeMod, binaryValue)
	f.scratch = text
	return text, err == nil
}

func (f *textForm) moneyText(value []byte) ([]byte, bool) {
	if isPlainDecimal(value) {
		return value, true
	}
	units, ok := parseMoney(value)
	if !ok {
		return nil, false
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(units))
	return f.print(b[:])
}

func (f *textForm) timestampText(value []byte) ([]byte, bool) {
	if len(value) < len("2024-01-02T") || value[10]|0x20 != 't' {
		return value, true
	}
	t, ok := parseTimestamp(value)
	if !ok {
		return nil, false
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64((t.seconds-epochSeconds)*1e6+int64(t.micros)))
	return f.print(b[:])
}

// appendBytea reads the text form of bytea: \x and hexadecimal digits, or the
// escape format, in which a backslash stands before another or before three
// octal digits.
func appendBytea(dst, text []byte) ([]byte, bool) {
	if len(text) >= 2 && text[0] == '\\' && text[1] == 'x' {
		text = text[2:]
		from := len(dst)
		dst = slices.Grow(dst, len(text)/2)[:from+len(text)/2]
		return dst, len(text)%2 == 0 && readHex(dst[from:], text)
	}
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] != '\\':
			dst = append(dst, text[i])
		case i+1 < len(text) && text[i+1] == '\\':
			dst = append(dst, '\\')
			i++
		case i+3 < len(text) && text[i+1]-'0' <= 3 && text[i+2]-'0' <= 7 && text[i+3]-'0' <= 7:
			dst = append(dst, (text[i+1]-'0')<<6|(text[i+2]-'0')<<3|(text[i+3]-'0'))
			i += 3
		default:
			return dst, false
		}
	}
	return dst, true
}
