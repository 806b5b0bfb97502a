package encode

import (
	"fmt"
	"strings"

	"github.com/penstock/penstock/internal/change"
)

// Check says whether a source column can be stored in a destination column of
// type chType, as system.columns prints it, without silent loss. Single values
// may still not fit (a date beyond Date32), which is what [Policy] is for. The
// error is one sentence that names both types and the fix.
func Check(c change.Column, chType string) error {
	t, err := parseType(chType)
	if err != nil {
		return err
	}
	_, err = newEncoder(columnSite(nil, &c, Fail, new(losses)), t)
	return err
}

// mismatch is the error of [Check].
func (s *site) mismatch(why string) error {
	want := s.suggest()
	if s.nullable && !strings.HasPrefix(want, "Array(") {
		want = wrapNullable(want)
	}
	if s.element {
		want = "Array(" + want + ")"
	}
	return fmt.Errorf("column %q of type %s cannot be stored in %s: %s; run ALTER TABLE … MODIFY COLUMN `%s` %s, or name a fitting type for it under `types`",
		s.column.Name, s.column.Type, s.whole, why, s.column.Name, want)
}

func wrapNullable(t string) string {
	if inner, ok := strings.CutPrefix(t, "LowCardinality("); ok {
		return "LowCardinality(Nullable(" + inner + ")"
	}
	return "Nullable(" + t + ")"
}

// suggest names a type that fits the source type, of an array its element.
func (s *site) suggest() string {
	switch s.kind {
	case famBool:
		return "Bool"
	case famInt2:
		return "Int16"
	case famInt4:
		return "Int32"
	case famInt8:
		return "Int64"
	case famOID:
		return "UInt32"
	case famXID8:
		return "UInt64"
	case famFloat4:
		return "Float32"
	case famFloat8:
		return "Float64"
	case famNumeric:
		if n, ok := declaredNumeric(s.typeMod); ok && n.whole+max(n.scale, 0) <= maxDecimalDigits {
			return fmt.Sprintf("Decimal(%d, %d)", max(n.whole+max(n.scale, 0), 1), max(n.scale, 0))
		}
	case famMoney:
		return fmt.Sprintf("Decimal(18, %d)", s.source.MoneyDigits)
	case famUUID:
		return "UUID"
	case famDate:
		return "Date32"
	case famTimestamp:
		return "DateTime64(6)"
	case famTimestampTZ:
		return "DateTime64(6, 'UTC')"
	case famEnum:
		return "LowCardinality(String)"
	case famVector, famHalfvec:
		return "Array(Float32)"
	case famArray:
		element := s.elementSite()
		if inner := element.suggest(); !strings.HasPrefix(inner, "Array(") {
			return "Array(" + wrapNullable(inner) + ")"
		}
	}
	return "String"
}

// numericShape is what numeric(p, s) allows: digits before the point, and
// digits behind it, which are negative where zeros before the point are implied.
type numericShape struct{ whole, scale int }

// declaredNumeric reads the modifier of numeric; PostgreSQL,
// make_numeric_typmod in src/backend/utils/adt/numeric.c. Not ok: it has none,
// or so many digits that no Decimal holds them all.
func declaredNumeric(typeMod int32) (numericShape, bool) {
	if typeMod < 4 {
		return numericShape{}, false
	}
	precision := int(typeMod-4) >> 16 & 0xFFFF
	scale := (int(typeMod-4)&0x7FF ^ 1024) - 1024
	if precision > maxDecimalDigits {
		return numericShape{}, false
	}
	return numericShape{whole: max(precision-scale, 0), scale: scale}, true
}
