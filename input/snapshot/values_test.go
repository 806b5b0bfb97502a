package snapshot

import (
	"context"
	"strings"
	"testing"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/pgvalue"
)

// TestValuesReadAsPostgresPrintsThem: whether a column comes as binary or as
// text, its value is what a session sees. A NULL is one only where the value is
// NULL, not where it is a row of NULLs.
func TestValuesReadAsPostgresPrintsThem(t *testing.T) {
	types := []struct{ typ, value string }{
		{"inet", "'10.1.2.3'"},
		{"inet", "'10.1.2.0/24'"},
		{"cidr", "'10.1.2.0/24'"},
		{"macaddr", "'08:00:2b:01:02:03'"},
		{"int4range", "'[1,5]'"},
		{"int4multirange", "'{[1,5],[9,10]}'"},
		{"numrange", "'empty'"},
		{"pair", "ROW(1, 'a,b \"c\"')"},
		{"pair", "ROW(NULL, NULL)"},
		{"pair", "NULL"},
		{"pair[]", "ARRAY[ROW(1, 'a')::pair, NULL, ROW(NULL, NULL)::pair]"},
		{"inet[]", "'{10.1.2.3,NULL,::1/64}'"},
		{"address", "'::1'"},
		{"positive", "7"},
		{"positive[]", "'{1,2}'"},
		{"amounts", "'{1.5,NULL}'"},
		{"mood", "'so so'"},
		{"mood[]", "'{sad,\"so so\"}'"},
		{"bit(5)", "B'10101'"},
		{"tsvector", "'fat:1 cat:2'::tsvector"},
		{"point", "'(1.5,-2)'"},
		{"box[]", "'{(1,1),(0,0);(2,2),(1,1)}'"},
		{"int2vector", "'1 2 3'"},
		{"pg_lsn", "'16/B374D848'"},
		{"regclass", "'pg_class'"},
		{"char(5)", "'ab'"},
		{`"char"`, "'x'"},
		{"text", "'100%s \\ '' \" 😀'"},
		{"numeric", "'123456789012345678901234567890.000100'"},
		{"numeric(5,2)[]", "'{1.5,NaN}'"},
		{"money", "'-1234.5'"},
		{"float8", "0.1::float8 + 0.2"},
		{"timestamptz", "'2024-02-29 23:59:59.999999+02'"},
		{"timestamp", "'infinity'"},
		{"date", "'0044-03-15 BC'"},
		{"timetz", "'24:00:00-03:30'"},
		{"interval", "'-1 year 2 months -3 days 04:05:06.789'"},
		{"jsonb", "'{\"a\": 12345678901234567890.10}'"},
		{"bytea", "'\\x00ff5c27'"},
		{"uuid", "'6f1f2a3c-0000-4000-8000-00000000abcd'"},
		{"int[]", "'[0:1]={1,2}'"},
		{"int[]", "'{{1,2},{3,NULL}}'"},
	}
	d := newDatabase(t,
		"CREATE TYPE pair AS (n int, t text)", "CREATE DOMAIN address AS inet", "CREATE DOMAIN small AS int CHECK (value < 100)",
		"CREATE DOMAIN positive AS small CHECK (value > 0)", "CREATE DOMAIN amounts AS numeric(10,2)[]", "CREATE TYPE mood AS ENUM ('sad', 'so so')")
	for _, optional := range []struct{ setup, typ, value string }{
		{"CREATE EXTENSION hstore", "hstore", `'a=>1, "b c"=>NULL'`},
		{"CREATE EXTENSION citext", "citext", "'MiXed'"},
		{"CREATE EXTENSION ltree", "ltree", "'Top.Science'"},
		{"SELECT xml '<a/>'", "xml", `'<a b="1">x &amp; y</a>'`},
	} {
		if _, err := d.db.Exec(t.Context(), optional.setup); err != nil {
			t.Logf("left out %s: %v", optional.typ, err)
			continue
		}
		types = append(types, struct{ typ, value string }{optional.typ, optional.value})
	}
	d.exec("CREATE TABLE everything ()")
	columns, values := make([]string, len(types)), make([]string, len(types))
	for i, tt := range types {
		columns[i] = "c" + string(rune('A'+i/26)) + string(rune('a'+i%26))
		values[i] = tt.value + "::" + tt.typ
		if tt.typ == "money" {
			values[i] = tt.value + "::numeric::money"
		}
		d.exec("ALTER TABLE everything ADD COLUMN " + `"` + columns[i] + `" ` + tt.typ)
	}
	d.exec("INSERT INTO everything VALUES ("+strings.Join(values, ", ")+")", "INSERT INTO everything DEFAULT VALUES")

	// A simple query has values in the text format.
	results, err := d.db.PgConn().Exec(t.Context(), "SELECT * FROM everything").ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := results[0].Rows[0]
	table := d.table("everything")
	seen := 0
	err = Run(t.Context(), d.source, d.export(), Unfinished(table, d.plan(table, 100)), Options{Parallelism: 1, Limits: Limits{Rows: 10, Bytes: 1 << 20}}, batches(func(b *change.Batch) error {
		cells := make([]change.Cell, len(b.Table.Columns)*len(b.Rows))
		if err := b.Cells(0, len(b.Rows), cells); err != nil {
			return err
		}
		for i, c := range b.Table.Columns {
			cell := cells[i*len(b.Rows)]
			got := string(cell.Bytes(b.Data))
			if cell.Kind == change.Binary {
				text, err := pgvalue.AppendText(nil, c.Type, c.TypeMod, cell.Bytes(b.Data))
				if err != nil {
					t.Errorf("%s %s: %v", types[i].typ, types[i].value, err)
				}
				got = string(text)
			}
			expected := string(want[i])
			if c.Type.OID == 790 { // plain decimal, as documented
				expected = strings.NewReplacer("$", "", ",", "").Replace(expected)
			}
			if (cell.Kind == change.Null) != (want[i] == nil) || got != expected {
				t.Errorf("%s %s: got %q (%c), want %q", types[i].typ, types[i].value, got, cell.Kind, expected)
			}
			if empty := cells[i*len(b.Rows)+1]; empty.Kind != change.Null {
				t.Errorf("%s: NULL came as %c %q", types[i].typ, empty.Kind, empty.Bytes(b.Data))
			}
			seen++
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if seen != len(types) {
		t.Errorf("saw %d of %d values", seen, len(types))
	}
}

// batches is a sink that looks at batches alone.
type batches func(*change.Batch) error

func (f batches) Batch(_ context.Context, _ Chunk, b *change.Batch) error { return f(b) }

func (f batches) Copied(context.Context, Chunk) error { return nil }
