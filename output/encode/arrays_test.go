package encode

import (
	"strconv"
	"strings"
	"testing"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/pgvalue"
)

// TestArrays stores arrays in each form and compares with what ClickHouse should
// print.
func TestArrays(t *testing.T) {
	pg, click := newSource(t), newDestination(t)
	pg.exec("CREATE TYPE mood AS ENUM ('sad', 'very happy')")
	pg.exec("CREATE DOMAIN small AS int4 CHECK (VALUE < 100)")
	for _, test := range []struct {
		pgType string
		chType string
		values []string // and what is to be stored of each
	}{
		{"int4[]", "Array(Nullable(Int32))", []string{"'{1,-2,NULL}'", "[1,-2,NULL]", "'{}'", "[]", "NULL", "[]"}},
		{"int4[]", "Array(Int32)", []string{"'{1,-2}'", "[1,-2]", "'{}'", "[]", "'{7}'", "[7]"}},
		{"int4[]", "Array(Int64)", []string{"'{1,-2}'", "[1,-2]"}},
		{"int4[]", "String", []string{"'{{1,2},{3,NULL}}'", "{{1,2},{3,NULL}}", "'[2:3]={1,2}'", "[2:3]={1,2}", "'{}'", "{}"}},
		{"int4[]", "Array(Array(Nullable(Int32)))", []string{"'{{1,2},{3,NULL}}'", "[[1,2],[3,NULL]]", "'{}'", "[]", "'{{5}}'", "[[5]]"}},
		{"int4[]", "Array(Array(Array(Int32)))", []string{"'{{{1,2},{3,4}},{{5,6},{7,8}}}'", "[[[1,2],[3,4]],[[5,6],[7,8]]]", "'{}'", "[]", "'{{{9}}}'", "[[[9]]]"}},
		{"small[]", "Array(Nullable(Int32))", []string{"'{1}'", "[1]"}},
		{"int8[]", "Array(Nullable(Int64))", []string{"'{9223372036854775807}'", "[9223372036854775807]"}},
		{"bool[]", "Array(Bool)", []string{"'{t,f}'", "[true,false]"}},
		{"float8[]", "Array(Nullable(Float64))", []string{"'{1.5,NULL,-Infinity}'", "[1.5,NULL,-inf]"}},
		{"numeric(6,2)[]", "Array(Nullable(Decimal(6, 2)))", []string{"'{1.5,NULL,-1234.56}'", "[1.5,NULL,-1234.56]"}},
		{"text[]", "Array(Nullable(String))", []string{
			`'{a,"b c","it''s","\"q\"","back\\slash",NULL,"NULL","",日本}'`,
			`['a','b c','it\'s','"q"','back\\slash',NULL,'NULL','','日本']`, "'{}'", "[]",
		}},
		{"text[]", "Array(LowCardinality(String))", []string{"'{a,b,a}'", "['a','b','a']", "'{}'", "[]", "'{b}'", "['b']"}},
		{"text[]", "Array(LowCardinality(Nullable(String)))", []string{"'{a,NULL,a}'", "['a',NULL,'a']", "'{}'", "[]"}},
		{"text[]", "Array(LowCardinality(String))", []string{"'{}'", "[]"}}, // no elements at all
		{"char(3)[]", "Array(FixedString(3))", []string{"'{a,abc}'", "['a  ','abc']"}},
		{"mood[]", "Array(LowCardinality(String))", []string{"'{sad,\"very happy\"}'", "['sad','very happy']"}},
		{"bytea[]", "Array(String)", []string{`'{"\\x6162","\\x5c"}'`, `['ab','\\']`}},
		{"uuid[]", "Array(UUID)", []string{"'{00112233-4455-6677-8899-aabbccddeeff}'", "['00112233-4455-6677-8899-aabbccddeeff']"}},
		{"date[]", "Array(Nullable(Date32))", []string{"'{1900-01-01,NULL}'", "['1900-01-01',NULL]"}},
		{"timestamptz[]", "Array(DateTime64(6, 'UTC'))", []string{"'{\"2024-01-02 03:04:05.6+00\"}'", "['2024-01-02 03:04:05.600000']"}},
		{"jsonb[]", "Array(String)", []string{`ARRAY['{"a": "b c"}'::jsonb, '[1]']`, `['{"a": "b c"}','[1]']`}},
		{"inet[]", "Array(IPv4)", []string{"'{1.2.3.4}'", "['1.2.3.4']"}},
		{"box[]", "Array(String)", []string{"'{(1,1),(0,0);(2,2),(0,0)}'", "['(1,1),(0,0)','(2,2),(0,0)']"}},
		{"int4range[]", "Array(String)", []string{"'{\"[1,2)\",\"[3,4)\"}'", "['[1,2)','[3,4)']"}},
		{"money[]", "Array(Decimal(18, 2))", []string{"'{1.50,-1234.56}'", "[1.5,-1234.56]"}},
	} {
		t.Run(test.pgType+" in "+test.chType, func(t *testing.T) {
			pg.TB, click.TB = t, t
			var values, want []string
			for i := 0; i < len(test.values); i += 2 {
				values, want = append(values, test.values[i]), append(want, test.values[i+1])
			}
			name, table := pg.table(test.pgType, values)
			to, columns := click.table(test.chType)
			block, err := NewBlock(table, columns, metadataOptions(Fail))
			if err != nil {
				t.Fatal(err)
			}
			forms := []int{formCopy, formText, formRows}
			if pgvalue.Binary(table.Columns[1].Type) {
				forms = append(forms, formBinary)
			}
			for _, form := range forms {
				if err := block.Append(pg.batch(name, table, form)); err != nil {
					t.Fatalf("form %d: %v", form, err)
				}
			}
			click.insert(to, block)
			for _, form := range forms {
				if got := click.values(to, form); strings.Join(got, "\n") != strings.Join(want, "\n") {
					t.Errorf("form %d: ClickHouse prints\n%q, want\n%q", form, got, want)
				}
			}
		})
	}
}

// TestDictionaryWidths stores more distinct values than keys of 8 and of 16 bits
// can number.
func TestDictionaryWidths(t *testing.T) {
	click := newDestination(t)
	table := &change.Table{Schema: "public", Name: "t", Key: []int{0}, Columns: []change.Column{
		{Name: "id", Type: builtin(23, "int4"), TypeMod: -1, NotNull: true, InKey: true},
		{Name: "v", Type: builtin(25, "text"), TypeMod: -1},
	}}
	for _, chType := range []string{"LowCardinality(String)", "LowCardinality(Nullable(String))"} {
		for _, n := range []int{255, 256, 257, 65535, 65536, 65537, 70000} {
			name, columns := click.table(chType)
			block, err := NewBlock(table, columns, metadataOptions(Fail))
			if err != nil {
				t.Fatal(err)
			}
			rows := make([][]cell, n)
			for i := range rows {
				rows[i] = []cell{txt(strconv.Itoa(i)), txt("v" + strconv.Itoa(i))}
			}
			if err := block.Append(tuples(table, rows...)); err != nil {
				t.Fatal(err)
			}
			click.insert(name, block)
			got := click.strings("SELECT toString(countIf(v = concat('v', toString(id)))) AS s FROM " + name)
			if want := strconv.Itoa(n); len(got) != 1 || got[0] != want {
				t.Errorf("%s of %d values: %q are right", chType, n, got)
			}
		}
	}
}
