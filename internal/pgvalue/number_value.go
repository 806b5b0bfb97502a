package pgvalue

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/penstock/penstock/internal/change"
)

// appendNumber writes a number of any Go type.
func appendNumber(dst []byte, t *change.Type, f family, v any) ([]byte, error) {
	switch f {
	case boolean, date, timestamp, timestamptz, timeOfDay, timetz, interval, uuid, singleByte:
		return dst, wantErr(wanted(f), v)
	}
	switch v := v.(type) {
	case int64:
		return appendInteger(dst, t, f, v)
	case int:
		return appendInteger(dst, t, f, int64(v))
	case int32:
		return appendInteger(dst, t, f, int64(v))
	case int16:
		return appendInteger(dst, t, f, int64(v))
	case int8:
		return appendInteger(dst, t, f, int64(v))
	case uint64:
		if v <= math.MaxInt64 {
			return appendInteger(dst, t, f, int64(v))
		}
		return strconv.AppendUint(dst, v, 10), nil
	case uint:
		return appendNumber(dst, t, f, uint64(v))
	case uint32:
		return appendInteger(dst, t, f, int64(v))
	case uint16:
		return appendInteger(dst, t, f, int64(v))
	case uint8:
		return appendInteger(dst, t, f, int64(v))
	case float64:
		return appendFloatValue(dst, t, f, v)
	case float32:
		return appendFloatValue(dst, t, f, shortFloat(v))
	case json.Number:
		return appendJSONNumber(dst, t, f, v)
	}
	return dst, wantErr(wanted(f), v)
}

// appendInteger writes an integer as the text of type t. A body that has been
// through JSON may hold one where there was a float.
func appendInteger(dst []byte, t *change.Type, f family, v int64) ([]byte, error) {
	switch f {
	case real, double:
		return appendFloatValue(dst, t, f, float64(v))
	case money:
		return appendMoneyText(dst, strconv.FormatInt(v, 10), t.MoneyDigits)
	}
	return strconv.AppendInt(dst, v, 10), nil
}

// appendFloatValue writes a float as the text of type t: without exponent where
// readers of decimals expect none.
func appendFloatValue(dst []byte, t *change.Type, f family, v float64) ([]byte, error) {
	finite := !math.IsNaN(v) && !math.IsInf(v, 0)
	switch f {
	case money:
		return appendMoneyText(dst, strconv.FormatFloat(v, 'f', -1, 64), t.MoneyDigits)
	case real, double:
		return appendFloat(dst, v, floatSize(f, v)), nil
	case smallint, integer, bigint, objectID:
		if v == math.Trunc(v) && math.Abs(v) < 1<<63 {
			return strconv.AppendInt(dst, int64(v), 10), nil
		}
	case numeric, xid8:
		if finite {
			return strconv.AppendFloat(dst, v, 'f', -1, 64), nil
		}
	}
	return appendFloat(dst, v, 64), nil
}

// floatSize returns 32 where v is the shortest form of a float4 and the column
// is one, so that it prints as the server printed it; a float64 that does not
// fit keeps all its digits.
func floatSize(f family, v float64) int {
	if f == real && shortFloat(float32(v)) == v {
		return 32
	}
	return 64
}

func appendJSONNumber(dst []byte, t *change.Type, f family, v json.Number) ([]byte, error) {
	text := v.String()
	switch f {
	case numeric:
		return appendPlainDecimal(dst, text)
	case money:
		plain, err := appendPlainDecimal(nil, text)
		if err != nil {
			return dst, err
		}
		return appendMoneyText(dst, string(plain), t.MoneyDigits)
	case character, other:
		return append(dst, text...), nil
	}
	if whole, err := strconv.ParseInt(text, 10, 64); err == nil && text != "-0" {
		return appendInteger(dst, t, f, whole)
	}
	if whole, err := strconv.ParseUint(text, 10, 64); err == nil && f != real && f != double {
		return strconv.AppendUint(dst, whole, 10), nil
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return dst, fmt.Errorf("got number %q: %w", text, err)
	}
	return appendFloatValue(dst, t, f, number)
}

// appendPlainDecimal writes a JSON number without exponent, keeping all digits.
func appendPlainDecimal(dst []byte, text string) ([]byte, error) {
	at := strings.IndexAny(text, "eE")
	if at < 0 {
		return append(dst, text...), nil
	}
	// The most digits that a numeric can have before its point; more zeros than
	// that would only fill memory.
	const limit = 131_072
	exponent, err := strconv.Atoi(text[at+1:])
	if err != nil || exponent < -limit || exponent > limit {
		return dst, fmt.Errorf("%w: number %q is out of range", ErrMalformed, text)
	}
	number, negative := strings.CutPrefix(text[:at], "-")
	whole, fraction, _ := strings.Cut(number, ".")
	digits, point := whole+fraction, len(whole)+exponent
	if point <= 0 {
		digits, point = strings.Repeat("0", 1-point)+digits, 1
	}
	if point > len(digits) {
		digits += strings.Repeat("0", point-len(digits))
	}
	if negative {
		dst = append(dst, '-')
	}
	// Leading zeros of the mantissa, as in 0.5e3, are not part of the number.
	for point > 1 && digits[0] == '0' {
		digits, point = digits[1:], point-1
	}
	dst = append(dst, digits[:point]...)
	if point < len(digits) {
		dst = append(append(dst, '.'), digits[point:]...)
	}
	return dst, nil
}

// appendMoneyText writes a plain decimal with exactly the currency's fraction
// digits, for only then does it read as the same amount; other text stands as
// it is.
func appendMoneyText(dst []byte, text string, digits int) ([]byte, error) {
	number := strings.TrimPrefix(text, "-")
	whole, fraction, _ := strings.Cut(number, ".")
	if whole == "" || !onlyDigits(whole) || !onlyDigits(fraction) {
		return append(dst, text...), nil
	}
	if extra := len(fraction) - digits; extra > 0 && strings.Trim(fraction[digits:], "0") != "" {
		return dst, fmt.Errorf("got %q, want at most %d fraction digits", text, digits)
	}
	dst = append(dst, text[:len(text)-len(number)+len(whole)]...)
	if digits <= 0 {
		return dst, nil
	}
	dst = append(dst, '.')
	for i := range digits {
		if i < len(fraction) {
			dst = append(dst, fraction[i])
		} else {
			dst = append(dst, '0')
		}
	}
	return dst, nil
}

func onlyDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }
