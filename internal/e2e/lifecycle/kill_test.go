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
	e := newEnds(t)
	e.source(t,
		`CREATE TABLE events AS SELECT id::bigint, id % 1000 AS kind, md5(id::text) AS note, now() - id * interval '1 second' AS at FROM generate_series(1, 2000000) id`,
		`ALTER TABLE events ADD PRIMARY KEY (id)`,
		`VACUUM ANALYZE events`)
	before := e.rowsRead(t, "events")

	p := e.pipe(t, options{input: []string{"snapshot: {parallelism: 2, chunk_rows: 20000}"}}).start()
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
	// The server's own count. What the last moments before each kill added is in
	// it, and not in what the API could tell.
	devtest.Eventually(t, patience, "the source has counted what was read", func() (bool, error) {
		return e.rowsRead(t, "events")-before >= rows, nil
	})
	t.Logf("read %d rows by the API, %d by the source", read, e.rowsRead(t, "events")-before)
	if n := e.rowsRead(t, "events") - before; n >= rows*13/10 {
		t.Errorf("the source has read %d rows of a table of %d", n, rows)
	}
	e.equal(t, "events")
}

// rowsRead returns how many rows of a table were read by scans, so far as the
// server knows: a session reports when it ends at the latest.
func (e *ends) rowsRead(t testing.TB, table string) int64 {
	t.Helper()
	return ask[int64](t, e, "SELECT pg_stat_get_tuples_returned($1::regclass)", table)
}
