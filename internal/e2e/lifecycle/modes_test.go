package lifecycle_test

import (
	"testing"

	"github.com/penstock/penstock/lifecycle"
)

// A pipe that only copies ends by itself, without error, and has left nothing at
// the source. Started again it has nothing to do.
func TestModeSnapshot(t *testing.T) {
	t.Parallel()
	e := newEnds(t)
	e.source(t,
		`CREATE TABLE items (id bigint PRIMARY KEY, note text)`,
		`INSERT INTO items SELECT id, md5(id::text) FROM generate_series(1, 50000) id`,
		`CREATE TABLE empty (id bigint PRIMARY KEY)`,
		`CREATE UNLOGGED TABLE scratch (id bigint PRIMARY KEY)`, `INSERT INTO scratch VALUES (1)`)
	p := e.pipe(t, options{input: []string{"mode: snapshot"}}).start()
	if code := p.process.exit(); code != 0 {
		t.Fatalf("the process exits with %d, want 0", code)
	}
	e.equal(t, "items", "empty", "scratch")
	if n := ask[int](t, e, "SELECT (SELECT count(*) FROM pg_replication_slots WHERE database = current_database()) + (SELECT count(*) FROM pg_publication)"); n != 0 {
		t.Errorf("%d slots and publications are left at the source", n)
	}
	frozen := e.touched(t, "items")
	p.start()
	if code := p.process.exit(); code != 0 {
		t.Errorf("started again, the process exits with %d, want 0", code)
	}
	if now := e.touched(t, "items"); now != frozen {
		t.Errorf("started again, it has loaded again: from %s to %s", frozen, now)
	}
}

// A pipe that only streams knows nothing of what was there before, and all that
// comes after its slot was made, also while it is away.
func TestModeCDCOnly(t *testing.T) {
	t.Parallel()
	e := newEnds(t)
	e.source(t, `CREATE TABLE items (id bigint PRIMARY KEY, n int)`, `INSERT INTO items SELECT id, 0 FROM generate_series(1, 100) id`)
	p := e.pipe(t, options{input: []string{"mode: cdc_only"}}).start()
	p.running()
	e.source(t, `INSERT INTO items VALUES (101, 1)`, `UPDATE items SET n = 2 WHERE id = 1`)
	e.arrives(t, "changes arrive", "SELECT count() FROM public_items FINAL", 2)
	p.stop()
	e.source(t, `INSERT INTO items VALUES (102, 3)`, `DELETE FROM items WHERE id = 101`)
	p.start()
	p.in(lifecycle.Running)
	e.arrives(t, "what happened meanwhile arrives", "SELECT count() FROM public_items FINAL WHERE id = 102", 1)
	if got := look[string](t, e, "SELECT arrayStringConcat(groupArray(concat(toString(id), '=', toString(n))), ' ') FROM (SELECT * FROM public_items FINAL ORDER BY id)"); got != "1=2 102=3" {
		t.Errorf("the destination has %s, want 1=2 102=3", got)
	}
}
