package encode

import (
	"encoding/binary"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/penstock/penstock/internal/change"
)

// integer is a type whose values convert to each other.
type integer interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// number reads the numbers of integer and Decimal columns, whose values are
// integers of a fixed scale held in a T.
type number[T any] struct {
	scaler
	fromInt  func(int64) T
	fromWide func(wide) T // two's complement, truncated to T
}

// readText reads the text form of any number.
func (n *number[T]) readText(b []byte) (T, verdict) {
	if v, ok := n.text64(b); ok {
		return n.fromInt(v), exact
	}
	w, v := n.text(b)
	return n.fromWide(w), v
}

// readNumeric reads a binary numeric.
func (n *number[T]) readNumeric(b []byte) (T, verdict) {
	if v, ok := n.binary64(b); ok {
		return n.fromInt(v), exact
	}
	w, v := n.binary(b)
	return n.fromWide(w), v
}

func newInteger[T integer](s *site, bits int, signed bool, input func([]T) proto.ColInput) encoder {
	n := &number[T]{
		scaler:   integerScaler(bits, signed),
		fromInt:  func(v int64) T { return T(v) },
		fromWide: func(w wide) T { return T(w[0]) },
	}
	f := newNumber(s, n, input)
	f.run = integerRun[T](s.kind)
	return f
}

func newWideInteger[T any](s *site, bits int, signed bool, fromInt func(int64) T, fromWide func(wide) T, input func([]T) proto.ColInput) encoder {
	return newNumber(s, &number[T]{scaler: integerScaler(bits, signed), fromInt: fromInt, fromWide: fromWide}, input)
}

// newNumber reads the source's binary form by its family; Check has made sure
// that the range of an integer source lies within T's.
func newNumber[T any](s *site, n *number[T], input func([]T) proto.ColInput) *fixed[T] {
	f := &fixed[T]{site: s, binary: n.readNumeric, text: n.readText, input: input}
	if _, ok := sourceInteger(s.kind); ok {
		f.binary = func(b []byte) (T, verdict) { return n.readUnits(s.kind, b, 0) }
	}
	return f
}

// readUnits reads a binary integer that counts units of 10^-digits.
func (n *number[T]) readUnits(kind family, b []byte, digits int) (T, verdict) {
	magnitude, negative, ok := readInteger(kind, b)
	if !ok {
		return n.fromInt(0), malformed
	}
	return n.place(magnitude, negative, digits)
}

// place stores ±magnitude × 10^-digits; the scale has as many digits or more.
func (n *number[T]) place(magnitude uint64, negative bool, digits int) (T, verdict) {
	w, v := wide{magnitude}, exact
	if !w.scaleUp(n.scale - digits) {
		v = aboveRange
	}
	w, v = n.settle(w, negative, v)
	return n.fromWide(w), v
}

// readInteger reads the binary form of the integer families and of money.
func readInteger(kind family, b []byte) (magnitude uint64, negative, ok bool) {
	var v int64
	switch {
	case kind == famInt2 && len(b) == 2:
		v = int64(int16(binary.BigEndian.Uint16(b)))
	case kind == famInt4 && len(b) == 4:
		v = int64(int32(binary.BigEndian.Uint32(b)))
	case kind == famOID && len(b) == 4:
		v = int64(binary.BigEndian.Uint32(b))
	case (kind == famInt8 || kind == famMoney) && len(b) == 8:
		v = int64(binary.BigEndian.Uint64(b))
	case kind == famXID8 && len(b) == 8:
		return binary.BigEndian.Uint64(b), false, true
	default:
		return 0, false, false
	}
	if v < 0 {
		return -uint64(v), true, true
	}
	return uint64(v), false, true
}

// integerRun returns the fast loop for a source family.
func integerRun[T integer](kind family) func([]T, []byte, []change.Cell) int {
	switch kind {
	case famInt2:
		return runInt2[T]
	case famInt4:
		return runInt4[T]
	case famOID:
		return runOID[T]
	case famInt8, famXID8:
		return runInt8[T]
	}
	return nil
}

func runInt2[T integer](dst []T, data []byte, cells []change.Cell) int {
	for i := range cells {
		if c := &cells[i]; c.Kind == change.Binary && c.Length == 2 {
			dst[i] = T(int16(binary.BigEndian.Uint16(data[c.Offset:])))
			continue
		}
		return i
	}
	return len(cells)
}

func runInt4[T integer](dst []T, data []byte, cells []change.Cell) int {
	for i := range cells {
		if c := &cells[i]; c.Kind == change.Binary && c.Length == 4 {
			dst[i] = T(int32(binary.BigEndian.Uint32(data[c.Offset:])))
			continue
		}
		return i
	}
	return len(cells)
}

func runOID[T integer](dst []T, data []byte, cells []change.Cell) int {
	for i := range cells {
		if c := &cells[i]; c.Kind == change.Binary && c.Length == 4 {
			dst[i] = T(binary.BigEndian.Uint32(data[c.Offset:]))
			continue
		}
		return i
	}
	return len(cells)
}

func runInt8[T integer](dst []T, data []byte, cells []change.Cell) int {
	for i := range cells {
		if c := &cells[i]; c.Kind == change.Binary && c.Length == 8 {
			dst[i] = T(binary.BigEndian.Uint64(data[c.Offset:]))
			continue
		}
		return i
	}
	return len(cells)
}
