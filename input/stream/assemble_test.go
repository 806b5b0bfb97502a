package stream

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/penstock/penstock/input/pgoutput"
	"github.com/penstock/penstock/internal/change"
)

func mustRelation(t testing.TB, table *change.Table, sent *pgoutput.Relation) *relation {
	t.Helper()
	r, err := newRelation(table, sent)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func update(kind byte, old, new pgoutput.Tuple) *pgoutput.Update {
	return &pgoutput.Update{RelationOID: 1, OldKind: kind, Old: old, New: new}
}

func TestUpdates(t *testing.T) {
	whole := table("*id", "*name")
	whole.KeyIsWholeRow, whole.Identity = true, change.IdentityFull
	for _, tt := range []struct {
		name       string
		table      *change.Table
		sent       []string
		update     *pgoutput.Update
		want       []string
		unresolved []int
	}{
		{
			name: "of other columns is one row", table: table("*id", "name"), sent: []string{"id", "name"},
			update: update(pgoutput.NoOld, nil, tuple("1", "b")),
			want:   []string{"update@7 id=1 name=b"},
		},
		{
			name: "of the key is a tombstone and a row", table: table("*id", "name"), sent: []string{"id", "name"},
			update: update(pgoutput.KeyOld, tuple("1", null), tuple("2", "b")),
			want:   []string{"delete@7 id=1 name=?", "update@7 id=2 name=b"},
		},
		{
			name: "that sends an equal old key makes no tombstone", table: table("*id", "name"), sent: []string{"id", "name"},
			update: update(pgoutput.KeyOld, tuple("1", null), tuple("1", "b")),
			want:   []string{"update@7 id=1 name=b"},
		},
		{
			name: "of one of two key columns", table: table("*a", "x", "*b"), sent: []string{"a", "x", "b"},
			update: update(pgoutput.KeyOld, tuple("1", null, "2"), tuple("1", "x", "3")),
			want:   []string{"delete@7 a=1 x=? b=2", "update@7 a=1 x=x b=3"},
		},
		{
			name: "unchanged TOAST comes from a full old row", table: table("*id", "doc"), sent: []string{"id", "doc"},
			update: update(pgoutput.FullOld, tuple("1", "large"), tuple("1", unchanged)),
			want:   []string{"update@7 id=1 doc=large"},
		},
		{
			name: "unchanged TOAST never comes from an old key", table: table("*id", "doc"), sent: []string{"id", "doc"},
			update: update(pgoutput.KeyOld, tuple("1", null), tuple("2", unchanged)),
			want:   []string{"delete@7 id=1 doc=?", "update@7 id=2 doc=…"}, unresolved: []int{1},
		},
		{
			name: "unchanged TOAST in the key comes from the old key", table: table("*id", "doc"), sent: []string{"id", "doc"},
			update: update(pgoutput.KeyOld, tuple("large key", null), tuple(unchanged, "b")),
			want:   []string{"update@7 id=large key doc=b"},
		},
		{
			name: "of a full row with NULLs", table: table("*id", "a", "b"), sent: []string{"id", "a", "b"},
			update: update(pgoutput.FullOld, tuple("1", null, "x"), tuple("1", "y", null)),
			want:   []string{"update@7 id=1 a=y b=∅"},
		},
		{
			name: "of a whole-row key", table: whole, sent: []string{"id", "name"},
			update: update(pgoutput.FullOld, tuple("1", null), tuple("1", "b")),
			want:   []string{"delete@7 id=1 name=∅", "update@7 id=1 name=b"},
		},
		{
			name: "of a whole-row key that changes nothing", table: whole, sent: []string{"id", "name"},
			update: update(pgoutput.FullOld, tuple("1", "large"), tuple("1", unchanged)),
			want:   []string{"update@7 id=1 name=large"},
		},
		{
			name: "columns in another order, one of them excluded", table: table("*id", "a", "b"), sent: []string{"b", "secret", "id", "a"},
			update: update(pgoutput.KeyOld, tuple(null, null, "1", null), tuple("B", "s", "2", "A")),
			want:   []string{"delete@7 id=1 a=? b=?", "update@7 id=2 a=A b=B"},
		},
		{
			name: "a generated column is unchanged in the new row and absent from the old", table: table("*id", "=sum", "a"), sent: []string{"id", "a"},
			update: update(pgoutput.FullOld, tuple("1", "x"), tuple("2", "y")),
			want:   []string{"delete@7 id=1 sum=? a=x", "update@7 id=2 sum=… a=y"}, unresolved: []int{1},
		},
		{
			name: "a generated column that the server sends", table: table("*id", "=sum"), sent: []string{"id", "sum"},
			update: update(pgoutput.NoOld, nil, tuple("1", "3")),
			want:   []string{"update@7 id=1 sum=3"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var a assembler
			a.begin(change.Transaction{XID: 1})
			if err := a.update(mustRelation(t, tt.table, announce(tt.sent...)), 7, tt.update); err != nil {
				t.Fatal(err)
			}
			batches := a.take()
			if got := showAll(batches); len(batches) != 1 || !slices.Equal(got, tt.want) {
				t.Errorf("got  %q in %d batches\nwant %q in one", got, len(batches), tt.want)
			}
			if !slices.Equal(batches[0].Unresolved, tt.unresolved) {
				t.Errorf("unresolved rows %v, want %v", batches[0].Unresolved, tt.unresolved)
			}
		})
	}
}

func TestInsertsAndDeletes(t *testing.T) {
	var a assembler
	a.begin(change.Transaction{XID: 1})
	r := mustRelation(t, table("*id", "=sum", "a"), announce("a", "id"))
	for _, err := range []error{
		a.insert(r, 1, &pgoutput.Insert{New: tuple(null, "1")}),
		a.delete(r, 2, &pgoutput.Delete{OldKind: pgoutput.KeyOld, Old: tuple(null, "1")}),
		// Deleted and inserted again in one transaction: the row is there.
		a.insert(r, 3, &pgoutput.Insert{New: tuple("y", "1")}),
		a.delete(r, 4, &pgoutput.Delete{OldKind: pgoutput.FullOld, Old: tuple("y", "2")}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	batches := a.take()
	want := []string{"insert@1 id=1 sum=… a=∅", "delete@2 id=1 sum=? a=?", "insert@3 id=1 sum=… a=y", "delete@4 id=2 sum=? a=y"}
	if got := showAll(batches); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := batches[0].Unresolved; !slices.Equal(got, []int{0, 2}) {
		t.Errorf("unresolved rows %v, want 0 and 2", got)
	}
}

func TestTupleOfAnotherShapeIsRefused(t *testing.T) {
	r := mustRelation(t, table("*id", "a"), announce("id", "a"))
	var a assembler
	short := tuple("1")
	for name, err := range map[string]error{
		"insert":     a.insert(r, 1, &pgoutput.Insert{New: short}),
		"update":     a.update(r, 1, update(pgoutput.NoOld, nil, short)),
		"update old": a.update(r, 1, update(pgoutput.KeyOld, short, tuple("1", "a"))),
		"delete":     a.delete(r, 1, &pgoutput.Delete{OldKind: pgoutput.KeyOld, Old: short}),
	} {
		if err == nil || !strings.Contains(err.Error(), "public.t has 1 columns") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if a.rows != 0 || len(a.take()) != 0 {
		t.Error("a refused row was gathered")
	}
}

// TestOldKeyWithoutTheKeyIsRefused guards against tombstones for nothing: a
// partition whose replica identity is not the partitioned table's.
func TestOldKeyWithoutTheKeyIsRefused(t *testing.T) {
	whole := table("*id", "*a")
	whole.KeyIsWholeRow = true
	for _, tb := range []*change.Table{table("id", "*a"), whole} {
		r := mustRelation(t, tb, announce("id", "a"))
		var a assembler
		var failure *change.Failure
		old := tuple("1", null)
		if err := a.delete(r, 1, &pgoutput.Delete{OldKind: pgoutput.KeyOld, Old: old}); !errors.As(err, &failure) || failure.Class != "replica_identity" {
			t.Errorf("delete: got %v", err)
		}
		if err := a.update(r, 1, update(pgoutput.KeyOld, old, tuple("1", "b"))); !errors.As(err, &failure) {
			t.Errorf("update: got %v", err)
		}
		if a.rows != 0 {
			t.Error("a refused row was gathered")
		}
	}
}

func TestRowWithoutItsKeyIsRefused(t *testing.T) {
	r := mustRelation(t, table("*id", "a"), announce("id", "a"))
	var a assembler
	if err := a.update(r, 1, update(pgoutput.NoOld, nil, tuple(unchanged, "b"))); err == nil || !strings.Contains(err.Error(), `"id"`) {
		t.Errorf("got %v", err)
	}
}

func TestRelationWithoutTheKeyIsRefused(t *testing.T) {
	generated := table("*id", "a")
	generated.Columns[0].Generated = true
	for _, tb := range []*change.Table{table("*id", "a"), generated} {
		if _, err := newRelation(tb, announce("a")); err == nil || !strings.Contains(err.Error(), `"id"`) {
			t.Errorf("got %v", err)
		}
	}
}

// TestColumnNewerThanTheChange: the catalog may be ahead of the stream.
func TestColumnNewerThanTheChange(t *testing.T) {
	var a assembler
	a.begin(change.Transaction{XID: 1})
	if err := a.insert(mustRelation(t, table("*id", "later", "a"), announce("id", "a")), 1, &pgoutput.Insert{New: tuple("1", "x")}); err != nil {
		t.Fatal(err)
	}
	batches := a.take()
	if got := showAll(batches); got[0] != "insert@1 id=1 later=… a=x" || len(batches[0].Unresolved) != 1 {
		t.Errorf("got %q, unresolved %v", got, batches[0].Unresolved)
	}
}

// TestTransactionsOfABatch checks that each row says which commit it is of.
func TestTransactionsOfABatch(t *testing.T) {
	var a assembler
	first := mustRelation(t, table("*id"), announce("id"))
	second := mustRelation(t, table("*id"), announce("id"))
	for xid := uint32(1); xid <= 3; xid++ {
		a.begin(change.Transaction{XID: xid, CommitLSN: uint64(xid)})
		for _, r := range []*relation{first, second, first} {
			if r == second && xid == 2 {
				continue
			}
			if err := a.insert(r, 1, &pgoutput.Insert{New: tuple("1")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	batches := a.take()
	for i, want := range [][]uint32{{1, 1, 2, 2, 3, 3}, {1, 3}} {
		var got []uint32
		for _, row := range batches[i].Rows {
			got = append(got, batches[i].Transactions[row.Transaction].XID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("batch %d: rows of transactions %v, want %v", i, got, want)
		}
	}
	if batches := a.take(); len(batches) != 0 || a.rows != 0 || a.bytes != 0 {
		t.Error("something is left after all was taken")
	}
}

// TestAnnouncingARelationAgainKeepsItsBatch: ANALYZE alone has the server
// announce a table again.
func TestAnnouncingARelationAgainKeepsItsBatch(t *testing.T) {
	var a assembler
	a.begin(change.Transaction{XID: 1})
	tb := table("*id", "a")
	old, now := mustRelation(t, tb, announce("id", "a")), mustRelation(t, tb, announce("a", "id"))
	if err := a.insert(old, 1, &pgoutput.Insert{New: tuple("1", "x")}); err != nil {
		t.Fatal(err)
	}
	a.replace(old, now)
	if err := a.insert(now, 2, &pgoutput.Insert{New: tuple("y", "2")}); err != nil {
		t.Fatal(err)
	}
	batches := a.take()
	want := []string{"insert@1 id=1 a=x", "insert@2 id=2 a=y"}
	if got := showAll(batches); len(batches) != 1 || !slices.Equal(got, want) {
		t.Errorf("got %q in %d batches, want %q in one", got, len(batches), want)
	}
}

// TestALargeBatchDoesNotMakeTheNextOneLarge guards memory: many tables that
// were loaded once and then change a row at a time.
func TestALargeBatchDoesNotMakeTheNextOneLarge(t *testing.T) {
	var a assembler
	r := mustRelation(t, table("*id"), announce("id"))
	large := tuple(strings.Repeat("x", 4<<20))
	for range 2 {
		if err := a.insert(r, 1, &pgoutput.Insert{New: large}); err != nil {
			t.Fatal(err)
		}
	}
	a.take()
	other := mustRelation(t, table("*id"), announce("id"))
	var sizes []int
	for _, r := range []*relation{r, other, r} {
		if err := a.insert(r, 1, &pgoutput.Insert{New: tuple("1")}); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, a.take()[0].Size())
	}
	if sizes[0] < 8<<20 {
		t.Errorf("under load a batch begins with %d bytes", sizes[0])
	}
	if sizes[1] > 1<<16 || sizes[2] > 1<<16 {
		t.Errorf("batches of one small row hold %d bytes", sizes)
	}
}
