package stream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penstock/penstock/internal/change"
)

const orders = "CREATE TABLE orders (id int PRIMARY KEY, note text, price numeric(10,2), at timestamptz DEFAULT '2024-02-29 12:00Z')"

func TestChangesArriveInWALOrder(t *testing.T) {
	for _, binary := range []bool{false, true} {
		t.Run(fmt.Sprintf("binary=%v", binary), func(t *testing.T) {
			p := newPipe(t, "", orders)
			p.exec(
				"INSERT INTO orders VALUES (1, 'a', 1.5), (2, NULL, 2)",
				"UPDATE orders SET note = 'b' WHERE id = 2",
				"UPDATE orders SET id = 3 WHERE id = 2",
				"BEGIN; DELETE FROM orders WHERE id = 1; INSERT INTO orders VALUES (1, 'again', 0); COMMIT",
				"TRUNCATE orders",
				"INSERT INTO orders VALUES (9, 'end')",
			)
			f := p.follow(Options{Binary: binary, SyncInterval: time.Millisecond})
			var got []string
			var last uint64
			for len(got) == 0 || got[len(got)-1] != "insert id=9 note=end price=∅ at=2024-02-29 12:00:00+00" {
				d := f.next()
				got = append(got, describe(d)...)
				for _, b := range d.Batches {
					for _, row := range b.Rows {
						if row.LSN < last || row.LSN >= b.Transactions[row.Transaction].CommitLSN {
							t.Errorf("row at %x, behind %x, of a transaction that commits at %x", row.LSN, last, b.Transactions[row.Transaction].CommitLSN)
						}
						last = row.LSN
					}
				}
				if d.Control != nil {
					if d.Control.LSN <= last {
						t.Errorf("truncate at %x is not behind the row at %x", d.Control.LSN, last)
					}
					last = d.Control.LSN
				}
				d.Ack(nil)
			}
			want := []string{
				"insert id=1 note=a price=1.50 at=2024-02-29 12:00:00+00",
				"insert id=2 note=∅ price=2.00 at=2024-02-29 12:00:00+00",
				"update id=2 note=b price=2.00 at=2024-02-29 12:00:00+00",
				"delete id=2 note=? price=? at=?",
				"update id=3 note=b price=2.00 at=2024-02-29 12:00:00+00",
				"delete id=1 note=? price=? at=?",
				"insert id=1 note=again price=0.00 at=2024-02-29 12:00:00+00",
				"truncate public.orders",
				"insert id=9 note=end price=∅ at=2024-02-29 12:00:00+00",
			}
			if !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if err := f.stop(); err != nil {
				t.Errorf("stopping: %v", err)
			}
			p.stands(f.checkpoint.Confirmed())
		})
	}
}

func TestRolledBackWorkDeliversNothing(t *testing.T) {
	p := newPipe(t, "", orders)
	p.exec(
		"BEGIN; INSERT INTO orders VALUES (1); ROLLBACK",
		"BEGIN; INSERT INTO orders VALUES (2, 'kept'); SAVEPOINT s; INSERT INTO orders VALUES (3); UPDATE orders SET note = 'lost' WHERE id = 2; ROLLBACK TO s; INSERT INTO orders VALUES (4, 'end'); COMMIT",
	)
	f := p.follow(Options{})
	got := f.rows("insert id=4 note=end price=∅ at=2024-02-29 12:00:00+00")
	if len(got) != 2 || !strings.HasPrefix(got[0], "insert id=2 note=kept") {
		t.Errorf("got %q", got)
	}
}

// TestSmallTransactionsAreGathered: whole ones, up to MaxRows.
func TestSmallTransactionsAreGathered(t *testing.T) {
	p := newPipe(t, "", orders)
	for id := 0; id < 12; id += 2 {
		p.exec(fmt.Sprintf("INSERT INTO orders VALUES (%d), (%d)", id, id+1))
	}
	f := p.follow(Options{MaxRows: 5, SyncInterval: time.Hour})
	for range 2 {
		d := f.next()
		b := d.Batches[0]
		if len(b.Rows) != 6 || len(b.Transactions) != 3 {
			t.Errorf("got %d rows of %d transactions, want 6 of 3", len(b.Rows), len(b.Transactions))
		}
		d.Ack(nil)
	}
	// A transaction that is too large by itself is cut, also behind others.
	p.exec("INSERT INTO orders VALUES (100)", "INSERT INTO orders SELECT generate_series(101, 111)")
	for _, want := range []int{6, 5} {
		d := f.next()
		if got := len(d.Batches[0].Rows); got != want {
			t.Errorf("a part has %d rows, want %d", got, want)
		}
		d.Ack(nil)
	}
}

func TestAFewChangesDoNotWaitForMore(t *testing.T) {
	p := newPipe(t, "", orders)
	f := p.follow(Options{SyncInterval: 10 * time.Millisecond})
	for id := range 3 {
		p.exec(fmt.Sprintf("INSERT INTO orders VALUES (%d, '', 0, NULL)", id))
		f.rows(fmt.Sprintf("insert id=%d note= price=0.00 at=∅", id))
	}
}

