package ddl

import (
	"fmt"

	"github.com/penstock/penstock/internal/change"
)

// maxDigits is the precision of ClickHouse's widest Decimal.
const maxDigits = 76

// ColumnType returns the ClickHouse type that a source column is given in a new table. nullable says that a column which
// may be NULL at the source is to be Nullable here. utc says that the server's time zone is UTC.
func ColumnType(c change.Column, nullable, utc bool) string {
	if c.Type.Kind == change.TypeArray && c.Type.Elem != nil {
		// An array itself can never be Nullable. Elements may be NULL whatever the column's NOT NULL says.
		if isVector(c.Type.Elem) {
			return wrap("String", nullable && !c.NotNull)
		}
		return "Array(" + wrap(scalar(c.Type.Elem, c.TypeMod, utc), nullable) + ")"
	}
	if isVector(c.Type) {
		return "Array(Float32)"
	}
	return wrap(scalar(c.Type, c.TypeMod, utc), nullable && !c.NotNull)
}

// wrap makes a type Nullable, which goes inside LowCardinality.
func wrap(t string, nullable bool) string {
	switch {
	case !nullable:
		return t
	case t == "LowCardinality(String)":
		return "LowCardinality(Nullable(String))"
	default:
		return "Nullable(" + t + ")"
	}
}

// isVector says whether a type is one of pgvector's. Types of extensions have no fixed OID.
func isVector(t *change.Type) bool {
	return !t.BuiltIn() && t.Kind == change.TypeBase && (t.Name == "vector" || t.Name == "halfvec")
}

func scalar(t *change.Type, typmod int32, utc bool) string {
	if t.Kind == change.TypeEnum {
		return "LowCardinality(String)" // a new label then needs no DDL
	}
	if !t.BuiltIn() {
		return "String"
	}
	switch t.Name {
	case "bool":
		return "Bool"
	case "int2":
		return "Int16"
	case "int4":
		return "Int32"
	case "int8":
		return "Int64"
	case "oid", "xid":
		return "UInt32"
	case "xid8":
		return "UInt64"
	case "float4":
		return "Float32"
	case "float8":
		return "Float64"
	case "numeric":
		return numeric(typmod)
	case "money":
		if t.MoneyDigits <= 18 {
			return fmt.Sprintf("Decimal(18, %d)", t.MoneyDigits)
		}
	case "uuid":
		return "UUID"
	case "date":
		return "Date32"
	case "timestamp":
		if utc {
			return "DateTime64(6)"
		}
		// Without a zone of its own the column would be shown in the server's, off by some hours.
		return "DateTime64(6, 'UTC')"
	case "timestamptz":
		return "DateTime64(6, 'UTC')"
	}
	return "String"
}

// numeric returns the type of numeric(p, s). Its modifier is ((p << 16) | s) + 4, s in 11 bits with a sign (PostgreSQL
// src/backend/utils/adt/numeric.c, make_numeric_typmod).
func numeric(typmod int32) string {
	if typmod < 4 {
		return "String" // no bounds
	}
	precision := int(typmod-4) >> 16
	scale := (int(typmod-4)&0x7ff ^ 1024) - 1024
	switch {
	case scale < 0: // rounded to tens, hundreds, …
		precision, scale = precision-scale, 0
	case scale > precision: // as many zeros behind the point
		precision = scale
	}
	if precision > maxDigits {
		return "String"
	}
	return fmt.Sprintf("Decimal(%d, %d)", precision, scale)
}
