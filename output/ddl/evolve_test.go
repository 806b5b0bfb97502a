package ddl

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/devstack/devtest"
)

func types(e *Existing) map[string]string {
	m := make(map[string]string)
	for _, c := range e.Columns {
		m[c.Name] = c.Type
	}
	return m
}

func TestEvolve(t *testing.T) {
	conn, database := connect(t)
	before := func() *change.Table {
		return table(1, notNull("id", int8), notNull("n", int4), column("note", text), notNull("total", numericType))
	}
	for _, test := range []struct {
		name        string
		after       *change.Table
		want        map[string]string // types of columns after the ALTER
		unchanged   bool              // no ALTER is needed
		errContains string
	}{
		{
			name:  "added columns",
			after: table(1, notNull("id", int8), notNull("n", int4), column("note", text), notNull("total", numericType), column("a`b", int4), notNull("c", text), column("tags", arrayOf(text))),
			want:  map[string]string{"a`b": "Nullable(Int32)", "c": "Nullable(String)", "tags": "Array(Nullable(String))"},
		},
		{
			name:  "wider and nullable",
			after: table(1, notNull("id", int8), column("n", int8), column("note", text), notNull("total", numericType)),
			want:  map[string]string{"n": "Nullable(Int64)"},
		},
		{
			name:      "dropped column",
			after:     table(1, notNull("id", int8), column("note", text), notNull("total", numericType)),
			unchanged: true,
		},
		{
			name:  "renamed column",
			after: table(1, notNull("id", int8), notNull("n", int4), column("remark", text), notNull("total", numericType)),
			want:  map[string]string{"note": "Nullable(String)", "remark": "Nullable(String)"},
		},
		{
			name:      "an older definition again",
			after:     table(1, notNull("id", int8)),
			unchanged: true,
		},
		{
			name:        "another kind of type",
			after:       table(1, notNull("id", int8), column("n", boolType), column("note", text)),
			errContains: `column "n" of type bool cannot be stored in Int32`,
		},
		{
			name:        "another key",
			after:       table(2, notNull("id", int8), notNull("n", int4), column("note", text), notNull("total", numericType)),
			errContains: `without column "n"`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			target := newTarget(database)
			mustExec(t, conn, "DROP TABLE IF EXISTS "+target.quoted()+" SYNC")
			statement, err := target.Create(before())
			if err != nil {
				t.Fatal(err)
			}
			mustExec(t, conn, statement)
			mustExec(t, conn, "INSERT INTO "+target.quoted()+" (id, n, note, total) VALUES (1, 7, 'x', '1.50')")

			alter, err := target.Evolve(test.after, mustRead(t, conn, target))
			if test.errContains != "" {
				var incompatible *IncompatibleError
				if !errors.As(err, &incompatible) || !strings.Contains(err.Error(), test.errContains) {
					t.Fatalf("got %q, %v, want an error that contains %q", alter, err, test.errContains)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if test.unchanged {
				if alter != "" {
					t.Errorf("got %s, want nothing to do", alter)
				}
				return
			}
			mustExec(t, conn, alter)
			evolved := mustRead(t, conn, target)
			for name, want := range test.want {
				if got := types(evolved)[name]; got != want {
					t.Errorf("column %s is %s, want %s", name, got, want)
				}
			}
			if err := target.Check(test.after, evolved); err != nil {
				t.Errorf("the altered table does not fit: %v", err)
			}
			if again, err := target.Evolve(test.after, evolved); again != "" || err != nil {
				t.Errorf("asked again: %q, %v", again, err)
			}
			var n string
			if err := conn.QueryRow(t.Context(), "SELECT toString(n) FROM "+target.quoted()).Scan(&n); err != nil || n != "7" {
				t.Errorf("the row that was there has n = %q, %v", n, err)
			}
		})
	}
}

func TestDropped(t *testing.T) {
	e := &Existing{Columns: []ExistingColumn{{Name: "id"}, {Name: "gone"}, {Name: "_version"}, {Name: "_synced_at"}}}
	if got, want := newTarget("db").Dropped(table(1, notNull("id", int8)), e), []string{"gone"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A TRUNCATE removes what was before it, with version 0 too, and nothing that came after it.
func TestTruncate(t *testing.T) {
	conn, database := connect(t)
	source := table(1, notNull("id", int8))
	target := newTarget(database)
	statement, err := target.Create(source)
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, conn, statement)
	mustExec(t, conn, "INSERT INTO "+target.quoted()+" (id, _version) SELECT number, 0 FROM numbers(1000)")
	mustExec(t, conn, "INSERT INTO "+target.quoted()+" (id, _version) VALUES (1, 99), (2, 100), (3, 101)")
	if n, err := target.Older(t.Context(), conn, 100); n != 1001 || err != nil {
		t.Fatalf("%d rows are older, %v; want 1001", n, err)
	}
	truncate := target.Truncate(mustRead(t, conn, target), 100)
	for range 2 { // replayed, it changes nothing
		mustExec(t, conn, truncate)
		devtest.Eventually(t, 30*time.Second, "no older row is left", func() (bool, error) {
			n, err := target.Older(t.Context(), conn, 100)
			return n == 0, err
		})
		var ids []int64
		if err := conn.QueryRow(t.Context(), "SELECT groupArraySorted(10)(id) FROM "+target.quoted()).Scan(&ids); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(ids, []int64{2, 3}) {
			t.Errorf("rows %v are left, want 2 and 3", ids)
		}
	}
	for _, engine := range []Engine{MergeTree, Null} {
		target.Engine = engine
		if got := target.Truncate(&Existing{Engine: engine}, 100); got != "" {
			t.Errorf("engine %s: got %s", engine, got)
		}
	}
}
