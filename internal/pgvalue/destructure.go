package pgvalue

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/penstock/penstock/internal/change"
)

// AppendStructured appends the text format of a value out of a message's body,
// which may have been through JSON and through processors. It is the inverse of
// [Structured]: an untouched value gives the text that AppendText gives.
//
// A string is taken for the value's text whatever the type, for the reader of
// the text to judge; a number may stand for any number or text, a time.Time for
// dates and timestamps, []any for arrays and vectors, and for json and jsonb
// anything but a string is written as JSON. Other values are an error, nil is
// too: NULL has no text.
func AppendStructured(dst []byte, t *change.Type, v any) ([]byte, error) {
	start := len(dst)
	dst, err := appendStructured(dst, t, v)
	if err != nil {
		return dst[:start], fmt.Errorf("writing a value of type %s: %w", t, err)
	}
	return dst, nil
}

func appendStructured(dst []byte, t *change.Type, v any) ([]byte, error) {
	f := familyOf(t)
	switch f {
	case bytea:
		raw, err := AppendBytea(nil, v)
		return hex.AppendEncode(append(dst, '\\', 'x'), raw), err
	case jsonText, jsonb:
		return appendJSON(dst, v)
	case array:
		return appendList(dst, t, v)
	case vector, halfvec:
		return appendVectorList(dst, t, v)
	}
	switch v := v.(type) {
	case string:
		return appendString(dst, t, f, v)
	case []byte:
		return appendString(dst, t, f, string(v))
	case bool:
		return appendBool(dst, f, v)
	case time.Time:
		return appendTimeValue(dst, f, v)
	}
	return appendNumber(dst, t, f, v)
}

// wantErr says what a body should hold where it holds v.
func wantErr(want string, v any) error {
	if v == nil {
		return fmt.Errorf("got null, want %s", want)
	}
	return fmt.Errorf("got %T, want %s", v, want)
}

// wanted describes the values a body may hold for f.
func wanted(f family) string {
	switch f {
	case boolean:
		return "a boolean"
	case smallint, integer, bigint, objectID, real, double:
		return "a number"
	case xid8, numeric, money:
		return "a decimal string or a number"
	case timestamp, timestamptz, date:
		return "an RFC 3339 string or a time"
	}
	return "a string"
}

func appendString(dst []byte, t *change.Type, f family, v string) ([]byte, error) {
	switch f {
	case boolean:
		switch v {
		case "true":
			return append(dst, 't'), nil
		case "false":
			return append(dst, 'f'), nil
		}
	case timestamp, timestamptz:
		return appendTimestampText(dst, v, f == timestamptz)
	case money:
		return appendMoneyText(dst, v, t.MoneyDigits)
	}
	return append(dst, v...), nil
}

func appendBool(dst []byte, f family, v bool) ([]byte, error) {
	switch {
	case f == boolean && v:
		return append(dst, 't'), nil
	case f == boolean:
		return append(dst, 'f'), nil
	case f == character || f == other:
		return strconv.AppendBool(dst, v), nil
	}
	return dst, wantErr(wanted(f), v)
}

func appendTimeValue(dst []byte, f family, v time.Time) ([]byte, error) {
	switch f {
	case timestamp, timestamptz:
		return appendMoment(dst, v, f == timestamptz)
	case date:
		days, _ := floorDiv(v.Unix()-unixEpochOffset, 86_400)
		if days < minDate || days >= endDate {
			return dst, fmt.Errorf("%w: time %s is out of range", ErrMalformed, v)
		}
		return appendDate(dst, int32(days))
	case character, other:
		return v.UTC().AppendFormat(dst, time.RFC3339Nano), nil
	}
	return dst, wantErr(wanted(f), v)
}

// AppendBytea appends the bytes that a body holds for a bytea: base64, or hex
// behind \x, or bytes as they are.
func AppendBytea(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case []byte:
		return append(dst, v...), nil
	case string:
		if digits, ok := strings.CutPrefix(v, `\x`); ok {
			if raw, err := hex.AppendDecode(dst, []byte(digits)); err == nil {
				return raw, nil
			}
		}
		raw, err := base64.StdEncoding.AppendDecode(dst, []byte(v))
		if err != nil {
			return dst, fmt.Errorf("got a string that is not base64, want base64: %w", err)
		}
		return raw, nil
	}
	return dst, wantErr("a base64 string", v)
}

func appendJSON(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return append(dst, v...), nil
	case []byte:
		return append(dst, v...), nil
	}
	text := appendSink{dst}
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return dst, fmt.Errorf("got %T, want a string or what can be written as JSON: %w", v, err)
	}
	return text.b[:len(text.b)-1], nil // the encoder ends with a line feed
}

// appendSink is a writer that appends.
type appendSink struct{ b []byte }

func (s *appendSink) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	return len(p), nil
}

// appendList writes an array literal.
func appendList(dst []byte, t *change.Type, v any) ([]byte, error) {
	switch list := v.(type) {
	case []any:
		return appendElements(dst, t, list)
	case string:
		return append(dst, list...), nil
	case []byte:
		return append(dst, list...), nil
	}
	return dst, wantErr("an array", v)
}

func appendElements(dst []byte, t *change.Type, list []any) ([]byte, error) {
	delim := delimiter(t)
	dst = append(dst, '{')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, delim)
		}
		var err error
		from := len(dst)
		switch sub, nested := v.([]any); {
		case v == nil:
			dst = append(dst, "NULL"...)
		case nested && !isVector(t.Elem, sub):
			dst, err = appendElements(dst, t, sub)
		default:
			if dst, err = appendStructured(dst, t.Elem, v); err == nil {
				dst = quoteElement(dst, from, delim)
			}
		}
		if err != nil {
			return dst, fmt.Errorf("element %d: %w", i+1, err)
		}
	}
	return append(dst, '}'), nil
}

// isVector says whether list is one vector of t, not a dimension of an array of
// vectors. For elements of type json it is always a dimension.
func isVector(t *change.Type, list []any) bool {
	if f := familyOf(t); f != vector && f != halfvec || len(list) == 0 {
		return false
	}
	_, nested := list[0].([]any)
	return !nested
}

func appendVectorList(dst []byte, t *change.Type, v any) ([]byte, error) {
	switch list := v.(type) {
	case string:
		return append(dst, list...), nil
	case []any:
		dst = append(dst, '[')
		for i, v := range list {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendNumber(dst, t, real, v); err != nil {
				return dst, fmt.Errorf("element %d: %w", i+1, err)
			}
		}
		return append(dst, ']'), nil
	}
	return dst, wantErr("an array of numbers", v)
}
