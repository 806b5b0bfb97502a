package catalog

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/penstock/penstock/internal/change"
)

func TestSelection(t *testing.T) {
	for _, tt := range []struct {
		include, exclude []string
		schema, table    string
		want             bool
	}{
		{nil, nil, "public", "orders", true},
		{[]string{"*"}, nil, "public", "orders", true},
		{[]string{"public.*"}, nil, "public", "orders", true},
		{[]string{"public.*"}, nil, "publication", "orders", false},
		{[]string{"public.order?"}, nil, "public", "orders", true},
		{[]string{"public.[a-m]*"}, nil, "public", "orders", false},
		{[]string{"*.orders"}, nil, "shop", "orders", true},
		{[]string{"public.orders"}, nil, "public", "Orders", false},
		{[]string{"public.*"}, []string{"public.tmp_*"}, "public", "tmp_1", false},
		{[]string{"public.tmp_1"}, []string{"public.tmp_*"}, "public", "tmp_1", false},
		{[]string{"public.*"}, nil, "public", "a/b", true},
		{[]string{"public.a?b"}, nil, "public", "a/b", true},
		{[]string{`public.\*`}, nil, "public", "orders", false},
	} {
		s := Selection{Include: tt.include, Exclude: tt.exclude}
		if got := s.Matches(tt.schema, tt.table); got != tt.want {
			t.Errorf("%v without %v matches %s.%s: %v", tt.include, tt.exclude, tt.schema, tt.table, got)
		}
	}
}

func TestSelectionCheckNamesTheField(t *testing.T) {
	for _, tt := range []struct {
		selection Selection
		want      string
	}{
		{Selection{Include: []string{"public.*", "*"}, Exclude: []string{"public.[ab]"}}, ""},
		{Selection{Include: []string{"orders"}}, "field `tables`: \"orders\" names no schema: write schema.table, such as \"public.orders\""},
		{Selection{Exclude: []string{"public.[a"}}, "field `exclude_tables`: \"public.[a\" is not a valid glob"},
		{Selection{ExcludeColumns: map[string][]string{"users": {"ssn"}}}, "field `exclude_columns`: \"users\" names no schema"},
	} {
		err := tt.selection.Check()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%+v: got %v, want %q", tt.selection, err, tt.want)
		}
	}
}

func TestLiteralMatchesOneTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-b*?\[\]\\/^.-]{1,6}`)
		schema, table := name.Draw(t, "schema"), name.Draw(t, "table")
		s := Selection{Include: []string{Literal(schema + "." + table)}}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		if !s.Matches(schema, table) {
			t.Fatalf("%q does not match its own table", s.Include[0])
		}
		if other := name.Draw(t, "other"); schema+"."+other != schema+"."+table && s.Matches(schema, other) {
			t.Fatalf("%q matches %q", s.Include[0], other)
		}
	})
}

func TestTablesAreSelected(t *testing.T) {
	d := newDatabase(t,
		"CREATE SCHEMA shop", `CREATE TABLE shop."Or.der" (id int PRIMARY KEY)`,
		"CREATE TABLE b (id int PRIMARY KEY)", "CREATE TABLE a (id int PRIMARY KEY)", "CREATE TABLE tmp_1 (id int PRIMARY KEY)",
		"CREATE TEMP TABLE passing (id int PRIMARY KEY)", "CREATE VIEW v AS SELECT 1", "CREATE MATERIALIZED VIEW m AS SELECT 1",
		"CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id)", "CREATE TABLE parts1 PARTITION OF parts DEFAULT",
		"CREATE TABLE child (PRIMARY KEY (id)) INHERITS (a)",
	)
	for _, tt := range []struct {
		include, exclude []string
		want             string
	}{
		{[]string{"public.*"}, []string{"public.tmp*"}, "public.a public.b public.child public.parts"},
		{[]string{"shop.*", "public.a"}, nil, "public.a shop.Or.der"},
		{[]string{"*"}, []string{"public.*"}, "shop.Or.der"},
		{nil, []string{"public.*"}, "shop.Or.der"},
	} {
		tables, err := d.tables(Selection{Include: tt.include, Exclude: tt.exclude}, nil)
		if err != nil || names(tables) != tt.want {
			t.Errorf("%v without %v: got %s, %v, want %s", tt.include, tt.exclude, names(tables), err, tt.want)
		}
	}
	parts := d.table("parts")
	if !parts.Partitioned || d.table("a").Partitioned {
		t.Error("which table is partitioned is mixed up")
	}
	_, err := d.tables(Selection{Include: []string{"nowhere.*"}, Exclude: []string{"public.a"}}, nil)
	wantFailure(t, err, ClassConfiguration, "`tables: [nowhere.*]`", "`exclude_tables: [public.a]`")
	_, err = d.tables(Selection{Include: []string{"public.parts1"}}, nil)
	wantFailure(t, err, ClassConfiguration)
	_, err = d.tables(Selection{Include: []string{"public.a"}, ExcludeColumns: map[string][]string{"public.a": {"ssn"}}}, nil)
	wantFailure(t, err, ClassConfiguration, "`exclude_columns`", `"ssn"`, "public.a")
}

// describe shows the columns of a table, the key in braces in its order.
func describe(t *Table) string {
	var b strings.Builder
	for i, c := range t.Columns {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %s", c.Name, c.Type)
		if c.TypeMod >= 0 {
			fmt.Fprintf(&b, "(%d)", c.TypeMod)
		}
		for what, is := range map[string]bool{" NOT NULL": c.NotNull, " GENERATED": c.Generated} {
			if is {
				b.WriteString(what)
			}
		}
		if c.InKey != strings.Contains(" "+strings.Join(t.KeyNames(), " ")+" ", " "+c.Name+" ") {
			b.WriteString(" InKey is wrong")
		}
	}
	fmt.Fprintf(&b, " {%s}", strings.Join(t.KeyNames(), ", "))
	if t.KeyIsWholeRow {
		b.WriteString(" whole row")
	}
	return b.String()
}

func TestKeys(t *testing.T) {
	d := newDatabase(t)
	for i, tt := range []struct {
		name       string
		columns    string
		then       string // %s is the table
		want       string
		failure    []string
		exclude    []string
		notStreams bool // nothing but a snapshot
	}{
		{name: "in the order of the index", columns: "a int, b int, c int, PRIMARY KEY (c, a)", want: "a int4 NOT NULL, b int4, c int4 NOT NULL {c, a}"},
		{name: "without included columns", columns: "a int, b int, PRIMARY KEY (a) INCLUDE (b)", want: "a int4 NOT NULL, b int4 {a}"},
		{name: "behind a dropped column", columns: "gone int, a int PRIMARY KEY", then: "ALTER TABLE %s DROP COLUMN gone", want: "a int4 NOT NULL {a}"},
		{name: "identity index", columns: "a int PRIMARY KEY, b int NOT NULL, c int NOT NULL", then: "CREATE UNIQUE INDEX %[1]s_i ON %[1]s (c, b); ALTER TABLE %[1]s REPLICA IDENTITY USING INDEX %[1]s_i", want: "a int4 NOT NULL, b int4 NOT NULL, c int4 NOT NULL {c, b}"},
		{name: "full with a key", columns: "a int PRIMARY KEY, b int", then: "ALTER TABLE %s REPLICA IDENTITY FULL", want: "a int4 NOT NULL, b int4 {a}"},
		{name: "full without a key", columns: "a int, g int GENERATED ALWAYS AS (a + 1) STORED, b int", then: "ALTER TABLE %s REPLICA IDENTITY FULL", want: "a int4, g int4 GENERATED, b int4 {a, b} whole row"},
		// A deferrable key may be held by two rows inside a transaction: rows
		// would take each other's place.
		{name: "full with a deferrable key", columns: "a int PRIMARY KEY DEFERRABLE, b int", then: "ALTER TABLE %s REPLICA IDENTITY FULL", want: "a int4 NOT NULL, b int4 {a, b} whole row"},
		{name: "deferrable key", columns: "a int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED", failure: []string{"DEFAULT", "REPLICA IDENTITY FULL"}},
		{name: "none", columns: "a int", failure: []string{"no usable replica identity", "DEFAULT", "REPLICA IDENTITY FULL"}},
		{name: "nothing", columns: "a int PRIMARY KEY", then: "ALTER TABLE %s REPLICA IDENTITY NOTHING", failure: []string{"NOTHING"}},
		{name: "nothing for a snapshot", columns: "a int PRIMARY KEY", then: "ALTER TABLE %s REPLICA IDENTITY NOTHING", notStreams: true, want: "a int4 NOT NULL {a}"},
		{name: "none for a snapshot", columns: "a int, b int", notStreams: true, want: "a int4, b int4 {a, b} whole row"},
		{name: "excluded", columns: "a int, b int, PRIMARY KEY (a, b)", exclude: []string{"b"}, failure: []string{"exclude_columns"}},
		{name: "beside excluded columns", columns: "x text, a int PRIMARY KEY, y text", exclude: []string{"x"}, want: "a int4 NOT NULL, y text {a}"},
		{name: "unlogged", columns: "a int PRIMARY KEY", then: "ALTER TABLE %s SET UNLOGGED", failure: []string{"UNLOGGED", "SET LOGGED"}},
		{name: "unlogged for a snapshot", columns: "a int PRIMARY KEY", then: "ALTER TABLE %s SET UNLOGGED", notStreams: true, want: "a int4 NOT NULL {a}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := *d
			d.t = t
			table := fmt.Sprintf("t%d", i)
			d.exec(fmt.Sprintf("CREATE TABLE %s (%s)", table, tt.columns))
			if tt.then != "" {
				d.exec(fmt.Sprintf(tt.then, table))
			}
			selection := Selection{Include: []string{"public." + table}, ExcludeColumns: map[string][]string{"public." + table: tt.exclude}}
			tables, err := Tables(t.Context(), d.db, d.server, &selection, nil, !tt.notStreams)
			if tt.failure != nil {
				class := ClassIdentity
				if tt.name == "unlogged" || tt.name == "excluded" {
					class = ClassConfiguration
				}
				wantFailure(t, err, class, append(tt.failure, "public."+table)...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(tables[0]); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if tables[0].KeyIsWholeRow != (len(tables[0].Warnings) > 0) {
				t.Errorf("warnings %q", tables[0].Warnings)
			}
		})
	}
}

// TestGeneratedKeyNeedsToBePublished: the stream of PostgreSQL before 18 does
// not carry generated columns, so a key of them never arrives.
func TestGeneratedKeyNeedsToBePublished(t *testing.T) {
	d := newDatabase(t, "CREATE TABLE g (a int NOT NULL, k int GENERATED ALWAYS AS (a * 2) STORED PRIMARY KEY)")
	_, err := d.tables(Selection{Include: []string{"public.g"}}, nil)
	if d.server.Version < 180000 {
		wantFailure(t, err, ClassIdentity, `"k"`, "public.g", "REPLICA IDENTITY USING INDEX")
	} else if err != nil {
		t.Error(err)
	}
}

func TestTypes(t *testing.T) {
	d := newDatabase(t,
		"CREATE SCHEMA s", "CREATE TYPE s.mood AS ENUM ('a', 'b')", "CREATE TYPE pair AS (a int, b text)",
		"CREATE DOMAIN cents AS numeric(10,2)", "CREATE DOMAIN price AS cents CHECK (value > 0)", "CREATE DOMAIN prices AS price[]", "CREATE DOMAIN moods AS s.mood[]",
		`CREATE TABLE t (id int PRIMARY KEY, p price, ps price[], pss prices, m s.mood, ms moods, mm s.mood[], n numeric(5,1)[], v varchar(7), b box[], pr pair, r int4range, mr int4multirange, mo money, mos money[], iv int2vector, nested int[][])`,
	)
	const numeric102, numeric51 = 10<<16 | 2 + 4, 5<<16 | 1 + 4
	want := fmt.Sprintf("id int4 NOT NULL, p numeric(%d), ps numeric[](%[1]d), pss numeric[](%[1]d), m s.mood, ms s.mood[], mm s.mood[], n numeric[](%d), v varchar(11), b box[], pr public.pair, r int4range, mr int4multirange, mo money, mos money[], iv int2[], nested int4[] {id}", numeric102, numeric51)
	table := d.table("t")
	if got := describe(table); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	kinds := map[string]change.TypeKind{
		"p": change.TypeBase, "ps": change.TypeArray, "pss": change.TypeArray, "m": change.TypeEnum, "ms": change.TypeArray,
		"pr": change.TypeComposite, "r": change.TypeRange, "mr": change.TypeMultirange,
	}
	for name, kind := range kinds {
		if got := table.Columns[table.Column(name)].Type.Kind; got != kind {
			t.Errorf("%s is of kind %c, want %c", name, got, kind)
		}
	}
	column := func(name string) *change.Type { return table.Columns[table.Column(name)].Type }
	if column("b").Delim != ';' || column("n").Delim != ',' {
		t.Errorf("delimiters %c and %c", column("b").Delim, column("n").Delim)
	}
	if column("mo").MoneyDigits != 2 || column("mos").Elem.MoneyDigits != 2 || column("p").MoneyDigits != 0 {
		t.Error("the digits of money are wrong")
	}
	if column("ms").Elem.Kind != change.TypeEnum || column("ps").Elem.OID != 1700 {
		t.Error("elements of domains are not resolved")
	}
	// The definition survives the trip through the pipe's state.
	again, err := change.Parse(table.Describe())
	if err != nil || describe(&Table{Table: again}) != want {
		t.Errorf("got %v, %v", again, err)
	}
}

func TestPartitionsNeedWhatTheirTableHas(t *testing.T) {
	const parts = "CREATE TABLE parts (id int, p int, note text, PRIMARY KEY (p, id)) PARTITION BY LIST (p)"
	for _, tt := range []struct {
		name       string
		statements []string
		class      string
		want       []string
	}{
		{"a key like the table's", []string{"CREATE TABLE leaf PARTITION OF parts FOR VALUES IN (1)"}, "", nil},
		{"full", []string{"CREATE TABLE leaf PARTITION OF parts FOR VALUES IN (1)", "ALTER TABLE leaf REPLICA IDENTITY FULL"}, "", nil},
		{"nothing", []string{"CREATE TABLE leaf PARTITION OF parts FOR VALUES IN (1)", "ALTER TABLE leaf REPLICA IDENTITY NOTHING"}, ClassIdentity, []string{`public.leaf`, "NOTHING", "p, id"}},
		{"another index", []string{
			"CREATE TABLE leaf PARTITION OF parts FOR VALUES IN (1)", "ALTER TABLE leaf ALTER note SET NOT NULL",
			"CREATE UNIQUE INDEX leaf_note ON leaf (note)", "ALTER TABLE leaf REPLICA IDENTITY USING INDEX leaf_note",
		}, ClassIdentity, []string{`public.leaf`, "INDEX", "REPLICA IDENTITY FULL"}},
		{"full above and a key below", []string{
			"CREATE TABLE middle PARTITION OF parts FOR VALUES IN (1) PARTITION BY RANGE (id)", "CREATE TABLE leaf PARTITION OF middle DEFAULT",
			"ALTER TABLE parts DROP CONSTRAINT parts_pkey, REPLICA IDENTITY FULL",
		}, ClassIdentity, []string{`public.leaf`, "DEFAULT"}},
		{"unlogged", []string{"CREATE UNLOGGED TABLE leaf PARTITION OF parts FOR VALUES IN (1)"}, ClassConfiguration, []string{`public.leaf`, "UNLOGGED"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDatabase(t, append([]string{parts}, tt.statements...)...)
			_, err := d.tables(Selection{Include: []string{"public.parts"}}, nil)
			if tt.class == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantFailure(t, err, tt.class, append(tt.want, "public.parts")...)
		})
	}
	t.Run("a foreign table", func(t *testing.T) {
		d := newDatabase(t, "CREATE TABLE parts (id int, p int) PARTITION BY LIST (p)", "ALTER TABLE parts REPLICA IDENTITY FULL")
		if _, err := d.db.Exec(t.Context(), "CREATE EXTENSION file_fdw"); err != nil {
			t.Skip(err)
		}
		d.exec("CREATE SERVER files FOREIGN DATA WRAPPER file_fdw", "CREATE FOREIGN TABLE leaf PARTITION OF parts FOR VALUES IN (1) SERVER files OPTIONS (filename '/dev/null')")
		if warnings := fmt.Sprint(d.table("parts").Warnings); !strings.Contains(warnings, "public.leaf is a foreign table") {
			t.Errorf("warnings %s", warnings)
		}
	})
}

// TestTablesThatMayNotBeReadAreNamed before anything is copied, partitions too:
// the right to read a partitioned table is not one to read its partitions.
func TestTablesThatMayNotBeReadAreNamed(t *testing.T) {
	d := newDatabase(t, "CREATE TABLE hidden (id int PRIMARY KEY)", "CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id)", "CREATE TABLE leaf PARTITION OF parts DEFAULT",
		"CREATE TABLE partly (id int PRIMARY KEY, secret text)", "CREATE TABLE guarded (id int PRIMARY KEY)", "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY")
	name, dsn := d.role("REPLICATION")
	d.exec("GRANT SELECT ON parts, guarded TO "+name, "GRANT SELECT (id) ON partly TO "+name)
	plain := open(t, dsn)
	_, err := plain.tables(Selection{Include: []string{"public.hidden"}}, nil)
	wantFailure(t, err, ClassPrivilege, "public.hidden", `GRANT SELECT ON "public"."hidden"`)
	_, err = plain.tables(Selection{Include: []string{"public.parts"}}, nil)
	wantFailure(t, err, ClassPrivilege, "public.leaf")
	if _, err = plain.tables(Selection{Include: []string{"public.partly"}, ExcludeColumns: map[string][]string{"public.partly": {"secret"}}}, nil); err != nil {
		t.Error(err)
	}
	if warnings := fmt.Sprint(plain.table("guarded").Warnings); !strings.Contains(warnings, "BYPASSRLS") {
		t.Errorf("warnings %s", warnings)
	}
	if warnings := d.table("guarded").Warnings; len(warnings) > 0 {
		t.Errorf("a superuser sees all rows, and is warned: %s", warnings)
	}
	d.exec("GRANT SELECT ON leaf TO " + name)
	if _, err = plain.tables(Selection{Include: []string{"public.parts"}}, nil); err != nil {
		t.Error(err)
	}
}

func TestColumnsOfADroppedTableAreNone(t *testing.T) {
	d := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY, n numeric(4,1))")
	table := d.table("t")
	types := NewTypes(d.db, 2)
	columns, err := Columns(t.Context(), d.db, types, table.OID)
	if err != nil || len(columns) != 2 || columns[1].TypeMod != table.Columns[1].TypeMod {
		t.Errorf("got %+v, %v", columns, err)
	}
	d.exec("DROP TABLE t")
	if columns, err := Columns(t.Context(), d.db, types, table.OID); err != nil || len(columns) != 0 {
		t.Errorf("got %+v, %v", columns, err)
	}
}
