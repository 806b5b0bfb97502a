package encode

import (
	"math/bits"

	"github.com/ClickHouse/ch-go/proto"
)

// wide is an unsigned 256-bit integer, least significant limb first: enough for
// the 76 digits of Decimal256 and for UInt256.
type wide [4]uint64

// pow10 holds the powers of ten that fit 64 bits.
var pow10 = [...]uint64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
}

// mulAdd sets w to w×m + a, and says whether that fits.
func (w *wide) mulAdd(m, a uint64) bool {
	for i := range w {
		hi, lo := bits.Mul64(w[i], m)
		var carry uint64
		w[i], carry = bits.Add64(lo, a, 0)
		a = hi + carry // cannot overflow: hi ≤ 2⁶⁴-2
	}
	return a == 0
}

// scaleUp multiplies w by ten to the power n, and says whether that fits.
func (w *wide) scaleUp(n int) bool {
	if w.isZero() {
		return true
	}
	for ; n > 0; n -= 19 {
		if !w.mulAdd(pow10[min(n, 19)], 0) {
			return false
		}
	}
	return true
}

func (w *wide) isZero() bool { return w[0]|w[1]|w[2]|w[3] == 0 }

func (w *wide) greater(than *wide) bool {
	for i := 3; i >= 0; i-- {
		if w[i] != than[i] {
			return w[i] > than[i]
		}
	}
	return false
}

// signed returns ±w in two's complement.
func (w wide) signed(negative bool) wide {
	if !negative {
		return w
	}
	carry := uint64(1)
	for i := range w {
		w[i], carry = bits.Add64(^w[i], 0, carry)
	}
	return w
}

// ones returns 2ⁿ-1.
func ones(n int) (w wide) {
	for i := range w {
		switch {
		case n >= 64:
			w[i] = ^uint64(0)
		case n > 0:
			w[i] = 1<<n - 1
		}
		n -= 64
	}
	return w
}

// tens returns 10ⁿ-1, n nines.
func tens(n int) (w wide) {
	for range n {
		w.mulAdd(10, 9)
	}
	return w
}

// The wide types of ClickHouse as two's complement limbs, least significant
// first; decimals, signed and unsigned integers share them.
type (
	int128 = proto.Int128
	int256 = proto.Int256
)

func wideToInt128(w wide) int128 { return int128{Low: w[0], High: w[1]} }

func wideToInt256(w wide) int256 {
	return int256{Low: proto.UInt128{Low: w[0], High: w[1]}, High: proto.UInt128{Low: w[2], High: w[3]}}
}

func int64ToInt128(v int64) int128 { return int128{Low: uint64(v), High: uint64(v >> 63)} }

func int64ToInt256(v int64) int256 {
	sign := uint64(v >> 63)
	return int256{Low: proto.UInt128{Low: uint64(v), High: sign}, High: proto.UInt128{Low: sign, High: sign}}
}
