package ddl

import (
	"testing"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/output/encode"
)

func numericMod(precision, scale int32) int32 { return (precision<<16 | scale&0x7ff) + 4 }

func TestColumnType(t *testing.T) {
	withMod := func(c change.Column, mod int32) change.Column {
		c.TypeMod = mod
		return c
	}
	money := builtIn("money", 790)
	money.MoneyDigits = 2
	for _, test := range []struct {
		column                      change.Column
		nullable, defaulted, newest string // nullable: true, nullable: false, NOT NULL
	}{
		{column("a", boolType), "Nullable(Bool)", "Bool", "Bool"},
		{column("a", int2), "Nullable(Int16)", "Int16", "Int16"},
		{column("a", int4), "Nullable(Int32)", "Int32", "Int32"},
		{column("a", int8), "Nullable(Int64)", "Int64", "Int64"},
		{column("a", builtIn("oid", 26)), "Nullable(UInt32)", "UInt32", "UInt32"},
		{column("a", builtIn("xid8", 5069)), "Nullable(UInt64)", "UInt64", "UInt64"},
		{column("a", builtIn("float4", 700)), "Nullable(Float32)", "Float32", "Float32"},
		{column("a", builtIn("float8", 701)), "Nullable(Float64)", "Float64", "Float64"},
		{column("a", numericType), "Nullable(String)", "String", "String"},
		{withMod(column("a", numericType), numericMod(10, 2)), "Nullable(Decimal(10, 2))", "Decimal(10, 2)", "Decimal(10, 2)"},
		{withMod(column("a", numericType), numericMod(76, 76)), "Nullable(Decimal(76, 76))", "Decimal(76, 76)", "Decimal(76, 76)"},
		{withMod(column("a", numericType), numericMod(77, 0)), "Nullable(String)", "String", "String"},
		{withMod(column("a", numericType), numericMod(3, 5)), "Nullable(Decimal(5, 5))", "Decimal(5, 5)", "Decimal(5, 5)"},
		{withMod(column("a", numericType), numericMod(5, -3)), "Nullable(Decimal(8, 0))", "Decimal(8, 0)", "Decimal(8, 0)"},
		{withMod(column("a", numericType), numericMod(70, -10)), "Nullable(String)", "String", "String"},
		{column("a", money), "Nullable(Decimal(18, 2))", "Decimal(18, 2)", "Decimal(18, 2)"},
		{column("a", text), "Nullable(String)", "String", "String"},
		{withMod(column("a", builtIn("varchar", 1043)), 24), "Nullable(String)", "String", "String"},
		{column("a", builtIn("bytea", 17)), "Nullable(String)", "String", "String"},
		{column("a", builtIn("uuid", 2950)), "Nullable(UUID)", "UUID", "UUID"},
		{column("a", builtIn("date", 1082)), "Nullable(Date32)", "Date32", "Date32"},
		{column("a", timestamp), "Nullable(DateTime64(6))", "DateTime64(6)", "DateTime64(6)"},
		{column("a", timestamptz), "Nullable(DateTime64(6, 'UTC'))", "DateTime64(6, 'UTC')", "DateTime64(6, 'UTC')"},
		{column("a", builtIn("time", 1083)), "Nullable(String)", "String", "String"},
		{column("a", builtIn("jsonb", 3802)), "Nullable(String)", "String", "String"},
		{column("a", builtIn("inet", 869)), "Nullable(String)", "String", "String"},
		{column("a", enum), "LowCardinality(Nullable(String))", "LowCardinality(String)", "LowCardinality(String)"},
		{column("a", arrayOf(int4)), "Array(Nullable(Int32))", "Array(Int32)", "Array(Nullable(Int32))"},
		{column("a", arrayOf(enum)), "Array(LowCardinality(Nullable(String)))", "Array(LowCardinality(String))", "Array(LowCardinality(Nullable(String)))"},
		{withMod(column("a", arrayOf(numericType)), numericMod(10, 2)), "Array(Nullable(Decimal(10, 2)))", "Array(Decimal(10, 2))", "Array(Nullable(Decimal(10, 2)))"},
		{column("a", vector), "Array(Float32)", "Array(Float32)", "Array(Float32)"},
		{column("a", arrayOf(vector)), "Nullable(String)", "String", "String"},
	} {
		required := test.column
		required.NotNull = true
		for _, c := range []struct {
			column   change.Column
			nullable bool
			want     string
		}{{test.column, true, test.nullable}, {test.column, false, test.defaulted}, {required, true, test.newest}} {
			got := ColumnType(c.column, c.nullable, true)
			if got != c.want {
				t.Errorf("%s (not null: %v, nullable: %v) is %s, want %s", c.column.Type, c.column.NotNull, c.nullable, got, c.want)
			}
			if err := encode.Check(c.column, got); err != nil {
				t.Errorf("the encoder refuses the type that %s is given: %v", c.column.Type, err)
			}
		}
	}
}

// A timestamp must not be shown shifted by a server that lives in another zone.
func TestTimestampOfServerInAnotherZone(t *testing.T) {
	if got, want := ColumnType(notNull("a", timestamp), true, false), "DateTime64(6, 'UTC')"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWider(t *testing.T) {
	for _, test := range []struct {
		from, to string
		want     bool
	}{
		{"Int16", "Int32", true},
		{"Int32", "Int16", false},
		{"UInt32", "Int64", true},
		{"UInt32", "Int32", false},
		{"Int32", "UInt64", false},
		{"Int32", "Nullable(Int64)", true},
		{"Nullable(Int32)", "Nullable(Int64)", true},
		{"Nullable(Int32)", "Int64", false},
		{"Int32", "Float64", true},
		{"Int64", "Float64", false},
		{"Int64", "String", true},
		{"Int32", "Decimal(12, 2)", true},
		{"Int32", "Decimal(11, 2)", false},
		{"Int64", "Decimal(19, 0)", true},
		{"Decimal(10, 2)", "Decimal(12, 2)", true},
		{"Decimal(10, 2)", "Decimal(12, 4)", true},
		{"Decimal(10, 2)", "Decimal(12, 5)", false},
		{"Decimal(10, 2)", "String", false}, // 1.50 is printed as 1.5
		{"Float32", "Float64", true},
		{"Bool", "String", false},
		{"UUID", "Nullable(String)", true},
		{"LowCardinality(String)", "String", true},
		{"LowCardinality(Nullable(String))", "Nullable(String)", true},
		{"LowCardinality(Nullable(String))", "String", false},
		{"String", "LowCardinality(Nullable(String))", true},
		{"Array(Int32)", "Array(Nullable(Int64))", true},
		{"Array(Int32)", "Nullable(String)", false},
		{"DateTime64(3, 'UTC')", "DateTime64(6, 'UTC')", true},
		{"Date32", "DateTime64(6)", false},
		{"String", "Int32", false},
	} {
		if got := wider(test.from, test.to); got != test.want {
			t.Errorf("wider(%s, %s) = %v", test.from, test.to, got)
		}
	}
}