// TestTruncateIsABarrier: everything before it is acked before it is sent, and
// nothing is sent before it is acked.
func TestTruncateIsABarrier(t *testing.T) {
	p := newPipe(t, soon, orders)
	p.exec("BEGIN; INSERT INTO orders VALUES (1); TRUNCATE orders; INSERT INTO orders VALUES (2); COMMIT")
	f := p.follow(Options{})
	first := f.next()
	f.nothing("before the insert was acked")
	first.Ack(nil)
	truncate := f.next()
	if truncate.Control == nil || truncate.Control.Operation != change.Truncate || truncate.Control.Transaction.XID == 0 {
		t.Fatalf("got %q, want the truncate", describe(truncate))
	}
	f.nothing("before the truncate was acked")
	if n := len(f.applied); n != 0 {
		t.Errorf("%d controls applied before the ack", n)
	}
	truncate.Ack(nil)
	if got := describe(f.next()); len(got) != 1 || !strings.HasPrefix(got[0], "insert id=2") {
		t.Errorf("got %q, want the insert behind the truncate", got)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.applied) != 1 || f.applied[0] != truncate.Control {
		t.Errorf("applied %v", f.applied)
	}
}

// TestSchemaChangeIsABarrier also checks that definitions have positions that
// grow, though the server sends none, and that the rows have the definition
// that held for them.
func TestSchemaChangeIsABarrier(t *testing.T) {
	p := newPipe(t, "", orders)
	f := p.follow(Options{SyncInterval: time.Millisecond})
	p.exec(
		"INSERT INTO orders VALUES (1, '', 0, NULL)",
		"BEGIN; ALTER TABLE orders ADD COLUMN extra text; INSERT INTO orders VALUES (2, '', 0, NULL, 'x')",
		"ALTER TABLE orders DROP COLUMN note; INSERT INTO orders VALUES (3, 0, NULL, 'y'); COMMIT",
	)
	var version uint64
	for i, want := range []string{
		"insert id=1 note= price=0.00 at=∅", "schema public.orders",
		"insert id=2 note= price=0.00 at=∅ extra=x", "schema public.orders",
		"insert id=3 price=0.00 at=∅ extra=y",
	} {
		d := f.next()
		if got := describe(d); len(got) != 1 || got[0] != want {
			t.Errorf("%d: got %q, want %q", i, got, want)
		}
		if c := d.Control; c != nil {
			if c.Table.Version <= version || c.LSN != c.Table.Version || c.Transaction.XID == 0 || c.Previous == nil {
				t.Errorf("%d: got %+v, version behind %x", i, c, version)
			}
			version = c.Table.Version
		} else if d.Batches[0].Table.Version != version {
			t.Errorf("%d: rows of version %x, want %x", i, d.Batches[0].Table.Version, version)
		}
		d.Ack(nil)
	}
}

func TestANewAnnouncementKeepsWhatWasGathered(t *testing.T) {
	p := newPipe(t, "", orders)
	p.exec("INSERT INTO orders VALUES (1, '', 0, NULL)", "ANALYZE orders", "ALTER TABLE orders SET (fillfactor = 90)", "INSERT INTO orders VALUES (2, 'end', 0, NULL)")
	f := p.follow(Options{MaxRows: 2, SyncInterval: time.Hour})
	if got := describe(f.next()); len(got) != 2 {
		t.Errorf("got %q, want both rows in one delivery", got)
	}
}

// TestLargeTransactionStreamsThrough guards rule 15.
func TestLargeTransactionStreamsThrough(t *testing.T) {
	p := newPipe(t, "", orders)
	const rows = 200000
	p.exec(fmt.Sprintf("BEGIN; INSERT INTO orders SELECT n, repeat('x', 50), n, NULL FROM generate_series(1, %d) n; COMMIT", rows),
		"INSERT INTO orders VALUES (0, 'end', 0, NULL)")
	f := p.follow(Options{MaxRows: 20000, MaxBytes: 1 << 20, Binary: true})
	confirmed := p.confirmed()
	total := 0
	for total < rows {
		d := f.next()
		for _, b := range d.Batches {
			if len(b.Rows) > 20000 || len(b.Data) > 1<<20+1000 {
				t.Fatalf("a delivery has %d rows and %d bytes", len(b.Rows), len(b.Data))
			}
			total += len(b.Rows)
		}
		if total < rows && f.checkpoint.Confirmed() > d.Batches[0].Transactions[0].CommitLSN {
			t.Error("the position moved inside the transaction")
		}
		d.Ack(nil)
	}
	f.rows("insert id=0 note=end price=0.00 at=∅")
	if total != rows {
		t.Errorf("got %d rows, want %d", total, rows)
	}
	if p.confirmed() < confirmed {
		t.Error("the slot moved back")
	}
}

