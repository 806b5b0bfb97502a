package pgvalue

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"

	"github.com/penstock/penstock/internal/change"
)

// AppendText appends the text that PostgreSQL prints for a value in binary
// format. Two types differ from the server on purpose: money has no currency
// sign and no grouping but exactly Type.MoneyDigits fraction digits, for the
// server's form depends on its locale; and "char" prints bytes above 127 as
// \ooo, which the server does from version 16 on.
//
// typmod is pg_attribute.atttypmod; no type needs it so far, as values come
// already padded and rounded. It allocates nothing but what dst grows by. On
// error dst is returned as it was.
func AppendText(dst []byte, t *change.Type, typmod int32, value []byte) ([]byte, error) {
	start := len(dst)
	dst, err := appendText(dst, t, value)
	if err != nil {
		return dst[:start], fmt.Errorf("reading a value of type %s: %w", t, err)
	}
	return dst, nil
}

func appendText(dst []byte, t *change.Type, value []byte) ([]byte, error) {
	f := familyOf(t)
	if size := fixedSize(f); size > 0 {
		if err := sized(value, size); err != nil {
			return dst, err
		}
		return appendFixed(dst, t, f, value)
	}
	switch f {
	case character, jsonText:
		return append(dst, value...), nil
	case jsonb:
		text, err := jsonbText(value)
		return append(dst, text...), err
	case numeric:
		return appendNumeric(dst, value)
	case bytea:
		return hex.AppendEncode(append(dst, '\\', 'x'), value), nil
	case array:
		return appendArray(dst, t, value)
	case vector, halfvec:
		return appendVector(dst, f, value)
	}
	return dst, fmt.Errorf("%w: its binary format is not known", ErrMalformed)
}

// fixedSize returns the length of binary values of f, 0 where it varies.
func fixedSize(f family) int {
	switch f {
	case boolean, singleByte:
		return 1
	case smallint:
		return 2
	case integer, objectID, real, date:
		return 4
	case bigint, xid8, double, money, timestamp, timestamptz, timeOfDay:
		return 8
	case timetz:
		return 12
	case uuid, interval:
		return 16
	}
	return 0
}

// appendFixed appends the text of a value whose length has been checked.
func appendFixed(dst []byte, t *change.Type, f family, value []byte) ([]byte, error) {
	be := binary.BigEndian
	switch f {
	case boolean:
		if value[0] != 0 {
			return append(dst, 't'), nil
		}
		return append(dst, 'f'), nil
	case singleByte:
		return appendSingleByte(dst, value[0]), nil
	case smallint:
		return strconv.AppendInt(dst, int64(int16(be.Uint16(value))), 10), nil
	case integer:
		return strconv.AppendInt(dst, int64(int32(be.Uint32(value))), 10), nil
	case bigint:
		return strconv.AppendInt(dst, int64(be.Uint64(value)), 10), nil
	case objectID:
		return strconv.AppendUint(dst, uint64(be.Uint32(value)), 10), nil
	case xid8:
		return strconv.AppendUint(dst, be.Uint64(value), 10), nil
	case real:
		return appendFloat(dst, float64(math.Float32frombits(be.Uint32(value))), 32), nil
	case double:
		return appendFloat(dst, math.Float64frombits(be.Uint64(value)), 64), nil
	case money:
		return appendMoney(dst, int64(be.Uint64(value)), t.MoneyDigits), nil
	case uuid:
		return appendUUID(dst, value), nil
	case date:
		return appendDate(dst, int32(be.Uint32(value)))
	case timestamp:
		return appendTimestamp(dst, int64(be.Uint64(value)), false)
	case timestamptz:
		return appendTimestamp(dst, int64(be.Uint64(value)), true)
	case timeOfDay:
		return appendTime(dst, int64(be.Uint64(value)))
	case timetz:
		return appendTimeTZ(dst, int64(be.Uint64(value)), int32(be.Uint32(value[8:])))
	}
	return appendInterval(dst, int64(be.Uint64(value)), int32(be.Uint32(value[8:])), int32(be.Uint32(value[12:]))), nil
}

// appendSingleByte prints type "char" as charout does: zero is the empty
// string, a byte outside ASCII is written in octal.
func appendSingleByte(dst []byte, b byte) []byte {
	switch {
	case b == 0:
		return dst
	case b < 0x80:
		return append(dst, b)
	}
	return append(dst, '\\', '0'+b>>6, '0'+b>>3&7, '0'+b&7)
}

func appendUUID(dst, value []byte) []byte {
	dst = append(hex.AppendEncode(dst, value[0:4]), '-')
	dst = append(hex.AppendEncode(dst, value[4:6]), '-')
	dst = append(hex.AppendEncode(dst, value[6:8]), '-')
	dst = append(hex.AppendEncode(dst, value[8:10]), '-')
	return hex.AppendEncode(dst, value[10:16])
}

// jsonbText strips the version byte that jsonb_send puts in front.
func jsonbText(value []byte) ([]byte, error) {
	if len(value) == 0 || value[0] != 1 {
		return nil, fmt.Errorf("%w: version of the binary format of jsonb is not 1", ErrMalformed)
	}
	return value[1:], nil
}
