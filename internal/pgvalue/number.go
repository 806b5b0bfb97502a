package pgvalue

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// The sign field of a numeric in binary format, src/backend/utils/adt/numeric.c.
const (
	numericPositive    = 0x0000
	numericNegative    = 0x4000
	numericNaN         = 0xC000
	numericInfinity    = 0xD000
	numericNegInfinity = 0xF000
	// numericMaxScale is the largest number of fraction digits of any numeric.
	numericMaxScale = 0x3FFF
)

// appendNumeric prints a numeric: Int16 number of digits, weight, sign and
// display scale, then the digits, each 0 to 9999. The first one counts
// 10000^weight.
func appendNumeric(dst, value []byte) ([]byte, error) {
	be := binary.BigEndian
	if len(value) < 8 {
		return dst, sized(value, 8)
	}
	n, weight := int(be.Uint16(value)), int(int16(be.Uint16(value[2:])))
	sign, scale := be.Uint16(value[4:]), int(be.Uint16(value[6:]))
	digits := value[8:]
	if err := sized(digits, 2*n); err != nil {
		return dst, err
	}
	switch sign {
	case numericPositive:
	case numericNegative:
		dst = append(dst, '-')
	case numericNaN:
		return append(dst, "NaN"...), nil
	case numericInfinity:
		return append(dst, "Infinity"...), nil
	case numericNegInfinity:
		return append(dst, "-Infinity"...), nil
	default:
		return dst, fmt.Errorf("%w: sign %#04x of a numeric", ErrMalformed, sign)
	}
	if scale > numericMaxScale {
		return dst, fmt.Errorf("%w: %d fraction digits of a numeric", ErrMalformed, scale)
	}
	for i := range n {
		if d := be.Uint16(digits[2*i:]); d > 9999 {
			return dst, fmt.Errorf("%w: digit %d of a numeric in base 10000", ErrMalformed, d)
		}
	}
	digit := func(i int) uint64 {
		if i < 0 || i >= n {
			return 0
		}
		return uint64(be.Uint16(digits[2*i:]))
	}
	if weight < 0 {
		dst = append(dst, '0')
	} else {
		dst = strconv.AppendUint(dst, digit(0), 10)
		for i := 1; i <= weight; i++ {
			dst = appendDigits(dst, digit(i), 4)
		}
	}
	if scale > 0 {
		dst = append(dst, '.')
		end := len(dst) + scale
		for i := weight + 1; len(dst) < end; i++ {
			dst = appendDigits(dst, digit(i), 4)
		}
		dst = dst[:end]
	}
	return dst, nil
}

// appendMoney prints an amount in the currency's smallest unit.
func appendMoney(dst []byte, units int64, digits int) []byte {
	magnitude := uint64(units)
	if units < 0 {
		dst = append(dst, '-')
		magnitude = -magnitude
	}
	dst = appendDigits(dst, magnitude, digits+1)
	if digits <= 0 {
		return dst
	}
	point := len(dst) - digits
	dst = append(dst, 0)
	copy(dst[point+1:], dst[point:])
	dst[point] = '.'
	return dst
}
