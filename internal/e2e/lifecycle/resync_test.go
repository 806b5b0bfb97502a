package lifecycle_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/penstock/penstock/internal/devstack/devtest"
	"github.com/penstock/penstock/lifecycle"
	"github.com/penstock/penstock/lifecycle/api"
)

// kept are the rows of each table of resyncing that no writer deletes.
const kept = 40_000

// resyncing is a pipe of two tables under load whose destinations somebody has
// spoiled: only loading them anew can make them right.
type resyncing struct {
	*ends
	*pipe
	writers []*writer
	before  map[string]string // uuid of each destination
}

func (e *ends) resyncing(t testing.TB) *resyncing {
	t.Helper()
	for _, name := range []string{"orders", "clients"} {
		e.source(t,
			`CREATE TABLE `+name+` (id bigint PRIMARY KEY, n int NOT NULL, note text)`,
			fmt.Sprintf(`INSERT INTO %s SELECT id, 0, repeat(md5(id::text), 8) FROM generate_series(1, %d) id`, name, kept),
			`VACUUM ANALYZE `+name)
	}
	p := e.pipe(t, options{
		input:      []string{"snapshot: {chunk_rows: 3000, parallelism: 1}"},
		processors: slow(25 * time.Millisecond),
	})
	p.start()
	p.running()
	e.equal(t, "orders", "clients")
	r := &resyncing{ends: e, pipe: p, before: map[string]string{}}
	for _, name := range []string{"orders", "clients"} {
		// A row too many, and one that will not change again with a wrong value.
		e.destination(t,
			fmt.Sprintf(`INSERT INTO public_%s (id, n, note, _version) VALUES (-1, 0, 'spoiled', 1)`, name),
			fmt.Sprintf(`INSERT INTO public_%s (id, n, note, _version) VALUES (%d, 0, 'spoiled', 1)`, name, kept))
		r.before[name] = e.uuid(t, name)
		r.writers = append(r.writers, e.write(t, func(n int) string {
			// Updated rows are anywhere but at the end, deleted ones were inserted
			// just before.
			return fmt.Sprintf(`WITH updated AS (UPDATE %[1]s SET n = n + 1, note = 'changed' WHERE id = %[2]d),
				deleted AS (DELETE FROM %[1]s WHERE id = 1000000 + %[3]d)
				INSERT INTO %[1]s VALUES (1000001 + %[3]d, %[3]d, 'new')`, name, 1+n*997%(kept-1), n)
		}))
	}
	return r
}

// watched has somebody read a table all the time, who must never see less than
// what is always there. The function that is returned ends that.
func (r *resyncing) watched(t testing.TB, table string) (stop func() (times int)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	times := 0
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			n, err := lookup[uint64](context.Background(), r.ends, "SELECT count() FROM public_"+table+" FINAL WHERE id BETWEEN 1 AND 1000000")
			if err != nil {
				continue // the server may start anew where a client was killed
			}
			if n < kept {
				t.Errorf("a reader of %s sees %d rows where %d always are", table, n, kept)
				return
			}
			times++
		}
	}()
	stop = func() int {
		cancel()
		<-done
		return times
	}
	t.Cleanup(func() { stop() })
	return stop
}

// loading waits until a table is being loaded again, and more than so many of
// its chunks are done.
func (r *resyncing) loading(name string, chunks int) api.PipeDetail {
	r.t.Helper()
	return r.until("table "+name+" is being loaded again", func(d api.PipeDetail) bool {
		loading := table(d, name)
		return d.Phase == string(lifecycle.Resync) && loading.Phase == string(lifecycle.TableResync) &&
			loading.ChunksDone >= chunks && loading.ChunksDone < loading.ChunksTotal
	})
}

// done checks what a resync of some tables leaves.
func (r *resyncing) done(t testing.TB, anew map[string]bool) {
	t.Helper()
	r.running()
	for _, w := range r.writers {
		if n := w.stop(); n < 10 {
			t.Errorf("a writer has come to %d transactions only", n)
		}
	}
	for name, before := range r.before {
		if after := r.uuid(t, name); (after != before) != anew[name] {
			t.Errorf("the destination of %s was replaced: %t, want %t", name, after != before, anew[name])
		}
		if anew[name] {
			r.equal(t, name)
		}
	}
	r.noShadows(t)
}

