package lifecycle_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/penstock/penstock/lifecycle"
	"github.com/penstock/penstock/lifecycle/api"
)

// touched is what tells that somebody has inserted into a destination table.
func (e *ends) touched(t testing.TB, table string) string {
	t.Helper()
	return look[string](t, e, "SELECT concat(toString(count()), ' rows up to version ', toString(max(_version)), ' at ', toString(max(_synced_at))) FROM public_"+table)
}

// A pause under load ends all inserts and keeps the slot, survives kill -9, and
// a resume brings what was written meanwhile.
func TestPauseWhileRunning(t *testing.T) {
	t.Parallel()
	e := newEndsToKill(t)
	e.source(t,
		`CREATE TABLE items (id bigint PRIMARY KEY, n int NOT NULL, note text)`,
		`INSERT INTO items SELECT id, 0, md5(id::text) FROM generate_series(1, 1000) id`)
	p := e.pipe(t, options{}).start()
	p.running()
	w := e.write(t, func(n int) string {
		return fmt.Sprintf(`WITH updated AS (UPDATE items SET n = %d WHERE id %% 50 = %d), deleted AS (DELETE FROM items WHERE id = %d)
			INSERT INTO items SELECT %d + i, %d, repeat(md5(i::text), 40) FROM generate_series(1, 10) i`, n, n%50, n, 1_000_000+n*10, n)
	})
	e.arrives(t, "changes flow", "SELECT count() FROM public_items WHERE id > 1000000", 200)

	p.command("/pause", http.StatusAccepted)
	p.in(lifecycle.Paused)
	frozen := e.touched(t, "items")
	paused := p.grows("the slot keeps what is written in the pause", 1<<20)
	if paused.Slot.Active || !paused.Ready {
		t.Errorf("the paused pipe is ready: %t, its slot is read: %t; want it ready and its slot left alone", paused.Ready, paused.Slot.Active)
	}
	p.command("/pause", http.StatusOK)
	if now := e.touched(t, "items"); now != frozen {
		t.Errorf("the destination changed while the pipe was paused: from %s to %s", frozen, now)
	}

	p.kill()
	p.start()
	p.grows("the killed pipe is paused again", 1<<20)
	if now := e.touched(t, "items"); now != frozen {
		t.Errorf("the destination changed while the restarted pipe was paused: from %s to %s", frozen, now)
	}
	e.slotExists(t)

	p.command("/resume", http.StatusAccepted)
	p.in(lifecycle.Running)
	w.stop()
	e.equal(t, "items")
	p.until("the slot has caught up", func(d api.PipeDetail) bool {
		return d.Phase == string(lifecycle.Running) && d.Slot != nil && d.Slot.Active && d.Slot.RetainedBytes < paused.Slot.RetainedBytes
	})
}

// grows waits until the API has shown the slot of a paused pipe to keep so many
// bytes more than when it was first looked at.
func (p *pipe) grows(what string, bytes int64) api.PipeDetail {
	p.t.Helper()
	first := int64(-1)
	return p.until(what, func(d api.PipeDetail) bool {
		if d.Phase != string(lifecycle.Paused) || d.Slot == nil {
			return false
		}
		if first < 0 {
			first = d.Slot.RetainedBytes
		}
		return d.Slot.RetainedBytes >= first+bytes && d.Slot.LagBytes >= bytes
	})
}

func (e *ends) slotExists(t testing.TB) {
	t.Helper()
	if ask[int](t, e, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", e.slot()) != 1 {
		t.Errorf("slot %s does not exist", e.slot())
	}
}

// A pause during the load lets what is in flight arrive, and the resumed load
// reads no chunk again that has.
func TestPauseInSnapshot(t *testing.T) {
	t.Parallel()
	const (
		rows        = 200_000
		parallelism = 2
	)
	e := newEnds(t)
	e.setUp(t,
		`CREATE TABLE events (id bigint PRIMARY KEY, note text)`,
		`INSERT INTO events SELECT id, md5(id::text) FROM generate_series(1, 200000) id`,
		`VACUUM ANALYZE events`)
	before := e.rowsRead(t, "events")
	p := e.pipe(t, options{
		input:      []string{fmt.Sprintf("snapshot: {parallelism: %d, chunk_rows: 2000}", parallelism)},
		processors: slow(20 * time.Millisecond),
	}).start()
	var chunkRows int64
	for pauses := range 3 {
		reached := 3 + 5*pauses
		p.until("some chunks are loaded", func(d api.PipeDetail) bool {
			return d.Phase == string(lifecycle.Snapshot) && table(d, "events").ChunksDone >= reached
		})
		p.command("/pause", http.StatusAccepted)
		d := p.in(lifecycle.Paused)
		if d.InFlightBytes != 0 || d.PausedFrom != string(lifecycle.Snapshot) {
			t.Errorf("the pipe is paused with %d bytes in flight, from %s", d.InFlightBytes, d.PausedFrom)
		}
		done, total := table(d, "events").ChunksDone, table(d, "events").ChunksTotal
		if done >= total {
			t.Fatalf("the load ended before the pause: %s", describe(d))
		}
		chunkRows = rows / int64(total)
		// What had been handed over when the pause came has arrived, and nothing
		// comes now.
		frozen := e.touched(t, "events")
		problem := p.command("/resync", http.StatusConflict)
		if problem.Fix == "" {
			t.Errorf("a resync while paused is refused without saying what to do: %+v", problem)
		}
		if now := e.touched(t, "events"); now != frozen {
			t.Errorf("the destination changed while the pipe was paused: from %s to %s", frozen, now)
		}
		p.command("/resume", http.StatusAccepted)
	}
	p.running()
	e.equal(t, "events")
	p.stop()
	e.sessionsEnd(t, "COPY (SELECT%")
	// verify.Compare has read all rows once. Each session that was interrupted
	// may have been in the middle of a chunk.
	verified := int64(rows)
	read := e.rowsRead(t, "events") - before - verified
	if most := rows + 3*parallelism*2*chunkRows; read < rows || read > most {
		t.Errorf("the source has read %d rows of a table of %d, want at most %d: chunks were read again", read, rows, most)
	}
}

// A pipe that is to start paused leaves both ends alone until it is resumed.
func TestStartPaused(t *testing.T) {
	t.Parallel()
	e := newEnds(t)
	e.source(t, `CREATE TABLE items (id bigint PRIMARY KEY)`, `INSERT INTO items SELECT generate_series(1, 100)`)
	p := e.pipe(t, options{lifecycle: []string{"start_paused: true"}}).start()
	if d := p.in(lifecycle.Paused); d.PausedFrom != string(lifecycle.Provisioning) {
		t.Errorf("it is paused from %s, want provisioning", d.PausedFrom)
	}
	p.restart()
	p.in(lifecycle.Paused)
	if n := ask[int](t, e, "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"); n != 0 {
		t.Errorf("%d slots were made by a pipe that is paused", n)
	}
	if n := ask[int](t, e, "SELECT count(*) FROM pg_publication"); n != 0 {
		t.Errorf("%d publications were made by a pipe that is paused", n)
	}
	if n := look[uint64](t, e, "SELECT count() FROM system.tables WHERE database = currentDatabase()"); n != 0 {
		t.Errorf("%d tables were made by a pipe that is paused", n)
	}
	p.command("/resume", http.StatusAccepted)
	p.running()
	e.equal(t, "items")
	// Only a new pipe starts paused.
	p.restart()
	if d := p.until("it runs again", func(d api.PipeDetail) bool { return d.Ready }); d.Phase != string(lifecycle.Running) {
		t.Errorf("restarted, the pipe is %s; want running", d.Phase)
	}
}
