package lifecycle_test

import (
	"fmt"
	"testing"

	"github.com/penstock/penstock/internal/devstack/devtest"
	"github.com/penstock/penstock/lifecycle"
	"github.com/penstock/penstock/lifecycle/api"
)

// A load goes on after kill -9 with the chunks that were not acked: five times
// killed, it reads less than a third of the table again.
func TestKillDuringLoad(t *testing.T) {
	t.Parallel()
	const (
		rows  = 2_000_000
		kills = 5
	)
	e := newEndsToKill(t)
	e.setUp(t,
		`CREATE TABLE events AS SELECT id::bigint, id % 1000 AS kind, md5(id::text) AS note, now() - id * interval '1 second' AS at FROM generate_series(1, 2000000) id`,
		`ALTER TABLE events ADD PRIMARY KEY (id)`,
		`VACUUM ANALYZE events`)
	before := e.rowsRead(t, "events")

	p := e.pipe(t, options{
		// What a kill costs is what is being read and written at that moment.
		input:  []string{"snapshot: {parallelism: 2, chunk_rows: 20000}"},
		output: []string{"max_in_flight: 2"},
	}).start()
	var read uint64
	for n := range kills {
		// From 10 % on, and never beyond 90 %, so that each life has read a part.
		reached := 0.1 + 0.15*float64(n)
		d := p.until(fmt.Sprintf("%.0f %% are loaded", reached*100), func(d api.PipeDetail) bool {
			events := table(d, "events")
			return events.ChunksTotal > 0 && float64(events.ChunksDone) >= reached*float64(events.ChunksTotal)
		})
		p.kill()
		events := table(d, "events")
		if d.Phase != string(lifecycle.Snapshot) || events.ChunksDone >= events.ChunksTotal*9/10 {
			t.Fatalf("killed too late to see anything: %s", describe(d))
		}
		read += events.RowsRead
		p.start()
	}
	d := p.running()
	read += table(d, "events").RowsRead
	if limit := uint64(rows * 13 / 10); read < rows || read >= limit {
		t.Errorf("%d rows were read of a table of %d, want less than %d", read, rows, limit)
	}
	if done, total := table(d, "events").ChunksDone, table(d, "events").ChunksTotal; done != total || total < 50 {
		t.Errorf("%d chunks of %d are done, want all of about a hundred", done, total)
	}
	// The server's own count, for it also knows of the last moments before each
	// kill. A session counts when it ends.
	e.sessionsEnd(t, "COPY (SELECT%")
	if n := e.rowsRead(t, "events") - before; n < rows || n >= rows*13/10 {
		t.Errorf("the source has read %d rows of a table of %d", n, rows)
	}
	e.equal(t, "events")
}

// setUp runs statements in a session that has ended when it returns, so that the
// server has counted what they read.
func (e *ends) setUp(t testing.TB, statements ...string) {
	t.Helper()
	conn := connectPostgres(t, e.postgresDSN)
	for _, sql := range append(statements, "SELECT 'set up'") {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.sessionsEnd(t, "SELECT 'set up'")
}

// sessionsEnd waits until no session is left whose last statement is like that.
func (e *ends) sessionsEnd(t testing.TB, statement string) {
	t.Helper()
	devtest.Eventually(t, patience, "sessions have ended", func() (bool, error) {
		return ask[int](t, e, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE $1 AND pid <> pg_backend_pid()", statement) == 0, nil
	})
}

// rowsRead returns how many rows of a table scans have read.
func (e *ends) rowsRead(t testing.TB, table string) int64 {
	t.Helper()
	return ask[int64](t, e, "SELECT pg_stat_get_tuples_returned($1::regclass)", table)
}
