package output

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/devstack/devtest"
)

// Rule 16: rows that are sent again change nothing.
func TestRepeatedBatchChangesNothing(t *testing.T) {
	dsn := devtest.ClickHouse(t)
	o, _ := connected(t, dsn, "")
	b := messages(
		batch(users(), row{0x10, insertOp, []any{int64(1), "ann"}}, row{0x20, insertOp, []any{int64(2), "bo"}}),
		batch(users(), row{0x30, update, []any{int64(1), "anna"}}, row{0x40, remove, []any{int64(2), nil}}),
	)
	want := "1|anna|48"
	for range 3 {
		mustWrite(t, o, b)
		if got := usersNow(t, dsn); got != want {
			t.Errorf("users are %s, want %s", got, want)
		}
	}
	// Also when a later batch has overtaken it.
	mustWrite(t, o, messages(batch(users(), row{0x50, insertOp, []any{int64(2), "new"}})))
	mustWrite(t, o, b)
	if got, want := usersNow(t, dsn), "1|anna|48\n2|new|80"; got != want {
		t.Errorf("users are %s, want %s", got, want)
	}
}

// Rule 17: inserts before a schema change are done before it, those after it use the new columns, all in one batch.
func TestSchemaChangeBetweenRows(t *testing.T) {
	dsn := devtest.ClickHouse(t)
	o, _ := connected(t, dsn, "")
	before := users()
	after := table("users", 0x20, column("id", int8), column("name", text), column("age", int4))
	b := messages(
		&change.Control{Operation: change.Schema, Table: before},
		batch(before, row{0x10, insertOp, []any{int64(1), "ann"}}),
		&change.Control{Operation: change.Schema, Table: after, Previous: before, LSN: 0x20},
		batch(after, row{0x30, insertOp, []any{int64(2), "bo", int32(40)}}),
	)
	for range 2 { // replayed from the start, as after a crash
		mustWrite(t, o, b)
		if got, want := lines(t, dsn, "toString(id), name, ifNull(toString(age), 'NULL')", "public_users FINAL ORDER BY id"), "1|ann|NULL\n2|bo|40"; got != want {
			t.Errorf("users are\n%s\nwant\n%s", got, want)
		}
	}
}

// A column grows wider; rows of the narrow definition that are sent again still fit.
func TestColumnGrowsWider(t *testing.T) {
	dsn := devtest.ClickHouse(t)
	o, _ := connected(t, dsn, "")
	narrow := table("users", 0, column("id", int8), column("name", text), column("age", int4))
	wide := table("users", 0x20, column("id", int8), column("name", text), column("age", int8))
	b := messages(
		batch(narrow, row{0x10, insertOp, []any{int64(1), "ann", int32(-30)}}),
		&change.Control{Operation: change.Schema, Table: wide, Previous: narrow, LSN: 0x20},
		batch(wide, row{0x30, insertOp, []any{int64(2), "bo", int64(1) << 40}}),
	)
	for range 2 {
		mustWrite(t, o, b)
		if got, want := lines(t, dsn, "toString(id), toString(age), toTypeName(age)", "public_users FINAL ORDER BY id"),
			"1|-30|Nullable(Int64)\n2|1099511627776|Nullable(Int64)"; got != want {
			t.Errorf("users are\n%s\nwant\n%s", got, want)
		}
	}
}

// Rule 5 of the design: a truncate is bounded by its version, so what came later survives, also when it is replayed.
func TestTruncateIsBoundedByItsVersion(t *testing.T) {
	dsn := devtest.ClickHouse(t)
	o, _ := connected(t, dsn, "")
	source := users()
	truncate := &change.Control{Operation: change.Truncate, Table: source, LSN: 0x30}
	mustWrite(t, o, messages(
		batch(source, row{0, read, []any{int64(1), "snapshot"}}, row{0x10, insertOp, []any{int64(2), "before"}}),
		truncate,
		batch(source, row{0x40, insertOp, []any{int64(3), "after"}}),
	))
	want := "3|after|64"
	if got := lines(t, dsn, "toString(id), name, toString(_version)", "public_users"); got != want {
		t.Errorf("rows are %q, want %q", got, want)
	}
	mustWrite(t, o, messages(truncate))
	if got := usersNow(t, dsn); got != want {
		t.Errorf("after a replay users are %q, want %q", got, want)
	}
}

func TestTruncateOfNoTable(t *testing.T) {
	o, _ := connected(t, devtest.ClickHouse(t), "")
	mustWrite(t, o, messages(&change.Control{Operation: change.Truncate, Table: users(), LSN: 0x30}))
}

