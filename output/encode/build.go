package encode

import (
	"fmt"
	"strings"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/penstock/penstock/internal/change"
)

// columnSite describes where the values of a source column go. A NULL becomes
// the type's default where the source allows NULL and the destination does not:
// the user chose `nullable: false`.
func columnSite(b *Block, c *change.Column, policy Policy, lost *losses) *site {
	return &site{
		block: b, column: c, source: c.Type, typeMod: c.TypeMod, kind: familyOf(c.Type),
		policy: policy, defaulted: !c.NotNull, lost: lost,
	}
}

// elementSite describes where the elements of an array go. The modifier of an
// array's column belongs to its elements.
func (s *site) elementSite() *site {
	e := *s
	e.element, e.nullable = true, false
	if s.source.Elem != nil {
		e.source, e.kind = s.source.Elem, familyOf(s.source.Elem)
	}
	return &e
}

// newEncoder picks the encoder that stores the site's source in type t, and is
// the only place that knows what goes where: [Check] asks it too.
func newEncoder(s *site, t chType) (encoder, error) {
	s.dest = t.text
	if s.whole == "" {
		s.whole = t.text
	}
	switch t.name {
	case "Nullable":
		inner, err := t.inner()
		if err != nil {
			return nil, err
		}
		switch inner.name {
		case "Nullable", "Array", "LowCardinality":
			return nil, fmt.Errorf("reading ClickHouse type %q: %s cannot be Nullable", t.text, inner.name)
		}
		s.nullable = true
		e, err := newEncoder(s, inner)
		s.dest = t.text
		return e, err
	case "LowCardinality":
		return buildLowCardinality(s, t)
	case "Array":
		return buildArray(s, t)
	case "String":
		return newText(s), nil // anything has a text
	case "FixedString":
		return buildFixedString(s, t)
	case "JSON":
		if s.kind == famJSON || s.kind == famJSONB {
			return newJSON(s), nil
		}
		return nil, s.mismatch("only json and jsonb have that form")
	}
	if strings.HasPrefix(t.name, "Int") || strings.HasPrefix(t.name, "UInt") {
		return buildInteger(s, t)
	}
	if strings.HasPrefix(t.name, "Decimal") {
		return buildDecimal(s, t)
	}
	return buildScalar(s, t)
}

// buildScalar covers the types that take one or two families each.
func buildScalar(s *site, t chType) (encoder, error) {
	switch t.name {
	case "Bool":
		if s.kind == famBool {
			return newBool(s), nil
		}
	case "Float32":
		switch s.kind {
		case famFloat4:
			return newFloat32(s), nil
		case famFloat8, famNumeric:
			return nil, s.mismatch("values would be rounded")
		}
	case "Float64":
		switch s.kind {
		case famFloat4, famFloat8, famNumeric, famInt2, famInt4, famOID:
			return newFloat64(s), nil
		case famInt8, famXID8:
			return nil, s.mismatch("values beyond 2⁵³ would be rounded")
		}
	case "UUID":
		if s.kind == famUUID {
			return newUUID(s), nil
		}
	case "Date32":
		if s.kind == famDate {
			return newDate(s, date32Min, date32Max, func(v []int32) proto.ColInput { return proto.ColInt32(v) }), nil
		}
	case "Date":
		if s.kind == famDate {
			return newDate(s, 0, dateMax, func(v []uint16) proto.ColInput { return proto.ColUInt16(v) }), nil
		}
	case "DateTime64":
		if s.kind == famTimestamp || s.kind == famTimestampTZ {
			return buildDateTime64(s, t)
		}
	case "Time64":
		if s.kind == famTime {
			return buildTime64(s, t)
		}
	case "IPv4":
		if s.kind == famInet {
			return newIPv4(s), nil
		}
	case "IPv6":
		if s.kind == famInet {
			return newIPv6(s), nil
		}
	case "Enum8":
		if s.kind == famEnum || s.kind == famText {
			return newEnum(s, t, func(v []int8) proto.ColInput { return proto.ColInt8(v) })
		}
	case "Enum16":
		if s.kind == famEnum || s.kind == famText {
			return newEnum(s, t, func(v []int16) proto.ColInput { return proto.ColInt16(v) })
		}
	}
	return nil, s.mismatch("Penstock does not convert the one to the other")
}

func buildLowCardinality(s *site, t chType) (encoder, error) {
	inner, err := t.inner()
	if err != nil {
		return nil, err
	}
	if inner.name == "Nullable" {
		if inner, err = inner.inner(); err != nil {
			return nil, err
		}
		s.nullable = true
	}
	if inner.name != "String" {
		return nil, s.mismatch("of the LowCardinality types, only that of String is written")
	}
	return newLowCardinality(s), nil
}

func buildArray(s *site, t chType) (encoder, error) {
	inner, err := t.inner()
	if err != nil {
		return nil, err
	}
	element := s.elementSite()
	switch s.kind {
	case famVector, famHalfvec:
		if inner.name != "Float32" {
			return nil, s.mismatch("its elements are of type Float32")
		}
		element.dest = inner.text
		return newVector(s, element), nil
	case famArray:
	default:
		return nil, s.mismatch("it is not an array")
	}
	dimensions := 1
	for inner.name == "Array" {
		dimensions++
		if inner, err = inner.inner(); err != nil {
			return nil, err
		}
	}
	elements, err := newEncoder(element, inner)
	if err != nil {
		return nil, err
	}
	return newArray(s, element, elements, dimensions), nil
}

func buildFixedString(s *site, t chType) (encoder, error) {
	width, err := t.number(0)
	if err != nil {
		return nil, err
	}
	if width < 1 || width > 1<<24 {
		return nil, fmt.Errorf("reading ClickHouse type %q: want a length of 1 to 16777216", t.text)
	}
	switch s.kind {
	case famText, famChar, famBytea, famEnum:
		return newFixedString(s, width), nil
	}
	return nil, s.mismatch("its text has no fixed length")
}

func buildDateTime64(s *site, t chType) (encoder, error) {
	precision, zone, err := t.ticks()
	if err != nil {
		return nil, err
	}
	if want := s.secondDigits(); precision < want {
		return nil, s.mismatch(fmt.Sprintf("it keeps %d digits of a second where the source has %d", precision, want))
	}
	if s.kind == famTimestamp {
		switch zone {
		case "", "UTC", "Etc/UTC", "GMT", "Etc/GMT", "Universal", "Etc/Universal", "Zulu", "Etc/Zulu", "UCT", "Etc/UCT":
		default:
			return nil, s.mismatch("a timestamp without time zone is stored as a wall clock in UTC, which would show as another time in " + zone)
		}
	}
	return newDateTime64(s, precision), nil
}

func buildTime64(s *site, t chType) (encoder, error) {
	precision, _, err := t.ticks()
	if err != nil {
		return nil, err
	}
	if precision < 6 {
		return nil, s.mismatch(fmt.Sprintf("it keeps %d digits of a second where the source has up to 6", precision))
	}
	return newTime64(s, precision), nil
}

// secondDigits returns the p of timestamp(p), 6 where it has none.
func (s *site) secondDigits() int {
	if s.typeMod < 0 || s.typeMod > 6 {
		return 6
	}
	return int(s.typeMod)
}
