package lifecycle

import (
	"context"
	"errors"
	"sync"
	"testing"
)

// memoryStore keeps a state in memory, counts saves and fails on demand.
type memoryStore struct {
	mu    sync.Mutex
	state []byte
	saves int
	fail  error
	hold  chan struct{} // a save waits until it is closed
	held  chan struct{} // closed when the first save waits
}

func (m *memoryStore) Load(context.Context) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state, nil
}

func (m *memoryStore) Save(_ context.Context, state []byte) error {
	m.mu.Lock()
	hold := m.hold
	if m.held != nil {
		close(m.held)
		m.held = nil
	}
	m.mu.Unlock()
	if hold != nil {
		<-hold
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.state = append([]byte{}, state...)
	m.saves++
	return nil
}

var errDiskFull = errors.New("no space left on device")

func mustOpen(t testing.TB, o Options) *Pipe {
	t.Helper()
	if o.Name == "" {
		o.Name = "shop"
	}
	if o.Store == nil {
		o.Store = &memoryStore{}
	}
	p, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return p
}

// mustBe leads a new pipe to a phase, as a driver and callers would.
func mustBe(t testing.TB, p *Pipe, want Phase) {
	t.Helper()
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	to := func(path ...Phase) {
		t.Helper()
		for _, next := range path {
			must(p.To(ctx, next))
		}
	}
	tables := func() {
		must(p.Update(ctx, func(s *State) error {
			s.Tables["public.orders"] = &TableState{Phase: TableRunning}
			s.Tables["public.users"] = &TableState{Phase: TableRunning}
			return nil
		}))
	}
	switch want {
	case Provisioning:
	case Setup:
		to(Setup)
	case Snapshot:
		to(Setup)
		tables()
		to(Snapshot)
	case Running:
		mustBe(t, p, Snapshot)
		to(Running)
	case Pausing:
		mustBe(t, p, Running)
		_, err := p.Pause(ctx)
		must(err)
	case Paused:
		mustBe(t, p, Pausing)
		to(Paused)
	case Resync:
		mustBe(t, p, Running)
		_, err := p.Resync(ctx, nil)
		must(err)
		to(Resync)
	case Completed:
		mustBe(t, p, Snapshot)
		to(Completed)
	case Failed:
		mustBe(t, p, Running)
		must(p.Fail(ctx, &Failure{Class: "slot_lost", Reason: "the slot is lost", Fix: "raise max_slot_wal_keep_size"}))
	}
	if p.Phase() != want {
		t.Fatalf("phase is %s, want %s", p.Phase(), want)
	}
}
