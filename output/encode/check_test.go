package encode

import (
	"strings"
	"testing"

	"github.com/penstock/penstock/internal/change"
)

func column(t *change.Type, typeMod int32) change.Column {
	return change.Column{Name: "v", Type: t, TypeMod: typeMod}
}

func numeric(precision, scale int32) change.Column {
	return column(builtin(1700, "numeric"), precision<<16|scale&0x7FF+4)
}

func arrayOf(elem *change.Type) change.Column {
	return column(&change.Type{OID: 1, Name: "_" + elem.Name, Schema: "pg_catalog", Kind: change.TypeArray, Elem: elem, Delim: ','}, -1)
}

// TestCheckRefuses holds what Check must refuse, and the fix it must name; what
// it accepts is stored and read back by TestRoundTrip.
func TestCheckRefuses(t *testing.T) {
	int4, text := builtin(23, "int4"), builtin(25, "text")
	money := builtin(790, "money")
	money.MoneyDigits = 2
	for _, test := range []struct {
		column change.Column
		chType string
		err    []string
	}{
		{column(builtin(20, "int8"), -1), "Int32", []string{`column "v" of type int8 cannot be stored in Int32`, "its range is narrower", "MODIFY COLUMN `v` Int64"}},
		{column(builtin(20, "int8"), -1), "Nullable(Int32)", []string{"MODIFY COLUMN `v` Nullable(Int64)"}},
		{column(builtin(20, "int8"), -1), "UInt64", []string{"narrower"}},
		{column(int4, -1), "Int16", []string{"narrower"}},
		{column(int4, -1), "UInt256", []string{"narrower"}},
		{column(builtin(21, "int2"), -1), "Int8", []string{"narrower"}},
		{column(builtin(26, "oid"), -1), "Int32", []string{"narrower", "UInt32"}},
		{column(builtin(5069, "xid8"), -1), "Int64", []string{"narrower", "UInt64"}},
		{column(int4, -1), "Date", []string{"does not convert"}},
		{column(int4, -1), "Float32", []string{"does not convert"}},
		{column(int4, -1), "Decimal(11, 2)", []string{"up to 10 digits before the point, the type 9"}},
		{column(builtin(20, "int8"), -1), "Float64", []string{"beyond 2⁵³"}},
		{column(builtin(20, "int8"), -1), "Decimal(18, 0)", []string{"up to 19 digits"}},
		{column(builtin(5069, "xid8"), -1), "Decimal(19, 0)", []string{"up to 20 digits"}},
		{column(int4, -1), "Int512", []string{"does not know that type"}},
		{column(int4, -1), "IntervalDay", []string{"does not know that type"}},
		{column(int4, -1), "LowCardinality(Int32)", []string{"only that of String"}},
		{column(int4, -1), "FixedString(4)", []string{"no fixed length"}},
		{column(int4, -1), "Map(String, String)", []string{"does not convert"}},
		{column(int4, -1), "Nullable(Array(Int32))", []string{"cannot be Nullable"}},
		{column(int4, -1), "Array(Int32)", []string{"it is not an array"}},
		{column(builtin(701, "float8"), -1), "Float32", []string{"rounded", "Float64"}},
		{numeric(12, 2), "Float32", []string{"rounded"}},
		{numeric(12, 2), "Decimal(12, 1)", []string{"2 digits behind the point", "Decimal(12, 2)"}},
		{numeric(12, 2), "Decimal(11, 2)", []string{"10 digits before the point, the type 9"}},
		{numeric(12, 2), "Decimal(12, 3)", []string{"10 digits before the point"}},
		{numeric(3, -2), "Decimal(4, 0)", []string{"5 digits before the point", "Decimal(5, 0)"}},
		{numeric(2, 5), "Decimal(5, 4)", []string{"5 digits behind the point", "Decimal(5, 5)"}},
		{numeric(12, 2), "Int64", []string{"2 digits behind the point"}},
		{numeric(19, 0), "Int64", []string{"19 digits, the type holds 18"}},
		{numeric(21, 0), "UInt64", []string{"21 digits, the type holds 20"}},
		{numeric(12, 2), "Decimal(99, 2)", []string{"1 ≤ precision ≤ 76"}},
		{column(money, -1), "Decimal(18, 1)", []string{"money has 2 digits behind the point"}},
		{column(money, -1), "Int64", []string{"does not convert"}},
		{column(builtin(1114, "timestamp"), -1), "DateTime64(3)", []string{"3 digits of a second where the source has 6", "DateTime64(6)"}},
		{column(builtin(1114, "timestamp"), 4), "DateTime64(3)", []string{"where the source has 4"}},
		{column(builtin(1184, "timestamptz"), -1), "DateTime", []string{"does not convert", "DateTime64(6, 'UTC')"}},
		{column(builtin(1184, "timestamptz"), -1), "DateTime64(10)", []string{"precision of 0 to 9"}},
		{column(builtin(1114, "timestamp"), -1), "DateTime64(6, 'Europe/Berlin')", []string{"wall clock in UTC", "Europe/Berlin"}},
		{column(builtin(1083, "time"), -1), "Time64(3)", []string{"3 digits of a second"}},
		{column(builtin(1082, "date"), -1), "DateTime64(6)", []string{"does not convert", "Date32"}},
		{column(text, -1), "JSON", []string{"only json and jsonb"}},
		{column(text, -1), "UUID", []string{"does not convert", "String"}},
		{column(text, -1), "FixedString(x)", []string{"want a number"}},
		{column(text, -1), "Enum8('a')", []string{"has no number"}},
		{column(builtin(869, "inet"), -1), "UInt32", []string{"does not convert"}},
		{arrayOf(int4), "Array(Int16)", []string{"narrower", "MODIFY COLUMN `v` Array(Int32)"}},
		{arrayOf(int4), "Array(Nullable(Int16))", []string{"Array(Nullable(Int32))"}},
		{arrayOf(int4), "Int32", []string{"Array(Nullable(Int32))"}},
		{column(&change.Type{Name: "vector", Schema: "public", Kind: change.TypeBase}, -1), "Array(Float64)", []string{"Float32", "Array(Float32)"}},
		{column(text, -1), "Nullable(", []string{"no closing parenthesis"}},
	} {
		err := Check(test.column, test.chType)
		for _, want := range test.err {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s in %s: got %v, want an error with %q", test.column.Type, test.chType, err, want)
			}
		}
	}
}

func TestDeclaredNumeric(t *testing.T) {
	for _, test := range []struct {
		typeMod int32
		want    numericShape
		ok      bool
	}{
		{-1, numericShape{}, false},
		{12<<16 + 2 + 4, numericShape{10, 2}, true},
		{numeric(3, -2).TypeMod, numericShape{5, -2}, true},
		{numeric(2, 5).TypeMod, numericShape{0, 5}, true},
		{numeric(76, 76).TypeMod, numericShape{0, 76}, true},
		{numeric(77, 0).TypeMod, numericShape{}, false},
		{numeric(1000, -1000).TypeMod, numericShape{}, false},
	} {
		if got, ok := declaredNumeric(test.typeMod); got != test.want || ok != test.ok {
			t.Errorf("%d: got %v %v, want %v %v", test.typeMod, got, ok, test.want, test.ok)
		}
	}
}
