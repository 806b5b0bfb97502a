package encode

import (
	"github.com/ClickHouse/ch-go/proto"

	"github.com/penstock/penstock/internal/change"
)

// newDecimal stores numeric, money and integers in Decimal(precision, scale), whose width
// follows from the precision: 9, 18, 38 and 76 digits in 4, 8, 16 and 32 bytes.
func newDecimal(s *site, precision, scale int) encoder {
	sc := decimalScaler(precision, scale)
	switch {
	case precision <= 9:
		return decimalOf(s, sc, func(v int64) int32 { return int32(v) }, func(w wide) int32 { return int32(w[0]) },
			runDecimal[int32], func(v []int32) proto.ColInput { return proto.ColInt32(v) })
	case precision <= 18:
		return decimalOf(s, sc, func(v int64) int64 { return v }, func(w wide) int64 { return int64(w[0]) },
			runDecimal[int64], func(v []int64) proto.ColInput { return proto.ColInt64(v) })
	case precision <= 38:
		return decimalOf(s, sc, int64ToInt128, wideToInt128, nil,
			func(v []int128) proto.ColInput { return proto.ColInt128(v) })
	default:
		return decimalOf(s, sc, int64ToInt256, wideToInt256, nil,
			func(v []int256) proto.ColInput { return proto.ColInt256(v) })
	}
}

type decimalRun[T any] func(s *scaler, dst []T, data []byte, cells []change.Cell) int

func decimalOf[T any](s *site, sc scaler, fromInt func(int64) T, fromWide func(wide) T, run decimalRun[T], input func([]T) proto.ColInput) encoder {
	n := &number[T]{scaler: sc, fromInt: fromInt, fromWide: fromWide}
	if s.kind == famMoney {
		m := &money[T]{number: n, digits: s.source.MoneyDigits}
		return &fixed[T]{site: s, binary: m.readBinary, text: m.readText, input: input}
	}
	f := newNumber(s, n, input)
	if run != nil && s.kind == famNumeric {
		f.run = func(dst []T, data []byte, cells []change.Cell) int { return run(&n.scaler, dst, data, cells) }
	}
	return f
}

func runDecimal[T int32 | int64](s *scaler, dst []T, data []byte, cells []change.Cell) int {
	for i := range cells {
		if cells[i].Kind != change.Binary {
			return i
		}
		v, ok := s.binary64(cells[i].Bytes(data))
		if !ok {
			return i
		}
		dst[i] = T(v)
	}
	return len(cells)
}

// money reads PostgreSQL's money: an Int64 count of the smallest unit of the
// currency, digits places behind the point.
type money[T any] struct {
	*number[T]
	digits int
}

func (m *money[T]) readBinary(b []byte) (T, verdict) { return m.readUnits(famMoney, b, m.digits) }

func (m *money[T]) readText(b []byte) (T, verdict) {
	if isPlainDecimal(b) {
		return m.number.readText(b)
	}
	units, ok := parseMoney(b)
	switch {
	case !ok:
		return m.fromInt(0), malformed
	case units < 0:
		return m.place(-uint64(units), true, m.digits)
	}
	return m.place(uint64(units), false, m.digits)
}

// isPlainDecimal says whether b has nothing but digits, a sign and a point:
// what Penstock itself prints for money, and what mappings produce.
func isPlainDecimal(b []byte) bool {
	for i, c := range b {
		switch {
		case c-'0' <= 9, c == '.', c == '-' && i == 0:
		default:
			return false
		}
	}
	return len(b) > 0
}

// parseMoney reads what PostgreSQL prints for money under any lc_monetary:
// $1,234.56, -$1.00, ($1.00), 1.234,56 €. Symbol and grouping are the locale's,
// but the digits are always all of the units, and a negative amount always has a
// minus sign or parentheses.
func parseMoney(b []byte) (units int64, ok bool) {
	var acc uint64
	digits, negative := 0, false
	for _, c := range b {
		switch {
		case c-'0' <= 9:
			if acc > (1<<63-9)/10+1 {
				return 0, false
			}
			acc = acc*10 + uint64(c-'0')
			digits++
		case c == '-', c == '(':
			negative = true
		}
	}
	limit := uint64(1<<63 - 1)
	if negative {
		limit++
	}
	if digits == 0 || acc > limit {
		return 0, false
	}
	if negative {
		return int64(-acc), true
	}
	return int64(acc), true
}
