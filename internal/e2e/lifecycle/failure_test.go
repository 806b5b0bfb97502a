package lifecycle_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/penstock/penstock/internal/devstack"
	"github.com/penstock/penstock/internal/devstack/devtest"
	"github.com/penstock/penstock/lifecycle"
	"github.com/penstock/penstock/lifecycle/api"
)

// failing is a pipe that runs, with rows of which some were streamed.
func (e *ends) failing(t testing.TB, o options) *pipe {
	t.Helper()
	e.source(t,
		`CREATE TABLE items (id bigint PRIMARY KEY, n int)`,
		`INSERT INTO items SELECT id, 0 FROM generate_series(1, 1000) id`)
	p := e.pipe(t, o).start()
	p.running()
	e.source(t, `UPDATE items SET n = 1 WHERE id <= 500`)
	e.equal(t, "items")
	return p
}

// missed are changes that a pipe does not get to see.
func (e *ends) missed(t testing.TB) {
	t.Helper()
	e.source(t,
		`DELETE FROM items WHERE id % 3 = 0`,
		`UPDATE items SET n = 2 WHERE id % 3 = 1`,
		`INSERT INTO items SELECT id, 3 FROM generate_series(2000, 2100) id`)
}

// slotFree waits until the server has noticed that the slot's reader is gone.
func (e *ends) slotFree(t testing.TB) {
	t.Helper()
	devtest.Eventually(t, patience, "nobody reads the slot", func() (bool, error) {
		return ask[bool](t, e, "SELECT NOT active FROM pg_replication_slots WHERE slot_name = $1", e.slot()), nil
	})
}

// says checks that a failure tells what it should, and no secret.
func says(t testing.TB, f *api.Failure, class string, words ...string) {
	t.Helper()
	if f.Class != class {
		t.Errorf("the failure is of class %q, want %q: %+v", f.Class, class, f)
	}
	for _, word := range words {
		if !strings.Contains(f.Reason+" | "+f.Fix, word) {
			t.Errorf("the failure does not mention %q: %+v", word, f)
		}
	}
}

// stays checks that neither a restart nor resume leads out of a failure that
// nobody has mended.
func (p *pipe) stays(f *api.Failure) {
	p.t.Helper()
	p.restart()
	again := p.in(lifecycle.Failed).Failure
	if again.Reason != f.Reason {
		p.t.Errorf("restarted, it has failed because %q, before because %q", again.Reason, f.Reason)
	}
	p.command("/pause", http.StatusConflict)
	p.command("/resume", http.StatusAccepted)
	again = p.failed()
	if again.Reason != f.Reason || again.Fix != f.Fix {
		p.t.Errorf("resumed, it has failed with %+v, before with %+v", *again, *f)
	}
}

// A slot that is gone takes changes with it: only a resync brings them.
func TestSlotDropped(t *testing.T) {
	t.Parallel()
	e := newEnds(t)
	p := e.failing(t, options{})
	p.stop()
	e.slotFree(t)
	e.source(t, "SELECT pg_drop_replication_slot('"+e.slot()+"')")
	e.missed(t)
	p.start()
	f := p.failed()
	says(t, f, "slot", e.slot(), "resync")
	p.stays(f)

	p.command("/resync", http.StatusAccepted)
	p.running()
	e.equal(t, "items")
	e.slotExists(t)
	e.noShadows(t)
	e.source(t, `UPDATE items SET n = 4`)
	e.equal(t, "items")
}

// Guards rule 4: a slot of the same name that stands behind our position was
// moved by somebody else.
func TestSlotAdvanced(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, by string }{
		{"advanced", "SELECT pg_replication_slot_advance('%slot%', pg_current_wal_lsn())"},
		{"made anew", "SELECT pg_drop_replication_slot('%slot%'); SELECT pg_create_logical_replication_slot('%slot%', 'pgoutput')"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := newEnds(t)
			p := e.failing(t, options{})
			p.stop()
			e.missed(t)
			e.slotFree(t)
			for sql := range strings.SplitSeq(strings.ReplaceAll(tt.by, "%slot%", e.slot()), "; ") {
				e.source(t, sql)
			}
			p.start()
			f := p.failed()
			says(t, f, "slot", e.slot(), "resync")
			p.stays(f)
			p.command("/resync", http.StatusAccepted)
			p.running()
			e.equal(t, "items")
		})
	}
}