// Writers that meet at a table that does not exist yet make it once, and all their rows arrive.
func TestConcurrentWritersOfOneTable(t *testing.T) {
	noLeaks(t)
	dsn := devtest.ClickHouse(t)
	o, r := connected(t, dsn, "")
	var group errgroup.Group
	const writers, batches = 4, 10
	for w := range writers {
		group.Go(func() error {
			for i := range batches {
				n := int64(w*batches + i)
				if err := o.WriteBatch(t.Context(), messages(batch(users(), row{uint64(0x10 + n), insertOp, []any{n, "x"}}))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := lines(t, dsn, "toString(count())", "public_users FINAL"); got != fmt.Sprint(writers*batches) {
		t.Errorf("%s rows are there, want %d", got, writers*batches)
	}
	if r.inserted["public.users"] != writers*batches {
		t.Errorf("%d rows were reported", r.inserted["public.users"])
	}
}

// A control waits for the inserts that run, and the inserts that come after it wait for it.
func TestBarrierWaitsForInserts(t *testing.T) {
	noLeaks(t)
	dsn := devtest.ClickHouse(t)
	o, _ := connected(t, dsn, "")
	source := users()
	mustWrite(t, o, messages(batch(source, row{0x10, insertOp, []any{int64(1), "ann"}})))
	d := o.destination("public_users")
	_, release, err := d.use(t.Context(), source) // an insert that runs
	if err != nil {
		t.Fatal(err)
	}

	var order []string
	var mu sync.Mutex
	done := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, what)
	}
	after := table("users", 0x20, column("id", int8), column("name", text), column("age", int4))
	var group errgroup.Group
	group.Go(func() error {
		err := o.WriteBatch(t.Context(), messages(&change.Control{Operation: change.Schema, Table: after, Previous: source, LSN: 0x20}))
		done("control")
		return err
	})
	devtest.Eventually(t, 10*time.Second, "the control waits for the table", func() (bool, error) {
		if d.inserts.TryAcquire(1) {
			d.inserts.Release(1)
			return false, nil
		}
		return true, nil
	})
	group.Go(func() error {
		_, release, err := d.use(t.Context(), after) // an insert that comes later
		done("insert")
		if err == nil {
			release()
		}
		return err
	})
	if got := lines(t, dsn, "name", "system.columns WHERE database = currentDatabase() AND name = 'age'"); got != "" {
		t.Error("the table was altered while an insert ran")
	}
	done("first insert")
	release()
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if order[0] != "first insert" {
		t.Errorf("the order was %v", order)
	}
	if got := lines(t, dsn, "name", "system.columns WHERE database = currentDatabase() AND name = 'age'"); got != "age" {
		t.Error("the table was not altered")
	}
}

func TestBarrierEndsWithItsContext(t *testing.T) {
	noLeaks(t)
	o, _ := connected(t, devtest.ClickHouse(t), "")
	source := users()
	_, release, err := o.destination("public_users").use(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = o.WriteBatch(ctx, messages(&change.Control{Operation: change.Truncate, Table: source, LSN: 0x30}))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A server that dies in the middle of inserts, and comes back, has every row in the end.
func TestServerRestartsDuringInserts(t *testing.T) {
	noLeaks(t)
	server := devtest.OwnClickHouse(t)
	o, r := connected(t, server.DSN(), "")
	source := users()
	const writers, batches, rows = 4, 40, 50
	started := make(chan struct{}, writers*batches)
	var group errgroup.Group
	for w := range writers {
		group.Go(func() error {
			for b := range batches {
				started <- struct{}{}
				var block *change.Batch
				var rowsOf []row
				for i := range rows {
					n := int64((w*batches+b)*rows + i)
					rowsOf = append(rowsOf, row{uint64(0x10 + n), insertOp, []any{n, strings.Repeat("x", 100)}})
				}
				block = batch(source, rowsOf...)
				if err := o.WriteBatch(t.Context(), messages(block)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for range 2 {
		for range writers * batches / 4 {
			<-started
		}
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		devtest.Eventually(t, 30*time.Second, "the output says that it is degraded", func() (bool, error) { return r.isDegraded(), nil })
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := lines(t, server.DSN(), "toString(count()), toString(sum(id))", "public_users FINAL"); got != fmt.Sprintf("%d|%d", writers*batches*rows, sumTo(writers*batches*rows)) {
		t.Errorf("count and sum of ids are %s", got)
	}
	if r.isDegraded() {
		t.Errorf("the output still says that it is degraded: %v", r.reason)
	}
	if r.errors["network"] == 0 {
		t.Errorf("errors counted are %v", r.errors)
	}
}

func sumTo(n int) int { return n * (n - 1) / 2 }

// A large batch goes in parts that each fit a block.
func TestSplit(t *testing.T) {
	var rows []row
	for i := range 10 {
		rows = append(rows, row{uint64(i), insertOp, []any{int64(i), strings.Repeat("x", 80)}}) // 98 bytes
	}
	rows = append(rows, row{10, insertOp, []any{int64(10), strings.Repeat("x", 1000)}}, row{11, insertOp, []any{int64(11), "x"}})
	rest := batch(users(), rows...)
	var sizes []int
	next := uint64(0)
	for len(rest.Rows) > 0 {
		var part *change.Batch
		part, rest = split(rest, 300)
		sizes = append(sizes, len(part.Rows))
		for _, r := range part.Rows {
			if r.LSN != next {
				t.Fatalf("row %d comes where row %d is due", r.LSN, next)
			}
			next++
		}
	}
	if next != 12 || fmt.Sprint(sizes) != "[3 3 3 1 1 1]" {
		t.Errorf("%d rows came in parts of %v", next, sizes)
	}
}
