package pgvalue

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/penstock/penstock/internal/change"
)

// ErrUnchanged is what [Structured] returns for a TOASTed value that was not
// sent: it has no value, and is not NULL either.
var ErrUnchanged = errors.New("unchanged TOASTed value was not resolved")

// Structured returns a cell as the value of a message's body:
//
//	bool                       bool
//	int2, int4, int8, oid, xid int64
//	float4, float8             float64; "NaN", "Infinity", "-Infinity"
//	numeric, money, xid8       string, canonical decimal
//	timestamptz                string, RFC 3339 in UTC with up to 6 fraction digits
//	timestamp                  string, RFC 3339 without zone
//	bytea                      string, base64
//	json, jsonb                string, the exact text
//	arrays                     []any, nested; PostgreSQL's text where a lower bound is not 1
//	vector, halfvec            []any of float64
//	anything else              string, PostgreSQL's text
//	NULL, not sent             nil
//
// Timestamps before Christ, after 9999 and infinite ones are not RFC 3339 and
// keep PostgreSQL's text. A float4 becomes the float64 nearest to its shortest
// decimal form, so that 0.1 stays 0.1.
func Structured(t *change.Type, typmod int32, kind change.CellKind, value []byte) (any, error) {
	var v any
	var err error
	switch kind {
	case change.Null, change.Absent:
		return nil, nil
	case change.Unchanged:
		err = ErrUnchanged
	case change.Text:
		v, err = structuredText(t, value)
	case change.Binary:
		v, err = structuredBinary(t, value)
	default:
		err = fmt.Errorf("unknown kind %q of a cell", byte(kind))
	}
	if err != nil {
		return nil, fmt.Errorf("reading a value of type %s: %w", t, err)
	}
	return v, nil
}

func structuredBinary(t *change.Type, value []byte) (any, error) {
	f := familyOf(t)
	if size := fixedSize(f); size > 0 {
		if err := sized(value, size); err != nil {
			return nil, err
		}
	}
	be := binary.BigEndian
	switch f {
	case boolean:
		return value[0] != 0, nil
	case smallint:
		return int64(int16(be.Uint16(value))), nil
	case integer:
		return int64(int32(be.Uint32(value))), nil
	case bigint:
		return int64(be.Uint64(value)), nil
	case objectID:
		return int64(be.Uint32(value)), nil
	case real:
		return structuredFloat(shortFloat(math.Float32frombits(be.Uint32(value)))), nil
	case double:
		return structuredFloat(math.Float64frombits(be.Uint64(value))), nil
	case bytea:
		return base64.StdEncoding.EncodeToString(value), nil
	case vector, halfvec:
		return structuredVector(f, value)
	case array:
		r, err := BinaryArray(value)
		if err != nil {
			return nil, err
		}
		if !r.LowerBoundOne() {
			return textOf(t, value)
		}
		return nested(&r, t.Elem, change.Binary)
	case character, jsonText:
		return string(value), nil
	case timestamp, timestamptz:
		return structuredTimestamp(int64(be.Uint64(value)), f == timestamptz)
	}
	return textOf(t, value)
}

// textOf is AppendText into a string. Only arrays need a buffer on the heap.
func textOf(t *change.Type, value []byte) (string, error) {
	var buffer [64]byte
	var text []byte
	var err error
	switch f := familyOf(t); {
	case fixedSize(f) > 0:
		text, err = appendFixed(buffer[:0], t, f, value)
	case f == numeric:
		text, err = appendNumeric(buffer[:0], value)
	case f == jsonb:
		text, err = jsonbText(value)
	default:
		text, err = appendText(nil, t, value)
	}
	return string(text), err
}

// structuredTimestamp is [rfc3339] of a timestamp's text.
func structuredTimestamp(micros int64, zone bool) (any, error) {
	var buffer [64]byte
	text, err := appendTimestamp(buffer[:0], micros, zone)
	if err != nil {
		return nil, err
	}
	clock := text
	if zone {
		clock = bytes.TrimSuffix(text, []byte("+00"))
	}
	if !plainTimestamp(clock, ' ') {
		return string(text), nil
	}
	clock[10] = 'T'
	if zone {
		clock = append(clock, 'Z')
	}
	return string(clock), nil
}