// The state of a pipe belongs to a slot of one database.
func TestAnotherDatabase(t *testing.T) {
	t.Parallel()
	e, other := newEnds(t), newEnds(t)
	p := e.failing(t, options{})
	p.stop()
	other.source(t, `CREATE TABLE items (id bigint PRIMARY KEY, n int)`)
	frozen := e.touched(t, "items")
	p.dsn = other.postgresDSN
	p.start()
	says(t, p.failed(), "slot", e.name(), "dsn")
	if now := e.touched(t, "items"); now != frozen {
		t.Errorf("rows of another database were inserted: from %s to %s", frozen, now)
	}
	p.stop()
	p.dsn = e.postgresDSN
	p.start()
	p.in(lifecycle.Failed)
	p.command("/resume", http.StatusAccepted)
	p.running()
	e.missed(t)
	e.equal(t, "items")
}

// A publication that is gone takes changes with it too.
func TestPublicationDropped(t *testing.T) {
	t.Parallel()
	e := newEnds(t)
	p := e.failing(t, options{})
	e.source(t, `DROP PUBLICATION `+e.slot())
	e.missed(t) // which the server can no longer decode
	f := p.failed()
	says(t, f, "publication", e.slot(), "resync")
	p.stays(f)
	p.command("/resync", http.StatusAccepted)
	p.running()
	e.equal(t, "items")
	e.source(t, `UPDATE items SET n = 4`)
	e.equal(t, "items")
}

// A password that is changed fails the pipe, and resume leads out once it is
// right again: nothing was missed.
func TestPasswordChanged(t *testing.T) {
	t.Parallel()
	server := devtest.OwnPostgres(t, devstack.PostgresOptions{})
	e := connectEnds(t, ownDatabase(t, server), devtest.ClickHouse(t))
	const secret = "correct-horse-battery"
	e.source(t,
		`CREATE ROLE replicator LOGIN REPLICATION PASSWORD '`+secret+`'`,
		`GRANT CREATE ON DATABASE source TO replicator`,
		`ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO replicator`,
		`CREATE PUBLICATION `+e.slot()+` FOR ALL TABLES`)
	p := e.failing(t, options{dsn: e.as(t, "replicator", secret)})
	e.source(t,
		`ALTER ROLE replicator PASSWORD 'another'`,
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'replicator'`)
	f := p.failed()
	says(t, f, "authentication", "password")
	p.stays(f)
	e.missed(t)
	for _, path := range []string{"/v1/pipes", "/v1/pipes/" + p.name, "/metrics", "/"} {
		if body, _, err := p.request(http.MethodGet, path, ""); err != nil || strings.Contains(string(body), secret) {
			t.Errorf("GET %s shows the password, or fails: %v", path, err)
		}
	}
	if strings.Contains(p.process.log.String(), secret) {
		t.Error("the password is in the log")
	}
	e.source(t, `ALTER ROLE replicator PASSWORD '`+secret+`'`)
	p.command("/resume", http.StatusAccepted)
	p.running()
	e.equal(t, "items")
}

// Guards rule 21: a slot that is lost in a pause fails the pipe, with the
// setting to raise.
func TestSlotLostInPause(t *testing.T) {
	t.Parallel()
	server := devtest.OwnPostgres(t, devstack.PostgresOptions{Settings: map[string]string{
		"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "64MB",
	}})
	e := connectEnds(t, ownDatabase(t, server), devtest.ClickHouse(t))
	p := e.failing(t, options{})
	p.command("/pause", http.StatusAccepted)
	d := p.until("the slot's end is in sight", func(d api.PipeDetail) bool {
		return d.Phase == string(lifecycle.Paused) && d.Slot != nil && d.Slot.SafeWALBytes != nil
	})
	if d.Slot.WALStatus == "" {
		t.Error("the API does not show the slot's wal_status")
	}
	for range 4 { // each segment is 16 MB
		e.missed(t)
		e.source(t, `SELECT pg_switch_wal()`, `TRUNCATE items`)
	}
	e.missed(t)
	e.source(t, `CHECKPOINT`)
	f := p.failed()
	says(t, f, "slot", e.slot(), "max_slot_wal_keep_size")
	p.stays(f)

	e.source(t, `ALTER SYSTEM SET max_slot_wal_keep_size = -1`, `SELECT pg_reload_conf()`)
	p.command("/resync", http.StatusAccepted)
	p.running()
	e.equal(t, "items")
	e.source(t, `UPDATE items SET n = 5`)
	e.equal(t, "items")
}

// ownDatabase makes a database on a server of the test's own.
func ownDatabase(t testing.TB, server *devstack.Postgres) string {
	t.Helper()
	dsn, err := server.Database(t.Context(), "source")
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}
