package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/internal/devstack/devtest"
	"github.com/penstock/penstock/lifecycle/api"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

func shop(t testing.TB, rows int) (*pgx.Conn, string) {
	t.Helper()
	dsn := devtest.Postgres(t)
	begun := time.Now()
	if err := loadShop(t.Context(), dsn, rows); err != nil {
		t.Fatal(err)
	}
	t.Logf("loaded %d rows in %s", rows, time.Since(begun))
	conn, err := connectShop(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn, dsn
}

func count(t testing.TB, conn *pgx.Conn, from string) (n int) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM "+from).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestShopHasTheRowsThatTheScreenPromises(t *testing.T) {
	const rows = 5000
	conn, _ := shop(t, rows)
	total := 0
	for _, table := range shopTables {
		n := count(t, conn, table.name)
		if n != table.size(rows) {
			t.Errorf("%s has %d rows, want %d", table.name, n, table.size(rows))
		}
		total += n
	}
	if total != rows {
		t.Errorf("the shop has %d rows, want %d", total, rows)
	}
	if n := count(t, conn, "orders WHERE customer_id NOT IN (SELECT id FROM customers)"); n > 0 {
		t.Errorf("%d orders have no customer", n)
	}
}

func TestTrafficWritesEveryKindOfChange(t *testing.T) {
	const rows = 5000
	conn, dsn := shop(t, rows)
	traffic := &traffic{dsn: dsn, rate: 2000, rows: rows}
	random := rand.New(rand.NewPCG(1, 2))
	if err := traffic.transaction(t.Context(), conn, random, 1000, true); err != nil {
		t.Fatal(err)
	}
	if n := count(t, conn, "events"); n != shopSize("events", rows) || traffic.written.Load() != 0 {
		t.Errorf("a rolled back transaction left %d events and counted %d rows", n, traffic.written.Load())
	}
	if err := traffic.transaction(t.Context(), conn, random, 1000, false); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{
		"events WHERE payload ? 'live'",
		"orders WHERE note = 'live'",
		"payments WHERE order_id IN (SELECT id FROM orders WHERE note = 'live')",
		"order_items WHERE order_id IN (SELECT id FROM orders WHERE note = 'live')",
		"customers WHERE tags[1] = 'live'",
		"orders WHERE shipped_at::date = current_date",
		"addresses WHERE kind = 'work'", // a key that changed
	} {
		if count(t, conn, from) == 0 {
			t.Errorf("there are no %s", from)
		}
	}
	if n := count(t, conn, fmt.Sprintf("events WHERE id <= %d", shopSize("events", rows))); n >= shopSize("events", rows) {
		t.Error("no event was deleted")
	}
	if got := traffic.written.Load(); got < 500 || got > 1500 {
		t.Errorf("counted %d rows, want about 1000", got)
	}
}

func TestTrafficStopsWhilePaused(t *testing.T) {
	_, dsn := shop(t, 1000)
	traffic := &traffic{dsn: dsn, rate: 2000, rows: 1000}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- traffic.run(ctx) }()
	devtest.Eventually(t, 30*time.Second, "rows are written", func() (bool, error) { return traffic.written.Load() > 0, nil })
	resume := traffic.pause()
	at := traffic.written.Load()
	cancel()
	resume()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if traffic.written.Load() != at {
		t.Error("rows were written after a pause")
	}
}

func TestScreenWithoutATerminalPrintsPlainLines(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s := newScreen(out, 1000)
	detail := api.PipeDetail{Tables: []api.Table{{Name: "public.orders", Phase: "snapshot", Rows: 100}}}
	detail.Phase = "snapshot"
	s.progress(detail, 0)
	detail.Phase = "running"
	detail.Tables[0].Rows = 200
	s.progress(detail, 1234567)
	s.progress(detail, 1234568) // too soon
	content, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	got := string(content)
	for _, want := range []string{"phase snapshot", "phase running", "orders               200 rows copied", "1 234 567 rows written"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(got, "\x1b") || strings.Contains(got, "568") {
		t.Errorf("got %q", got)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	end := &tail{}
	for i := range 10_000 {
		fmt.Fprintf(end, "line %d\n", i)
	}
	if got := end.String(); len(got) > tailSize || !strings.HasPrefix(got, "line ") || !strings.HasSuffix(got, "line 9999\n") {
		t.Errorf("got %d bytes, from %.20q", len(got), got)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1 000", 1234567: "1 234 567", -1000: "-1 000"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		shop(b, 1_200_000)
	}
}