func TestAValueLargerThanAllBuffers(t *testing.T) {
	p := newPipe(t, "", orders)
	p.exec("INSERT INTO orders VALUES (1, repeat('0123456789', 2000000), 0, NULL)")
	f := p.follow(Options{})
	got := f.rows(" price=0.00 at=∅")
	if want := "insert id=1 note=" + strings.Repeat("0123456789", 2000000) + " price=0.00 at=∅"; len(got) != 1 || got[0] != want {
		t.Error("the value is not what was inserted")
	}
}

// TestUnchangedTOAST guards rule 10 on a real server: where each value comes
// from, and that a TOASTed key is never lost.
func TestUnchangedTOAST(t *testing.T) {
	p := newPipe(t, "",
		"CREATE TABLE by_key (id int PRIMARY KEY, n int, doc text)", "ALTER TABLE by_key ALTER doc SET STORAGE EXTERNAL",
		"CREATE TABLE by_row (id int PRIMARY KEY, n int, doc text)", "ALTER TABLE by_row ALTER doc SET STORAGE EXTERNAL, REPLICA IDENTITY FULL",
		"CREATE TABLE large_key (id text PRIMARY KEY, n int)", "ALTER TABLE large_key ALTER id SET STORAGE EXTERNAL",
	)
	doc, key := strings.Repeat("x", 5000), strings.Repeat("k", 2500)
	p.exec(
		"INSERT INTO by_key VALUES (1, 1, repeat('x', 5000))", "INSERT INTO by_row VALUES (1, 1, repeat('x', 5000))", "INSERT INTO large_key VALUES (repeat('k', 2500), 1)",
		"BEGIN; UPDATE by_key SET n = 2; UPDATE by_key SET id = 2; UPDATE by_row SET n = 2; UPDATE by_row SET id = 2; UPDATE large_key SET n = 2; DELETE FROM large_key; COMMIT",
	)
	f := p.follow(Options{})
	for range 3 {
		f.next().Ack(nil)
	}
	d := f.next()
	var got []string
	for _, b := range d.Batches {
		for i, row := range describe(&Delivery{Batches: []*Assembled{b}}) {
			row = strings.NewReplacer(doc, "DOC", key, "KEY").Replace(row)
			got = append(got, fmt.Sprint(row, " unresolved=", slices.Contains(b.Unresolved, i)))
		}
	}
	want := []string{
		"update id=1 n=2 doc=… unresolved=true",
		"delete id=1 n=? doc=? unresolved=false",
		"update id=2 n=2 doc=… unresolved=true",
		"update id=1 n=2 doc=DOC unresolved=false",
		"delete id=1 n=2 doc=DOC unresolved=false",
		"update id=2 n=2 doc=DOC unresolved=false",
		"update id=KEY n=2 unresolved=false",
		"delete id=KEY n=? unresolved=false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestPartitionsAreOneTable guards rule 13.
func TestPartitionsAreOneTable(t *testing.T) {
	p := newPipe(t, "",
		"CREATE TABLE events (id int, part int, note text, PRIMARY KEY (part, id)) PARTITION BY LIST (part)",
		"CREATE TABLE other_leaf (gone int, note text, part int NOT NULL, id int NOT NULL, PRIMARY KEY (part, id))",
		"ALTER TABLE other_leaf DROP COLUMN gone",
		"ALTER TABLE events ATTACH PARTITION other_leaf FOR VALUES IN (1)",
		"CREATE TABLE other_leaf2 PARTITION OF events FOR VALUES IN (2)",
	)
	p.exec(
		"INSERT INTO events VALUES (1, 1, 'a'), (2, 2, 'b')",
		"UPDATE events SET part = 2 WHERE id = 1", // moves to the other leaf
		"CREATE TABLE other_leaf3 PARTITION OF events FOR VALUES IN (3)",
		"DELETE FROM events WHERE id = 2",
		"INSERT INTO events VALUES (3, 3, 'end')",
	)
	f := p.follow(Options{})
	got := f.rows("insert id=3 part=3 note=end")
	want := []string{
		"insert id=1 part=1 note=a", "insert id=2 part=2 note=b",
		"delete id=1 part=1 note=?", "insert id=1 part=2 note=a",
		"delete id=2 part=2 note=?", "insert id=3 part=3 note=end",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestGeneratedColumns: before PostgreSQL 18 the stream leaves them out.
func TestGeneratedColumns(t *testing.T) {
	p := newPipe(t, "", "CREATE TABLE g (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (2 * id) STORED, note text)")
	p.exec("INSERT INTO g VALUES (1, DEFAULT, 'a')", "DELETE FROM g")
	f := p.follow(Options{})
	got := f.rows("delete id=1 twice=? note=?")
	want := "insert id=1 twice=… note=a"
	if p.server.Version >= 180000 {
		want = "insert id=1 twice=2 note=a"
	}
	if got[0] != want {
		t.Errorf("got %q, want %q", got[0], want)
	}
}
