package output

import (
	"fmt"
	"strings"
	"testing"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/devstack/devtest"
)

func begin(t *change.Table) *change.Control {
	return &change.Control{Operation: change.TableBegin, Table: t}
}

func done(t *change.Table) *change.Control {
	return &change.Control{Operation: change.TableDone, Table: t}
}

func tablesOf(t testing.TB, dsn string) string {
	t.Helper()
	return strings.ReplaceAll(lines(t, dsn, "name", "system.tables WHERE database = currentDatabase() ORDER BY name"), "\n", " ")
}

// While a table is loaded again the old one stays right, and the new one has both the load and the changes meanwhile.
func TestResync(t *testing.T) {
	noLeaks(t)
	dsn := devtest.ClickHouse(t)
	o, _ := connected(t, dsn, "")
	source := users()
	mustWrite(t, o, messages(batch(source,
		row{0, read, []any{int64(1), "ann"}}, row{0, read, []any{int64(2), "wrong"}}, row{0x10, insertOp, []any{int64(3), "stale"}},
	)))
	exec(t, dsn, "ALTER TABLE public_users ADD COLUMN added String DEFAULT 'kept'")

	mustWrite(t, o, messages(begin(source)))
	mustWrite(t, o, messages(batch(source, row{0x20, insertOp, []any{int64(4), "during"}})))
	if got, want := usersNow(t, dsn), "1|ann|0\n2|wrong|0\n3|stale|16\n4|during|32"; got != want {
		t.Errorf("during the load users are\n%s\nwant\n%s", got, want)
	}
	mustWrite(t, o, messages(batch(source, row{0, read, []any{int64(1), "ann"}}, row{0, read, []any{int64(2), "right"}})))
	if got := lines(t, dsn, "name", "public_users WHERE id = 2"); got != "wrong" {
		t.Errorf("rows of the load are in the old table: %q", got)
	}
	for range 2 { // the second one is a repetition
		mustWrite(t, o, messages(done(source)))
	}
	if got, want := usersNow(t, dsn), "1|ann|0\n2|right|0\n4|during|32"; got != want {
		t.Errorf("after the load users are\n%s\nwant\n%s", got, want)
	}
	if got := lines(t, dsn, "added", "public_users WHERE id = 1"); got != "kept" {
		t.Errorf("a column of the user's own was lost")
	}
	mustWrite(t, o, messages(batch(source, row{0x30, insertOp, []any{int64(5), "after"}})))
	if got := lines(t, dsn, "name", "public_users WHERE id = 5"); got != "after" {
		t.Errorf("a later change is not there")
	}
	if got := tablesOf(t, dsn); got != "public_users" {
		t.Errorf("tables are %s", got)
	}
}

// A load that was cut short leaves nothing in the one that follows.
func TestResyncBeginsAnew(t *testing.T) {
	dsn := devtest.ClickHouse(t)
	source := users()
	first, _ := connected(t, dsn, "")
	mustWrite(t, first, messages(begin(source), batch(source, row{0, read, []any{int64(1), "of the first load"}})))
	second, _ := connected(t, dsn, "") // after a restart
	mustWrite(t, second, messages(begin(source), batch(source, row{0, read, []any{int64(2), "of the second"}}), done(source)))
	if got, want := usersNow(t, dsn), "2|of the second|0"; got != want {
		t.Errorf("users are %s, want %s", got, want)
	}
}

// A table that no longer fits, which is why it is loaded again, does not hold up the one that replaces it.
func TestResyncOfATableThatNoLongerFits(t *testing.T) {
	dsn := devtest.ClickHouse(t)
	o, r := connected(t, dsn, "")
	before := users()
	mustWrite(t, o, messages(batch(before, row{0x10, insertOp, []any{int64(1), "ann"}})))
	after := table("users", 0x20, column("id", text), column("name", text))
	changed := &change.Control{Operation: change.Schema, Table: after, Previous: before, LSN: 0x20}
	if err := o.WriteBatch(t.Context(), messages(changed)); err == nil {
		t.Fatal("a key of another type was taken")
	}
	mustWrite(t, o, messages(begin(after), changed,
		batch(after, row{0x30, insertOp, []any{"b", "during"}}),
		batch(after, row{0, read, []any{"a", "ann"}}),
		done(after),
		batch(after, row{0x40, insertOp, []any{"c", "after"}}),
	))
	if got, want := usersNow(t, dsn), "a|ann|0\nb|during|48\nc|after|64"; got != want {
		t.Errorf("users are\n%s\nwant\n%s", got, want)
	}
	if r.isDegraded() {
		t.Errorf("still degraded: %v", r.reason)
	}
}

// A schema change and a truncate during the load concern both tables.
func TestControlsDuringResync(t *testing.T) {
	dsn := devtest.ClickHouse(t)
	o, _ := connected(t, dsn, "")
	before := users()
	after := table("users", 0x20, column("id", int8), column("name", text), column("age", int4))
	mustWrite(t, o, messages(
		batch(before, row{0x08, insertOp, []any{int64(1), "old"}}),
		begin(before),
		batch(before, row{0, read, []any{int64(1), "loaded"}}),
		&change.Control{Operation: change.Truncate, Table: before, LSN: 0x10},
		&change.Control{Operation: change.Schema, Table: after, Previous: before, LSN: 0x20},
		batch(after, row{0x30, insertOp, []any{int64(2), "bo", int32(40)}}),
	))
	for _, name := range []string{"public_users", "public_users" + shadowSuffix} {
		if got, want := lines(t, dsn, "toString(id), name, toString(age)", name+" FINAL"), "2|bo|40"; got != want {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
	mustWrite(t, o, messages(done(after)))
	if got := lines(t, dsn, "toString(id), name, toString(age)", "public_users FINAL"); got != "2|bo|40" {
		t.Errorf("got %q", got)
	}
}

func TestResyncOfATableThatIsNotThere(t *testing.T) {
	dsn := devtest.ClickHouse(t)
	o, _ := connected(t, dsn, "")
	mustWrite(t, o, messages(begin(users())))
	mustWrite(t, o, messages(done(users())))
	if got := tablesOf(t, dsn); got != "public_users" {
		t.Errorf("tables are %s", got)
	}
}

// A history only grows: a load is one more event in it, and nothing that was there is dropped.
func TestResyncOfAHistory(t *testing.T) {
	for _, engine := range []string{"MergeTree", "'Null'"} {
		dsn := devtest.ClickHouse(t)
		o, _ := connected(t, dsn, "engine: "+engine)
		source := users()
		mustWrite(t, o, messages(
			batch(source, row{0x10, insertOp, []any{int64(1), "ann"}}),
			begin(source), batch(source, row{0, read, []any{int64(1), "ann"}}), done(source),
		))
		if got, want := lines(t, dsn, "toString(count())", "public_users"), fmt.Sprint(map[string]int{"MergeTree": 2}[engine]); got != want {
			t.Errorf("engine %s: %s rows are there, want %s", engine, got, want)
		}
		if got := tablesOf(t, dsn); got != "public_users" {
			t.Errorf("engine %s: tables are %s", engine, got)
		}
	}
}
