package ddl

import (
	"context"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/penstock/penstock/internal/change"
)

// Whatever a column is called, it comes back from the server as it was, and as part of the sorting key.
func TestNamesSurviveTheServer(t *testing.T) {
	conn, database := connect(t)
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringOfN(rapid.OneOf(
			rapid.RuneFrom([]rune("`\"'\\.,() ;-%/*{}$?\n\t\r\b\f\x01ab")), rapid.Rune(),
		), 1, 12, -1).Filter(func(s string) bool { return !slices.Contains([]rune(s), 0xFFFD) }), 1, 3, func(s string) string { return s }).Draw(t, "names")
		var columns []change.Column
		for _, name := range names {
			columns = append(columns, notNull(name, int8))
		}
		key := table(len(names), columns...)
		target := newTarget(database)
		target.Name = names[0]
		if len(target.Name) > 60 || slices.Contains([]byte(target.Name), '/') {
			target.Name = "t" // a name of a file, which has limits of its own
		}
		ctx := context.Background()
		statement, err := target.Create(key)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Exec(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		existing, err := target.Read(ctx, conn)
		if err != nil || existing == nil {
			t.Fatalf("reading %s: %v, %v", target, existing, err)
		}
		if !slices.Equal(existing.SortingKey, names) {
			t.Fatalf("sorting key is %q, want %q", existing.SortingKey, names)
		}
		if err := target.Check(key, existing); err != nil {
			t.Fatal(err)
		}
		if err := conn.Exec(ctx, "DROP TABLE "+QuoteName(database, target.Name)+" SYNC"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestIdentifiers(t *testing.T) {
	for _, test := range []struct {
		expression string
		want       []string
	}{
		{"toYYYYMM(created_at)", []string{"created_at"}},
		{"(a, `b.c`, \"d\")", []string{"a", "b.c", "d"}},
		{"intDiv(id, 1000000) % 10", []string{"id"}},
		{"toStartOfInterval (at, 'of \\' day')", []string{"at"}},
		{"1e5 + x1", []string{"x1"}},
		{"tuple()", nil},
	} {
		got, err := identifiers(test.expression)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("identifiers(%s) = %q, %v; want %q", test.expression, got, err, test.want)
		}
	}
	for _, bad := range []string{"a; DROP TABLE b", "`open"} {
		if got, err := identifiers(bad); err == nil {
			t.Errorf("identifiers(%s) = %q, want an error", bad, got)
		}
	}
}

func TestReplacingColumns(t *testing.T) {
	for _, test := range []struct{ engineFull, version, isDeleted string }{
		{"ReplacingMergeTree ORDER BY (a, b)", "", ""},
		{"ReplacingMergeTree ORDER BY id", "", ""},
		{"ReplacingMergeTree(_version) ORDER BY id", "_version", ""},
		{"ReplacingMergeTree(_version, _is_deleted) ORDER BY id", "_version", "_is_deleted"},
		{"ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/(x)', '{replica}', `v.1`, d) ORDER BY id", "v.1", "d"},
		{"SharedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', _peerdb_version) ORDER BY id", "_peerdb_version", ""},
	} {
		version, isDeleted := replacingColumns(test.engineFull)
		if version != test.version || isDeleted != test.isDeleted {
			t.Errorf("replacingColumns(%s) = %q, %q; want %q, %q", test.engineFull, version, isDeleted, test.version, test.isDeleted)
		}
	}
}
