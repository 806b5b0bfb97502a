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
	f := &fixed[T]{site: s, text: n.readText, input: input}
	switch s.kind {
	case famInt2:
		f.binary = func(b []byte) (T, verdict) {
			if len(b) != 2 {
				return n.fromInt(0), malformed
			}
			return n.fromInt(int64(int16(binary.BigEndian.Uint16(b)))), exact
		}
	case famInt4:
		f.binary = func(b []byte) (T, verdict) {
			if len(b) != 4 {
				return n.fromInt(0), malformed
			}
			return n.fromInt(int64(int32(binary.BigEndian.Uint32(b)))), exact
		}
	case famOID:
		f.binary = func(b []byte) (T, verdict) {
			if len(b) != 4 {
				return n.fromInt(0), malformed
			}
			return n.fromInt(int64(binary.BigEndian.Uint32(b))), exact
		}
	case famInt8:
		f.binary = func(b []byte) (T, verdict) {
			if len(b) != 8 {
				return n.fromInt(0), malformed
			}
			return n.fromInt(int64(binary.BigEndian.Uint64(b))), exact
		}
	case famXID8:
		f.binary = func(b []byte) (T, verdict) {
			if len(b) != 8 {
				return n.fromInt(0), malformed
			}
			return n.fromWide(wide{binary.BigEndian.Uint64(b)}), exact
		}
	default:
		f.binary = n.readNumeric
	}
	return f
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
