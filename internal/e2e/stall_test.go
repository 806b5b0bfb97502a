package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/internal/devstack"
	"github.com/penstock/penstock/internal/devstack/devtest"
	"github.com/penstock/penstock/internal/verify"
)

// gate holds every batch while it is closed.
type gate struct {
	mu      sync.Mutex
	open    chan struct{}
	waiting int
}

func (g *gate) ProcessBatch(ctx context.Context, b service.MessageBatch) ([]service.MessageBatch, error) {
	g.mu.Lock()
	open := g.open
	g.waiting++
	g.mu.Unlock()
	select {
	case <-open:
		return []service.MessageBatch{b}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (g *gate) Close(context.Context) error { return nil }

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open, g.waiting = make(chan struct{}), 0
}

func (g *gate) holds() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting
}

// Guards rule 6: status goes out while the sink stalls for longer than the
// server waits, so that the server does not end the connection.
func TestStatusIsSentWhileTheSinkStalls(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	server := devtest.OwnPostgres(t, devstack.PostgresOptions{Settings: map[string]string{"wal_sender_timeout": timeout.String()}})
	e := connectEnds(t, server.DSN(), devtest.ClickHouse(t))
	e.source(t, "CREATE TABLE t (id int PRIMARY KEY, v text)")

	g := &gate{open: make(chan struct{})}
	close(g.open)
	env := service.GlobalEnvironment().Clone()
	if err := env.RegisterBatchProcessor("gate", service.NewConfigSpec(), func(*service.ParsedConfig, *service.Resources) (service.BatchProcessor, error) {
		return g, nil
	}); err != nil {
		t.Fatal(err)
	}
	p := e.start(t, pipeOptions{format: "blocks", processors: "[{gate: {}}]", env: env, input: []string{"checkpoint_limit: 1", "max_in_flight_bytes: 100000"}})
	p.running()
	var sender int
	devtest.Eventually(t, patience, "the server sends", func() (bool, error) {
		err := e.postgres.QueryRow(t.Context(), "SELECT pid FROM pg_stat_replication WHERE state = 'streaming'").Scan(&sender)
		return err == nil, err
	})

	g.shut()
	e.source(t, "INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 5000) g")
	devtest.Eventually(t, patience, "the sink stalls", func() (bool, error) { return g.holds() > 0, nil })
	var stalled time.Time
	if err := e.postgres.QueryRow(t.Context(), "SELECT now()").Scan(&stalled); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		// More than fits into what the pipe takes while nothing leaves it.
		e.source(t, fmt.Sprintf("INSERT INTO t SELECT g, repeat('y', 1000) FROM generate_series(%d, %d) g", 10000+n*100, 10099+n*100))
		var pid int
		var now time.Time
		if err := e.postgres.QueryRow(t.Context(), "SELECT pid, now() FROM pg_stat_replication, pg_sleep(0.1)").Scan(&pid, &now); err != nil || pid != sender {
			t.Fatalf("after %s the server sends as %d, not as %d: %v", now.Sub(stalled), pid, sender, err)
		}
		if now.Sub(stalled) > 3*timeout {
			break
		}
	}
	close(g.open)
	e.equal(t, verify.Options{}, "t")
}
