package lifecycle_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/penstock/penstock/lifecycle"
	"github.com/penstock/penstock/lifecycle/api"
)

// published returns the tables of the pipe's publication.
func (e *ends) published(t testing.TB) string {
	t.Helper()
	return ask[string](t, e, "SELECT coalesce(string_agg(tablename, ' ' ORDER BY tablename), '') FROM pg_publication_tables WHERE pubname = $1", e.slot())
}

// Tables come into a pipe, leave it and come back, while others stream.
func TestTablesComeAndGo(t *testing.T) {
	t.Parallel()
	e := newEnds(t)
	e.source(t,
		`CREATE TABLE orders (id bigint PRIMARY KEY, n int)`, `INSERT INTO orders SELECT id, 0 FROM generate_series(1, 1000) id`,
		`CREATE TABLE clients (id bigint PRIMARY KEY, n int)`, `INSERT INTO clients SELECT id, 0 FROM generate_series(1, 20000) id`)
	w := e.write(t, func(n int) string {
		return fmt.Sprintf(`WITH c AS (UPDATE clients SET n = n + 1 WHERE id = %[1]d + 1) UPDATE orders SET n = n + 1 WHERE id = %[1]d + 1`, n%1000)
	})
	p := e.pipe(t, options{tables: `["public.orders"]`}).start()
	p.running()
	if got := e.published(t); got != "orders" {
		t.Errorf("published is %q, want orders", got)
	}

	p.tables = `["public.orders", "public.clients"]`
	p.restart()
	d := p.running("orders", "clients")
	if table(d, "clients").RowsRead < 20000 || table(d, "orders").RowsRead != 0 {
		t.Errorf("of the table added %d rows were read, want all; of the other one %d, want none", table(d, "clients").RowsRead, table(d, "orders").RowsRead)
	}
	if got := e.published(t); got != "clients orders" {
		t.Errorf("published is %q, want both tables", got)
	}
	w.stop()
	e.equal(t, "orders", "clients")

	p.tables = `["public.clients"]`
	p.restart()
	p.until("the table has left the pipe", func(d api.PipeDetail) bool {
		return d.Phase == string(lifecycle.Running) && table(d, "orders").Phase == string(lifecycle.TableRemoved)
	})
	p.command("/tables/public.orders/resync", http.StatusConflict)
	if got := e.published(t); got != "clients" {
		t.Errorf("published is %q, want clients", got)
	}
	frozen := e.touched(t, "orders")
	// Of what happens now in the table that left the pipe sees nothing.
	e.source(t, `UPDATE orders SET n = -1 WHERE id <= 500`, `DELETE FROM orders WHERE id > 900`, `UPDATE clients SET n = -1 WHERE id <= 500`)
	e.equal(t, "clients")
	if now := e.touched(t, "orders"); now != frozen {
		t.Errorf("the destination of a table that left has changed: from %s to %s", frozen, now)
	}

	p.tables = `["public.*"]`
	p.restart()
	p.running("orders", "clients")
	e.source(t, `INSERT INTO orders VALUES (5000, 5)`)
	e.equal(t, "orders", "clients")
	e.noShadows(t)
}

// A publication of the user's is never changed; where it lacks a table, the
// failure names the statement to run, and resume goes on after it.
func TestPublicationOfTheUser(t *testing.T) {
	t.Parallel()
	e := newEnds(t)
	e.source(t,
		`CREATE TABLE orders (id bigint PRIMARY KEY)`, `INSERT INTO orders VALUES (1)`,
		`CREATE TABLE clients (id bigint PRIMARY KEY)`, `INSERT INTO clients VALUES (1)`,
		`CREATE PUBLICATION `+e.slot()+` FOR TABLE orders`)
	p := e.pipe(t, options{}).start()
	f := p.failed()
	statement := `ALTER PUBLICATION "` + e.slot() + `" ADD TABLE "public"."clients"`
	says(t, f, "publication", "public.clients", statement)
	if got := e.published(t); got != "orders" {
		t.Errorf("published is %q, want orders: the publication is not ours to change", got)
	}
	e.source(t, statement)
	p.command("/resume", http.StatusAccepted)
	p.running()
	e.source(t, `INSERT INTO clients VALUES (2)`, `INSERT INTO orders VALUES (2)`)
	e.equal(t, "orders", "clients")
}

// A new table that cannot be replicated is left out, with a warning that says
// what to do; the others go on.
func TestNewTableWithoutIdentity(t *testing.T) {
	t.Parallel()
	e := newEnds(t)
	e.source(t, `CREATE TABLE orders (id bigint PRIMARY KEY)`, `INSERT INTO orders VALUES (1)`)
	p := e.pipe(t, options{}).start()
	p.running()
	p.stop()
	e.source(t, `CREATE TABLE notes (body text)`, `INSERT INTO notes VALUES ('no key')`, `INSERT INTO orders VALUES (2)`,
		`CREATE TABLE clients (id bigint PRIMARY KEY)`, `INSERT INTO clients VALUES (1)`)
	p.start()
	d := p.running("orders", "clients")
	if table(d, "notes").Name != "" {
		t.Errorf("the table without identity is part of the pipe: %s", describe(d))
	}
	e.equal(t, "orders", "clients")
	if log := p.process.log.String(); !strings.Contains(log, "public.notes") || !strings.Contains(log, "REPLICA IDENTITY") {
		t.Error("the log does not say that public.notes was left out, and what to do")
	}
	p.stop()
	e.source(t, `ALTER TABLE notes REPLICA IDENTITY FULL`)
	p.start()
	p.running("notes")
	e.equal(t, "orders", "clients")
	if n := look[uint64](t, e, "SELECT count() FROM public_notes"); n != 1 {
		t.Errorf("once it has an identity, %d rows of the table are replicated, want 1", n)
	}
}
