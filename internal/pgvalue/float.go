package pgvalue

import (
	"math"
	"math/bits"
	"strconv"
)

// appendFloat prints a float as float8out and float4out do with
// extra_float_digits > 0: the shortest digits that read back as the same value,
// without an exponent from 1e-4 to below 1e15, or below 1e6 for a float4. size
// is 32 or 64.
func appendFloat(dst []byte, v float64, size int) []byte {
	if size == 32 {
		v = float64(float32(v))
	}
	switch {
	case math.IsNaN(v):
		return append(dst, "NaN"...)
	case math.IsInf(v, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(v, -1):
		return append(dst, "-Infinity"...)
	}
	low, high := 1e-4, 1e15
	if size == 32 {
		low, high = float64(float32(1e-4)), 1e6
	}
	start := len(dst)
	if a := math.Abs(v); v == 0 || a >= low && a < high {
		dst = strconv.AppendFloat(dst, v, 'f', -1, size)
		return evenTie(dst, start, v, size, 'f')
	}
	dst = strconv.AppendFloat(dst, v, 'e', -1, size)
	if onBoundary(dst[start:], v, size) {
		return appendInside(dst[:start], v, size, len(dst)-start)
	}
	return evenTie(dst, start, v, size, 'e')
}

// evenTie prints a power of two at dst[start:] again. Where one lies half way
// between the two nearest numbers of as few digits, strconv may have taken the
// odd one and PostgreSQL takes the even one; elsewhere both take the even one.
func evenTie(dst []byte, start int, v float64, size int, format byte) []byte {
	if m, _ := mantissa(v, size); m&(m-1) != 0 {
		return dst
	}
	precision, point := 0, false
	for _, b := range dst[start:] {
		if b == 'e' {
			break
		}
		if point {
			precision++
		}
		point = point || b == '.'
	}
	var buffer [64]byte
	even := strconv.AppendFloat(buffer[:0], v, format, precision, size)
	// Floats below a power of two are denser, so the even one may be another's.
	if back, err := strconv.ParseFloat(string(even), size); err != nil || back != v {
		return dst
	}
	return append(dst[:start], even...)
}

// appendInside prints v with as few digits as bring it strictly nearer to v
// than to its neighbours. It is needed for the few values whose shortest digits
// lie exactly half way: those read back as v only by the rule of rounding to
// even, which PostgreSQL does not rely on and strconv does. length is that of
// the shortest form, which has fewer digits.
func appendInside(dst []byte, v float64, size, length int) []byte {
	start := len(dst)
	for digits := 1; digits < 20; digits++ {
		dst = strconv.AppendFloat(dst[:start], v, 'e', digits, size)
		if len(dst)-start <= length || onBoundary(dst[start:], v, size) {
			continue
		}
		if back, err := strconv.ParseFloat(string(dst[start:]), size); err == nil && back == v {
			return dst
		}
	}
	return dst // not reached: 17 digits tell all floats apart
}

// onBoundary says whether text, of the form d.ddde±dd, is exactly half way
// between v and one of its neighbours. v is m × 2^q, so the boundaries are
// (2m±1) × 2^(q-1); below a power of two floats are twice as dense, so there
// the lower one is (4m-1) × 2^(q-2). As the first factors are odd, the text's
// value need only be split into an odd number and a power of two.
func onBoundary(text []byte, v float64, size int) bool {
	digits, exponent := splitFloat(text)
	if digits == 0 || exponent < 0 {
		return false // all boundaries that short numbers can reach are integers
	}
	power := bits.TrailingZeros64(digits)
	odd := digits >> power
	power += exponent
	for range exponent { // 10^exponent = 5^exponent × 2^exponent
		if odd > 1<<56 {
			return false
		}
		odd *= 5
	}
	m, q := mantissa(v, size)
	if (odd == 2*m+1 || odd == 2*m-1) && power == q-1 {
		return true
	}
	return m&(m-1) == 0 && odd == 4*m-1 && power == q-2
}

// splitFloat reads d.ddde±dd as digits × 10^exponent, without its sign.
func splitFloat(text []byte) (digits uint64, exponent int) {
	fraction, seenPoint := 0, false
	for i, b := range text {
		switch {
		case b == '.':
			seenPoint = true
		case b >= '0' && b <= '9':
			digits = digits*10 + uint64(b-'0')
			if seenPoint {
				fraction++
			}
		case b == 'e':
			sign := text[i+1]
			for _, b := range text[i+2:] {
				exponent = exponent*10 + int(b-'0')
			}
			if sign == '-' {
				exponent = -exponent
			}
			return digits, exponent - fraction
		}
	}
	return digits, -fraction
}

// mantissa returns m and q of a normal float |v| = m × 2^q.
func mantissa(v float64, size int) (m uint64, q int) {
	if size == 32 {
		b := math.Float32bits(float32(v))
		return uint64(b&(1<<23-1) | 1<<23), int(b>>23&0xFF) - 127 - 23
	}
	b := math.Float64bits(v)
	return b&(1<<52-1) | 1<<52, int(b>>52&0x7FF) - 1023 - 52
}
