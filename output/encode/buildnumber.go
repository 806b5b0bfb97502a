package encode

import (
	"fmt"

	"github.com/ClickHouse/ch-go/proto"
)

// integerShape is the range of an integer type.
type integerShape struct {
	bits   int
	signed bool
}

// holds says whether every value of the other type fits.
func (i integerShape) holds(other integerShape) bool {
	if other.signed {
		return i.signed && i.bits >= other.bits
	}
	return i.bits > other.bits || !i.signed && i.bits == other.bits
}

// digits is how many decimal digits the largest value has.
func (i integerShape) digits() int {
	if i.signed {
		return (i.bits-1)*301/1000 + 1
	}
	return i.bits*301/1000 + 1
}

// sourceInteger returns the range of an integer family.
func sourceInteger(f family) (integerShape, bool) {
	switch f {
	case famInt2:
		return integerShape{16, true}, true
	case famInt4:
		return integerShape{32, true}, true
	case famInt8:
		return integerShape{64, true}, true
	case famOID:
		return integerShape{32, false}, true
	case famXID8:
		return integerShape{64, false}, true
	}
	return integerShape{}, false
}

func buildInteger(s *site, t chType) (encoder, error) {
	if s.kind == famBool && t.name == "UInt8" {
		return newBool(s), nil
	}
	var shape integerShape
	if _, err := fmt.Sscanf(t.name, "UInt%d", &shape.bits); err != nil {
		shape.signed = true
		if _, err := fmt.Sscanf(t.name, "Int%d", &shape.bits); err != nil {
			return nil, s.mismatch("Penstock does not know that type") // Interval…
		}
	}
	if source, ok := sourceInteger(s.kind); ok {
		if !shape.holds(source) {
			return nil, s.mismatch("its range is narrower")
		}
	} else if s.kind != famNumeric {
		return nil, s.mismatch("Penstock does not convert the one to the other")
	} else if why := numericInInteger(s.typeMod, shape); why != "" {
		return nil, s.mismatch(why)
	}
	e := integerEncoder(s, t.name)
	if e == nil {
		return nil, s.mismatch("Penstock does not know that type")
	}
	return e, nil
}

func integerEncoder(s *site, name string) encoder {
	switch name {
	case "Int8":
		return newInteger(s, 8, true, func(v []int8) proto.ColInput { return proto.ColInt8(v) })
	case "Int16":
		return newInteger(s, 16, true, func(v []int16) proto.ColInput { return proto.ColInt16(v) })
	case "Int32":
		return newInteger(s, 32, true, func(v []int32) proto.ColInput { return proto.ColInt32(v) })
	case "Int64":
		return newInteger(s, 64, true, func(v []int64) proto.ColInput { return proto.ColInt64(v) })
	case "UInt8":
		return newInteger(s, 8, false, func(v []uint8) proto.ColInput { return proto.ColUInt8(v) })
	case "UInt16":
		return newInteger(s, 16, false, func(v []uint16) proto.ColInput { return proto.ColUInt16(v) })
	case "UInt32":
		return newInteger(s, 32, false, func(v []uint32) proto.ColInput { return proto.ColUInt32(v) })
	case "UInt64":
		return newInteger(s, 64, false, func(v []uint64) proto.ColInput { return proto.ColUInt64(v) })
	case "Int128", "UInt128":
		return newWideInteger(s, 128, name == "Int128", int64ToInt128, wideToInt128,
			func(v []int128) proto.ColInput { return proto.ColInt128(v) })
	case "Int256", "UInt256":
		return newWideInteger(s, 256, name == "Int256", int64ToInt256, wideToInt256,
			func(v []int256) proto.ColInput { return proto.ColInt256(v) })
	}
	return nil
}

// numericInInteger says why the declared digits of a numeric do not fit an
// integer, "" if they do or none are declared: the user has then chosen, and
// single values may turn out not to fit. So it is with the sign, for the
// unsigned types.
func numericInInteger(typeMod int32, to integerShape) string {
	n, declared := declaredNumeric(typeMod)
	if !declared {
		return ""
	}
	if n.scale > 0 {
		return fmt.Sprintf("the source has %d digits behind the point", n.scale)
	}
	// Of the numbers with as many digits as its largest, a type holds some only.
	digits := to.digits()
	if to.signed {
		digits--
	}
	if n.whole > digits {
		return fmt.Sprintf("the source has %d digits, the type holds %d", n.whole, digits)
	}
	return ""
}

func buildDecimal(s *site, t chType) (encoder, error) {
	precision, scale, err := t.decimal()
	if err != nil {
		return nil, err
	}
	switch s.kind {
	case famNumeric:
		if n, declared := declaredNumeric(s.typeMod); declared {
			if max(n.scale, 0) > scale {
				return nil, s.mismatch(fmt.Sprintf("the source has %d digits behind the point", n.scale))
			}
			if n.whole > precision-scale {
				return nil, s.mismatch(fmt.Sprintf("the source has %d digits before the point, the type %d", n.whole, precision-scale))
			}
		}
	case famMoney:
		if scale < s.source.MoneyDigits || precision-scale < 18-s.source.MoneyDigits {
			return nil, s.mismatch(fmt.Sprintf("money has %d digits behind the point and %d before it", s.source.MoneyDigits, 18-s.source.MoneyDigits))
		}
	default:
		source, ok := sourceInteger(s.kind)
		if !ok {
			return nil, s.mismatch("Penstock does not convert the one to the other")
		}
		if want := source.digits(); precision-scale < want {
			return nil, s.mismatch(fmt.Sprintf("the source has up to %d digits before the point, the type %d", want, precision-scale))
		}
	}
	return newDecimal(s, precision, scale), nil
}
