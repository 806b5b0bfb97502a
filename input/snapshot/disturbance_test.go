package snapshot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/internal/devstack/devtest"
)

func TestSinksErrorEndsTheRun(t *testing.T) {
	d := newDatabase(t, numbers, insert("numbers", 1, 10000))
	table := d.table("numbers")
	refusal := errors.New("the disk is full")
	for name, sink := range map[string]*ids{
		"batch":  {batch: func(context.Context) error { return refusal }},
		"copied": {copied: func(Chunk) error { return refusal }},
	} {
		anchor := d.export()
		if err := d.run(anchor, Unfinished(table, d.pages(table, 3)), 3, sink); !errors.Is(err, refusal) {
			t.Errorf("%s: got %v", name, err)
		}
		anchor.Close()
	}
	d.sessions(0)
}

// sessions waits until so many are left beside the test's own.
func (d *database) sessions(want int) {
	d.t.Helper()
	devtest.Eventually(d.t, patience, fmt.Sprintf("%d sessions are left", want), func() (bool, error) {
		var left int
		err := d.db.QueryRow(d.t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").Scan(&left)
		return left == want, err
	})
}

// TestCancellationLeavesNoSession: also in the middle of a COPY whose rows the
// sink does not take.
func TestCancellationLeavesNoSession(t *testing.T) {
	d := newDatabase(t, numbers, insert("numbers", 1, 100000))
	table := d.table("numbers")
	anchor := d.export()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var once sync.Once
	stalled := make(chan struct{})
	sink := &ids{limits: Limits{Rows: 100, Bytes: 10000}, batch: func(ctx context.Context) error {
		once.Do(func() { close(stalled) })
		<-ctx.Done()
		return ctx.Err()
	}}
	result := make(chan error, 1)
	go func() {
		result <- Run(ctx, d.source, anchor, Unfinished(table, d.pages(table, 500)), Options{Parallelism: 3, Limits: sink.limits}, sink)
	}()
	<-stalled
	cancel()
	select {
	case err := <-result:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the run does not end")
	}
	d.sessions(1) // the anchor's
	anchor.Close()
	d.sessions(0)
}

// TestRewrittenTableIsNoticed: after ALTER TABLE has rewritten a table, an older
// snapshot sees it empty; after VACUUM FULL its rows are on other pages.
func TestRewrittenTableIsNoticed(t *testing.T) {
	for name, statement := range map[string]string{
		"ALTER TABLE": "ALTER TABLE numbers ALTER id TYPE bigint",
		"VACUUM FULL": "VACUUM FULL numbers",
		"TRUNCATE":    "TRUNCATE numbers",
	} {
		t.Run(name, func(t *testing.T) {
			d := newDatabase(t, numbers, insert("numbers", 1, 1000))
			table := d.table("numbers")
			parts := d.pages(table, 10)
			if stale, err := Stale(t.Context(), d.db, parts); err != nil || stale {
				t.Errorf("stale before: %v, %v", stale, err)
			}
			anchor := d.export()
			d.exec(statement)
			if err := d.run(anchor, Unfinished(table, parts), 2, &ids{}); !errors.Is(err, ErrRewritten) {
				t.Errorf("got %v", err)
			}
			// Without the plan's word for it, the snapshot tells.
			parts[0].Filenode = 0
			if err := d.run(anchor, Unfinished(table, parts), 2, &ids{}); !errors.Is(err, ErrRewritten) {
				t.Errorf("got %v", err)
			}
			parts[0].Filenode = 1
			if stale, err := Stale(t.Context(), d.db, parts); err != nil || !stale {
				t.Errorf("stale after: %v, %v", stale, err)
			}
			if err := d.run(d.export(), Unfinished(table, parts), 2, &ids{}); !errors.Is(err, ErrRewritten) {
				t.Errorf("planned before, read after: got %v", err)
			}
		})
	}
}

// TestLoadDoesNotHoldLocks guards rule 24's spirit: an ALTER TABLE that waits
// for hours makes everybody else wait behind it.
func TestLoadDoesNotHoldLocks(t *testing.T) {
	d := newDatabase(t, numbers, insert("numbers", 1, 1000))
	table := d.table("numbers")
	chunks := Unfinished(table, d.pages(table, 5))
	added := 0
	sink := &ids{copied: func(Chunk) error {
		added++
		_, err := d.db.Exec(t.Context(), fmt.Sprintf("SET lock_timeout = '10s'; ALTER TABLE numbers ADD COLUMN extra%d int", added))
		return err
	}}
	if err := d.run(d.export(), chunks, 1, sink); err != nil {
		t.Fatal(err)
	}
	sink.want(t, 1000)
	if added != len(chunks) || added < 2 {
		t.Errorf("%d columns added between %d chunks", added, len(chunks))
	}
}

// TestDroppedPartitionIsNoError: its rows are gone, as others' are not.
func TestDroppedPartitionIsNoError(t *testing.T) {
	d := newDatabase(t,
		"CREATE TABLE events (id int, note text) PARTITION BY RANGE (id)",
		"CREATE TABLE leaf1 PARTITION OF events FOR VALUES FROM (1) TO (101)",
		"CREATE TABLE leaf2 PARTITION OF events FOR VALUES FROM (101) TO (201)",
		insert("events", 1, 200))
	table := d.table("events")
	parts := d.plan(table, 1000)
	d.exec("DROP TABLE leaf2")
	if stale, err := Stale(t.Context(), d.db, parts); err != nil || stale {
		t.Errorf("stale: %v, %v", stale, err)
	}
	sink := &ids{}
	if err := d.run(d.export(), Unfinished(table, parts), 1, sink); err != nil {
		t.Fatal(err)
	}
	sink.want(t, 100)
	if len(sink.done) != 2 {
		t.Errorf("%d chunks are done, want 2", len(sink.done))
	}

	plain := newDatabase(t, numbers)
	gone := plain.table("numbers")
	chunks := Unfinished(gone, plain.plan(gone, 1000))
	plain.exec("DROP TABLE numbers")
	if err := plain.run(plain.export(), chunks, 1, &ids{}); catalog.SQLSTATE(err) != undefinedTable || !strings.Contains(err.Error(), "public.numbers chunk 0") {
		t.Errorf("a dropped table: got %v", err)
	}
}

func TestLostAnchorIsAnError(t *testing.T) {
	d := newDatabase(t, numbers, insert("numbers", 1, 10))
	table := d.table("numbers")
	anchor := d.export()
	anchor.Close()
	err := d.run(anchor, Unfinished(table, d.plan(table, 1000)), 1, &ids{})
	if err == nil || !strings.Contains(err.Error(), anchor.Snapshot) {
		t.Errorf("got %v", err)
	}
}
