package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// traffic writes changes to the shop, as its customers would.
type traffic struct {
	dsn  string
	rate int // rows per second
	rows int // that were loaded

	written atomic.Int64 // rows inserted, updated and deleted so far

	gate sync.RWMutex // held for reading while a transaction runs
}

const (
	writers = 2 // so that transactions overlap
	// tick is how often a writer begins a transaction.
	tick = 50 * time.Millisecond
	// Every nth transaction of a writer is rolled back, or is large.
	rollbackEvery = 41
	largeEvery    = 97
	largeFactor   = 20
)

// run writes until ctx ends, which is no error.
func (t *traffic) run(ctx context.Context) error {
	if t.rate == 0 {
		<-ctx.Done()
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	for writer := range writers {
		group.Go(func() error {
			err := t.write(ctx, writer)
			if ctx.Err() != nil {
				return nil
			}
			return err
		})
	}
	return group.Wait()
}

// pause waits for running transactions and keeps new ones from beginning until
// resume is called.
func (t *traffic) pause() (resume func()) {
	t.gate.Lock()
	return t.gate.Unlock
}

func (t *traffic) write(ctx context.Context, writer int) error {
	conn, err := connectShop(ctx, t.dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	random := rand.New(rand.NewPCG(uint64(writer), 1))
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		size := max(1, t.rate*int(tick/time.Millisecond)/1000/writers)
		if n%largeEvery == 0 {
			size *= largeFactor
		}
		if err := t.transaction(ctx, conn, random, size, n%rollbackEvery == 0); err != nil {
			return fmt.Errorf("writing to the shop: %w", err)
		}
	}
}

// transaction changes about size rows.
func (t *traffic) transaction(ctx context.Context, conn *pgx.Conn, random *rand.Rand, size int, rollback bool) error {
	t.gate.RLock()
	defer t.gate.RUnlock()
	if ctx.Err() != nil {
		return nil
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // does nothing after a commit
	batch := &pgx.Batch{}
	var steps []trafficStep // in the batch
	for _, step := range trafficSteps {
		// A share of less than one row is one row now and then.
		n := size * step.share / 100
		if random.IntN(100) < size*step.share%100 {
			n++
		}
		if n > 0 {
			batch.Queue(step.sql, n, random.Int64N(1<<31), t.rows)
			steps = append(steps, step)
		}
	}
	results := tx.SendBatch(ctx, batch)
	var changed int64
	for i := range steps {
		tag, err := results.Exec()
		if err != nil {
			_ = results.Close()
			return err
		}
		changed += tag.RowsAffected() * int64(steps[i].tables)
	}
	if err := results.Close(); err != nil {
		return err
	}
	if rollback {
		return tx.Rollback(ctx)
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	t.written.Add(changed)
	return nil
}

// trafficStep is a statement that changes rows. $1 is the number of rows, $2 a
// random number, $3 the number of rows that were loaded. Rows to be changed are
// chosen by key; those that another writer has locked are left to it.
type trafficStep struct {
	share  int // of the rows of a transaction, in percent
	tables int // that get a row for each that the statement counts
	sql    string
}

// trafficSteps are what a transaction consists of.
var trafficSteps = [...]trafficStep{
	{30, 1, `INSERT INTO events (customer_id, kind, payload, address, took)
		SELECT 1 + (g::bigint * 7919 + $2::bigint) % greatest($3::bigint / 10, 1), 'view', jsonb_build_object('page', '/products/' || g, 'live', true), '10.0.0.1',
			g * interval '1 millisecond' FROM generate_series(1, $1::int) g`},
	{24, 3, `WITH placed AS (
			INSERT INTO orders (customer_id, total, note) SELECT 1 + (g::bigint * 104729 + $2::bigint) % greatest($3::bigint / 10, 1), g + 0.99, 'live'
			FROM generate_series(1, greatest($1::int / 3, 1)) g RETURNING id, total
		), lines AS (
			INSERT INTO order_items SELECT id, 0, md5('p' || 1 + id % greatest($3::bigint / 100, 1))::uuid, 1 + id % 4, total FROM placed
		)
		INSERT INTO payments (order_id, method, amount, captured_at) SELECT id, 'card', total, now() FROM placed`},
	{20, 1, `UPDATE customers SET balance = balance + 0.01, tags = ARRAY['live', 'seen ' || $2::bigint], preferences = coalesce(preferences, '{}') || '{"live": true}'
		WHERE id IN (SELECT id FROM customers WHERE id IN (SELECT 1 + (g::bigint * 15485863 + $2::bigint) % greatest($3::bigint / 10, 1) FROM generate_series(1, $1::int) g)
			FOR UPDATE SKIP LOCKED)`},
	{16, 1, `UPDATE orders SET status = (enum_range(NULL::order_status))[1 + ($2::bigint + id) % 5], shipped_at = now()
		WHERE id IN (SELECT id FROM orders WHERE id IN (SELECT 1 + (g::bigint * 32452843 + $2::bigint) % greatest($3::bigint / 5, 1) FROM generate_series(1, $1::int) g)
			FOR UPDATE SKIP LOCKED)`},
	{6, 1, `DELETE FROM events WHERE id IN (SELECT id FROM events ORDER BY id LIMIT $1::int FOR UPDATE SKIP LOCKED) AND $2::bigint >= 0 AND $3::bigint >= 0`},
	{4, 1, `UPDATE addresses a SET kind = 'work', street = 'Moved to ' || $2::bigint || ' New Street' WHERE (customer_id, kind) IN (
			SELECT customer_id, kind FROM addresses b WHERE kind = 'shipping'
				AND customer_id IN (SELECT 1 + (g::bigint * 49979687 + $2::bigint) % greatest($3::bigint / 20, 1) FROM generate_series(1, $1::int) g)
				AND NOT EXISTS (SELECT FROM addresses c WHERE c.customer_id = b.customer_id AND c.kind = 'work')
			FOR UPDATE SKIP LOCKED)`},
}
