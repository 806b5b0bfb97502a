package encode

import "encoding/binary"

// scaler reads numbers into integers of a fixed scale: the value 12.34 at scale
// 2 is 1234. It never goes through floating point.
type scaler struct {
	scale int
	// The largest magnitude of a positive and of a negative value.
	maxPositive, maxNegative wide
	// narrow is the largest magnitude that the 64-bit path takes, 0 if none: it
	// fits int64 and both limits, but for the sign of unsigned types.
	narrow   uint64
	unsigned bool
}

func decimalScaler(precision, scale int) scaler {
	limit := tens(precision)
	s := scaler{scale: scale, maxPositive: limit, maxNegative: limit}
	if precision <= 18 {
		s.narrow = limit[0]
	}
	return s
}

func integerScaler(bits int, signed bool) scaler {
	if !signed {
		return scaler{maxPositive: ones(bits), narrow: ones(min(bits, 63))[0], unsigned: true}
	}
	s := scaler{maxPositive: ones(bits - 1), maxNegative: ones(bits - 1), narrow: ones(min(bits, 64) - 1)[0]}
	s.maxNegative.mulAdd(1, 1)
	return s
}

// settle gives a magnitude its sign, within the range.
func (s *scaler) settle(w wide, negative bool, v verdict) (wide, verdict) {
	limit, over := &s.maxPositive, aboveRange
	if negative {
		limit, over = &s.maxNegative, belowRange
	}
	if v == aboveRange || w.greater(limit) {
		return limit.signed(negative), over
	}
	return w.signed(negative), v
}

// bound returns the end of the range on one side.
func (s *scaler) bound(negative bool) wide {
	if negative {
		return s.maxNegative.signed(true)
	}
	return s.maxPositive
}

// The sign field of numeric's binary format; PostgreSQL, numeric_send in
// src/backend/utils/adt/numeric.c.
const (
	numericPositive    = 0x0000
	numericNegative    = 0x4000
	numericNaN         = 0xC000
	numericInfinity    = 0xD000
	numericNegInfinity = 0xF000
)

// binary64 reads a binary numeric whose digits and result fit 64 bits. It gives
// up (ok false) on everything else, for binary to read.
func (s *scaler) binary64(b []byte) (value int64, ok bool) {
	if s.narrow == 0 || len(b) < 8 {
		return 0, false
	}
	head := binary.BigEndian.Uint64(b)
	n := int(uint16(head >> 48))
	sign := uint16(head >> 16)
	if n > 4 || len(b) != 8+2*n || sign&^numericNegative != 0 || sign != 0 && s.unsigned {
		return 0, false
	}
	var acc uint64
	for i := 8; i+1 < len(b); i += 2 {
		digit := uint64(b[i])<<8 | uint64(b[i+1])
		if digit > 9999 {
			return 0, false
		}
		acc = acc*10000 + digit
	}
	// The last digit counts 10000^(weight-n+1).
	shift := 4*(int(int16(head>>32))-n+1) + s.scale
	switch {
	case acc == 0:
	case shift >= 0:
		// acc × 10^shift fits where acc ≤ narrow / 10^shift.
		if shift > 18 || acc > s.narrow/pow10[shift] {
			return 0, false
		}
		acc *= pow10[shift]
	case shift < -16:
		return 0, false
	default:
		unit := pow10[-shift]
		quotient := acc / unit
		if quotient*unit != acc || quotient > s.narrow {
			return 0, false
		}
		acc = quotient
	}
	if sign == numericNegative {
		return -int64(acc), true
	}
	return int64(acc), true
}

// binary reads any binary numeric: Int16 number of digits, Int16 weight of the
// first, sign, Int16 display scale, then the digits to the base 10000.
func (s *scaler) binary(b []byte) (wide, verdict) {
	if len(b) < 8 {
		return wide{}, malformed
	}
	n := int(binary.BigEndian.Uint16(b))
	weight := int(int16(binary.BigEndian.Uint16(b[2:])))
	sign := binary.BigEndian.Uint16(b[4:])
	switch sign {
	case numericPositive, numericNegative:
	case numericNaN:
		return wide{}, notANumber
	case numericInfinity:
		return s.bound(false), infinite
	case numericNegInfinity:
		return s.bound(true), infinite
	default:
		return wide{}, malformed
	}
	if len(b) != 8+2*n {
		return wide{}, malformed
	}
	w, v := s.groups(b[8:], weight)
	if v == malformed {
		return wide{}, malformed
	}
	return s.settle(w, sign == numericNegative, v)
}

// groups reads the digits to the base 10000, the first of which counts
// 10000^weight.
func (s *scaler) groups(b []byte, weight int) (w wide, v verdict) {
	for ; len(b) > 0; b = b[2:] {
		digit := uint64(binary.BigEndian.Uint16(b))
		if digit > 9999 {
			return w, malformed
		}
		shift := 4*weight + s.scale // of this digit at the target's scale
		weight--
		fits, rest, half := true, uint64(0), false
		switch {
		case shift >= 0:
			fits = w.mulAdd(10000, digit)
		case shift > -4: // only the digit's upper part counts
			unit := pow10[-shift]
			fits = w.mulAdd(pow10[4+shift], digit/unit)
			rest = digit % unit
			half = rest >= unit/2
		default:
			rest = digit
			half = shift == -4 && digit >= 5000
		}
		if !fits {
			return w, aboveRange
		}
		if rest != 0 && v == exact {
			v = rounded
		}
		if half {
			w.mulAdd(1, 1) // away from zero, as PostgreSQL rounds; cannot overflow after a digit that fit
		}
	}
	if shift := 4*(weight+1) + s.scale; shift > 0 && !w.scaleUp(min(shift, 1000)) {
		return w, aboveRange
	}
	return w, v
}
