package insert

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"go.uber.org/goleak"

	"github.com/penstock/penstock/internal/devstack/devtest"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

// noLeaks fails the test if goroutines are left that it started.
func noLeaks(t *testing.T) {
	t.Helper()
	ignore := []goleak.Option{devtest.IgnoreServers(), goleak.IgnoreCurrent()}
	t.Cleanup(func() { goleak.VerifyNone(t, ignore...) })
}

// recorder keeps what a client reports.
type recorder struct {
	mu      sync.Mutex
	failing []*Error
	settled []Series
}

func (r *recorder) onFailing(err *Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing = append(r.failing, err)
}

func (r *recorder) onSettled(s Series) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled = append(r.settled, s)
}

func (r *recorder) counts() (failing, settled int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.failing), len(r.settled)
}

func newClient(t testing.TB, dsn string, r *recorder) *Client {
	t.Helper()
	parsed, err := ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{DSN: parsed, Connections: 2, Timeout: time.Minute}
	if r != nil {
		o.Failing, o.Settled = r.onFailing, r.onSettled
	}
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return c
}

func exec(t testing.TB, c *Client, statement string) {
	t.Helper()
	if err := c.Table("t").Exec(context.Background(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func count(t testing.TB, c *Client, query string) uint64 {
	t.Helper()
	var rows []struct {
		N uint64 `ch:"n"`
	}
	if err := c.Table("t").Select(context.Background(), &rows, "SELECT toUInt64(n) AS n FROM ("+query+")"); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return rows[0].N
}

// numbers is a block of one column, n, with the numbers from first on.
func numbers(first, rows int) proto.Input {
	column := new(proto.ColInt64)
	for i := range rows {
		column.Append(int64(first + i))
	}
	return proto.Input{{Name: "n", Data: column}}
}
