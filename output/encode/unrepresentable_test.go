package encode

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/pgvalue"
)

// TestUnrepresentable stores values that the destination cannot hold under each
// policy and in each form.
func TestUnrepresentable(t *testing.T) {
	pg, click := newSource(t), newDestination(t)
	pg.exec("CREATE TYPE mood AS ENUM ('sad', 'new')")
	huge := strings.Repeat("9", 200)
	for _, test := range []struct {
		pgType, chType, value string
		null, clamp, reason   string
	}{
		{"date", "Nullable(Date32)", "'1899-12-31'", "NULL", "1900-01-01", "below_range"},
		{"date", "Date32", "'2300-01-01'", "1900-01-01", "2299-12-31", "above_range"},
		{"date", "Nullable(Date32)", "'infinity'", "NULL", "2299-12-31", "infinity"},
		{"date", "Nullable(Date32)", "'-infinity'", "NULL", "1900-01-01", "infinity"},
		{"date", "Nullable(Date32)", "'0044-03-15 BC'", "NULL", "1900-01-01", "below_range"},
		{"date", "Nullable(Date32)", "'5874897-12-31'", "NULL", "2299-12-31", "above_range"},
		{"date", "Nullable(Date)", "'1969-12-31'", "NULL", "1970-01-01", "below_range"},
		{"date", "Nullable(Date)", "'2149-06-07'", "NULL", "2149-06-06", "above_range"},
		{"timestamp", "Nullable(DateTime64(6))", "'1899-12-31 23:59:59.999999'", "NULL", "1900-01-01 00:00:00.000000", "below_range"},
		{"timestamp", "Nullable(DateTime64(6))", "'2300-01-01'", "NULL", "2299-12-31 23:59:59.999999", "above_range"},
		{"timestamptz", "Nullable(DateTime64(6, 'UTC'))", "'infinity'", "NULL", "2299-12-31 23:59:59.999999", "infinity"},
		{"timestamptz", "Nullable(DateTime64(6, 'UTC'))", "'-infinity'", "NULL", "1900-01-01 00:00:00.000000", "infinity"},
		{"timestamptz", "Nullable(DateTime64(6, 'UTC'))", "'4713-01-01 00:00:00+00 BC'", "NULL", "1900-01-01 00:00:00.000000", "below_range"},
		{"timestamptz", "Nullable(DateTime64(6, 'UTC'))", "'294276-12-31 23:59:59.999999+00'", "NULL", "2299-12-31 23:59:59.999999", "above_range"},
		{"timestamptz", "Nullable(DateTime64(9, 'UTC'))", "'2262-04-11 23:47:16.854776+00'", "NULL", "2262-04-11 23:47:16.854775000", "above_range"},
		{"timestamp(2)", "Nullable(DateTime64(2))", "'2300-01-01'", "NULL", "2299-12-31 23:59:59.99", "above_range"},
		{"numeric", "Nullable(Decimal(5, 2))", "1000", "NULL", "999.99", "above_range"},
		{"numeric", "Nullable(Decimal(5, 2))", "-1000", "NULL", "-999.99", "below_range"},
		{"numeric", "Nullable(Decimal(5, 2))", "1.234", "NULL", "1.23", "rounded"},
		{"numeric", "Nullable(Decimal(5, 2))", "1.235", "NULL", "1.24", "rounded"},
		{"numeric", "Nullable(Decimal(5, 2))", "-1.235", "NULL", "-1.24", "rounded"},
		{"numeric", "Nullable(Decimal(5, 2))", "999.995", "NULL", "999.99", "above_range"},
		{"numeric", "Nullable(Decimal(5, 2))", "1e-40", "NULL", "0", "rounded"},
		{"numeric", "Nullable(Decimal(5, 2))", "'NaN'", "NULL", "NULL", "nan"},
		{"numeric", "Decimal(5, 2)", "'NaN'", "0", "0", "nan"},
		{"numeric", "Nullable(Decimal(5, 2))", "'Infinity'", "NULL", "999.99", "infinity"},
		{"numeric", "Nullable(Decimal(5, 2))", "'-Infinity'", "NULL", "-999.99", "infinity"},
		{"numeric", "Nullable(Decimal(38, 10))", huge, "NULL", strings.Repeat("9", 28) + "." + strings.Repeat("9", 10), "above_range"},
		{"numeric", "Nullable(Decimal(76, 38))", "-" + huge, "NULL", "-" + strings.Repeat("9", 38) + "." + strings.Repeat("9", 38), "below_range"},
		{"numeric", "Nullable(Decimal(76, 76))", "0.12344" + huge, "NULL", "0.12345", "rounded"},
		{"numeric", "Nullable(Int64)", "9223372036854775808", "NULL", "9223372036854775807", "above_range"},
		{"numeric", "Nullable(Int64)", "-9223372036854775809", "NULL", "-9223372036854775808", "below_range"},
		{"numeric", "Nullable(Int64)", "0.5", "NULL", "1", "rounded"},
		{"numeric", "Nullable(UInt256)", "-1", "NULL", "0", "below_range"},
		{"numeric", "Nullable(UInt8)", "256", "NULL", "255", "above_range"},
		{"numeric", "Nullable(Int128)", "1e39", "NULL", "170141183460469231731687303715884105727", "above_range"},
		{"numeric", "Nullable(Float64)", "1e400", "NULL", "1.7976931348623157e308", "above_range"},
		{"money", "Nullable(Decimal(18, 2))", "'92233720368547758.07'", "NULL", "9999999999999999.99", "above_range"},
		{"text", "FixedString(3)", "'abcd'", "", "abc", "too_long"},
		{"text", "Nullable(FixedString(4))", "'日本'", "NULL", "日", "too_long"},
		{"bytea", "Nullable(FixedString(2))", `'\x616263'`, "NULL", "ab", "too_long"},
		{"inet", "Nullable(IPv4)", "'10.0.0.0/8'", "NULL", "NULL", "netmask"},
		{"inet", "Nullable(IPv4)", "'::1'", "NULL", "NULL", "netmask"},
		{"inet", "Nullable(IPv6)", "'2001:db8::/32'", "NULL", "NULL", "netmask"},
		{"jsonb", "Nullable(JSON)", "'[1]'", "NULL", "NULL", "not_an_object"},
		{"jsonb", "JSON", "'3'", "{}", "{}", "not_an_object"},
		{"mood", "Nullable(Enum8('sad' = 1))", "'new'", "NULL", "NULL", "unknown_label"},
		{"int4[]", "Array(Int32)", "'{{1,2},{3,4}}'", "[]", "[]", "dimensions"},
		{"int4[]", "Array(Array(Int32))", "'{1,2}'", "[]", "[]", "dimensions"},
		{"int4[]", "Array(Int32)", "'[0:1]={1,2}'", "[]", "[]", "dimensions"},
		{"date[]", "Array(Nullable(Date32))", "'{2024-01-01,1800-01-01}'", "['2024-01-01',NULL]", "['2024-01-01','1900-01-01']", "below_range"},
		{"date[]", "Array(Date32)", "'{2024-01-01,1800-01-01}'", "['2024-01-01','1900-01-01']", "['2024-01-01','1900-01-01']", "below_range"},
	} {
		t.Run(test.value[:min(len(test.value), 30)]+" in "+test.chType, func(t *testing.T) {
			pg.TB, click.TB = t, t
			name, table := pg.table(test.pgType, []string{test.value})
			forms := []int{formCopy, formText, formRows}
			if pgvalue.Binary(table.Columns[1].Type) {
				forms = append(forms, formBinary)
			}
			for policy, want := range map[Policy]string{Null: test.null, Clamp: test.clamp} {
				to, columns := click.table(test.chType)
				lost := map[string]int{}
				options := metadataOptions(policy)
				options.Lossy = func(_ *change.Table, column, reason string, n int) { lost[column+" "+reason] += n }
				block, err := NewBlock(table, columns, options)
				if err != nil {
					t.Fatal(err)
				}
				for _, form := range forms {
					if err := block.Append(pg.batch(name, table, form)); err != nil {
						t.Fatal(err)
					}
				}
				if expected := (map[string]int{"v " + test.reason: len(forms)}); !maps.Equal(lost, expected) {
					t.Errorf("policy %d: counted %v, want %v", policy, lost, expected)
				}
				click.insert(to, block)
				for _, form := range forms {
					if got := click.values(to, form); len(got) != 1 || !identical(want, got[0]) && !sameFloat(64)(want, got[0]) {
						t.Errorf("policy %d, form %d: ClickHouse prints %q, want %q", policy, form, got, want)
					}
				}
			}
			for _, form := range forms {
				block, err := NewBlock(table, []Column{{"id", "Int32"}, {"v", test.chType}}, Options{})
				if err != nil {
					t.Fatal(err)
				}
				err = block.Append(pg.batch(name, table, form))
				if !errors.Is(err, ErrUnrepresentable) || block.Rows() != 0 {
					t.Errorf("form %d: got %v and %d rows, want ErrUnrepresentable and none", form, err, block.Rows())
				}
			}
		})
	}
}