func structuredText(t *change.Type, value []byte) (any, error) {
	text := string(value)
	switch f := familyOf(t); f {
	case boolean:
		switch text {
		case "t", "true":
			return true, nil
		case "f", "false":
			return false, nil
		}
		return nil, fmt.Errorf("%w: %q is no boolean", ErrMalformed, text)
	case smallint, integer, bigint, objectID:
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: %q is no integer", ErrMalformed, text)
		}
		return v, nil
	case real, double:
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: %q is no number", ErrMalformed, text)
		}
		return structuredFloat(v), nil
	case money:
		return canonicalMoney(text, t.MoneyDigits)
	case bytea:
		raw, err := hexBytes(text)
		return base64.StdEncoding.EncodeToString(raw), err
	case timestamp, timestamptz:
		return rfc3339(text, f == timestamptz), nil
	case vector, halfvec:
		return parseVector(text)
	case array:
		r, err := TextArray(value, delimiter(t), nil)
		if err != nil {
			return nil, err
		}
		if !r.LowerBoundOne() {
			return boundedText(&r, t, text)
		}
		return nested(&r, t.Elem, change.Text)
	}
	return text, nil
}

// boundedText is the text of an array whose lower bound is not 1: the server's,
// but for money, whose elements the server prints in its locale.
func boundedText(r *ArrayReader, t *change.Type, text string) (string, error) {
	if familyOf(t.Elem) != money {
		return text, nil
	}
	dst := r.appendBounds(nil)
	for i := 0; ; i++ {
		elem, null, ok := r.Next()
		if !ok {
			return string(dst), r.err
		}
		dst = r.appendOpen(dst, i, delimiter(t))
		if null {
			dst = append(dst, "NULL"...)
		} else {
			amount, err := canonicalMoney(string(elem), t.Elem.MoneyDigits)
			if err != nil {
				return "", err
			}
			dst = append(dst, amount...)
		}
		dst = r.appendClose(dst, i)
	}
}

// nested returns the elements as slices of slices, one level a dimension.
func nested(r *ArrayReader, elem *change.Type, kind change.CellKind) (any, error) {
	if r.dims == 0 {
		return []any{}, nil
	}
	return nestedFrom(r, 0, elem, kind)
}

func nestedFrom(r *ArrayReader, dim int, elem *change.Type, kind change.CellKind) ([]any, error) {
	list := make([]any, r.length[dim])
	for i := range list {
		var err error
		if dim < r.dims-1 {
			list[i], err = nestedFrom(r, dim+1, elem, kind)
		} else {
			list[i], err = nextElement(r, elem, kind)
		}
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

func nextElement(r *ArrayReader, elem *change.Type, kind change.CellKind) (any, error) {
	value, null, ok := r.Next()
	switch {
	case !ok:
		return nil, r.err
	case null:
		return nil, nil
	case kind == change.Binary:
		return structuredBinary(elem, value)
	}
	return structuredText(elem, value)
}

// shortFloat widens a float4 by way of the text that the server prints.
func shortFloat(v float32) float64 {
	var buffer [32]byte
	short, err := strconv.ParseFloat(string(appendFloat(buffer[:0], float64(v), 32)), 64)
	if err != nil { // not reached: it reads what it wrote
		return float64(v)
	}
	return short
}

// structuredFloat keeps what JSON has no number for as PostgreSQL's word.
func structuredFloat(v float64) any {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	}
	return v
}

func structuredVector(f family, value []byte) (any, error) {
	elements, size, err := vectorElements(f, value)
	if err != nil {
		return nil, err
	}
	list := make([]any, 0, len(elements)/size)
	for at := 0; at < len(elements); at += size {
		list = append(list, structuredFloat(shortFloat(float32(vectorElement(elements[at:at+size])))))
	}
	return list, nil
}

// hexBytes reads bytea's hex format.
func hexBytes(text string) ([]byte, error) {
	if len(text) < 2 || text[:2] != `\x` {
		return nil, fmt.Errorf("%w: bytea is not in hex format, as it is with bytea_output = hex", ErrMalformed)
	}
	raw, err := hex.DecodeString(text[2:])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return raw, nil
}

// canonicalMoney reads what money prints in any locale. It always has all
// fraction digits, so the digits alone are the amount in the smallest unit.
func canonicalMoney(text string, digits int) (string, error) {
	magnitude, negative, found := uint64(0), false, false
	for _, b := range []byte(text) {
		switch {
		case b >= '0' && b <= '9':
			if magnitude > (math.MaxInt64+1)/10 {
				return "", fmt.Errorf("%w: %q is out of range", ErrMalformed, text)
			}
			magnitude, found = magnitude*10+uint64(b-'0'), true
		case b == '-' || b == '(':
			negative = true
		}
	}
	if !found {
		return "", fmt.Errorf("%w: %q is no amount of money", ErrMalformed, text)
	}
	if magnitude > math.MaxInt64+1 || magnitude > math.MaxInt64 && !negative {
		return "", fmt.Errorf("%w: %q is out of range", ErrMalformed, text)
	}
	units := int64(magnitude)
	if negative {
		units = -units
	}
	return string(appendMoney(nil, units, digits)), nil
}