// A table is loaded again online: its readers see all of it at any time, and no
// other table waits for it.
func TestResyncTable(t *testing.T) {
	t.Parallel()
	e := newEnds(t)
	r := e.resyncing(t)
	stop := r.watched(t, "orders")
	r.command("/tables/public.orders/resync", http.StatusAccepted)
	r.loading("orders", 1)
	version := func() uint64 { return look[uint64](t, e, "SELECT max(_version) FROM public_clients") }
	orders := func() uint64 { return look[uint64](t, e, "SELECT max(_version) FROM public_orders") }
	clientsBefore, ordersBefore := version(), orders()
	flows := false
	r.until("the resync is over, and changes have come to both tables while it went on", func(d api.PipeDetail) bool {
		if d.Phase == string(lifecycle.Resync) {
			flows = flows || version() > clientsBefore && e.uuid(t, "orders") == r.before["orders"] && orders() > ordersBefore
			return false
		}
		return d.Phase == string(lifecycle.Running)
	})
	if !flows {
		t.Error("no changes have arrived while a table was loaded again")
	}
	r.done(t, map[string]bool{"orders": true})
	if times := stop(); times == 0 {
		t.Error("nobody has read the table meanwhile")
	}
	if n := look[uint64](t, e, "SELECT count() FROM public_clients FINAL WHERE note = 'spoiled'"); n != 2 {
		t.Errorf("%d rows of the other table are spoiled, want the 2 that were: it was loaded again too", n)
	}
}

// The whole pipe is loaded again, and the process killed three times meanwhile.
func TestKillDuringResync(t *testing.T) {
	t.Parallel()
	e := newEndsToKill(t)
	r := e.resyncing(t)
	stopOrders, stopClients := r.watched(t, "orders"), r.watched(t, "clients")
	r.command("/resync", http.StatusAccepted)
	r.command("/resync", http.StatusAccepted) // again changes nothing
	for _, chunks := range []int{0, 3, 8} {
		r.loading("orders", chunks)
		r.kill()
		r.start()
	}
	r.done(t, map[string]bool{"orders": true, "clients": true})
	if stopOrders() == 0 || stopClients() == 0 {
		t.Error("nobody has read a table meanwhile")
	}
	d := r.until("the slot is read", func(d api.PipeDetail) bool { return d.Slot != nil && d.Slot.Active })
	if len(d.Resync) > 0 {
		t.Errorf("tables %v are still asked to be loaded again", d.Resync)
	}
}

// A pause comes before the end of a resync, a resume goes on with it.
func TestPauseInResync(t *testing.T) {
	t.Parallel()
	e := newEnds(t)
	r := e.resyncing(t)
	r.command("/tables/public.clients/resync", http.StatusAccepted)
	r.loading("clients", 2)
	r.command("/pause", http.StatusAccepted)
	if d := r.in(lifecycle.Paused); d.PausedFrom != string(lifecycle.Resync) {
		t.Errorf("the pipe is paused from %s, want resync", d.PausedFrom)
	}
	if got := e.uuid(t, "clients"); got != r.before["clients"] {
		t.Error("a table that was not loaded to its end was swapped in")
	}
	r.restart()
	r.in(lifecycle.Paused)
	r.command("/resume", http.StatusAccepted)
	r.done(t, map[string]bool{"clients": true})
}

// A destination that somebody dropped is made again by a resync.
func TestResyncDroppedDestination(t *testing.T) {
	t.Parallel()
	e := newEnds(t)
	e.source(t, `CREATE TABLE items (id bigint PRIMARY KEY)`, `INSERT INTO items SELECT generate_series(1, 1000)`)
	p := e.pipe(t, options{}).start()
	p.running()
	p.stop()
	e.destination(t, "DROP TABLE public_items")
	p.start()
	p.in(lifecycle.Running)
	p.command("/tables/public.items/resync", http.StatusAccepted)
	devtest.Eventually(t, patience, "the table is there again", func() (bool, error) {
		n, err := lookup[uint64](t.Context(), e, "SELECT count() FROM public_items FINAL")
		return n == 1000, err
	})
	p.running()
	e.equal(t, "items")
	e.noShadows(t)
}
