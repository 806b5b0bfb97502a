package lifecycle

import (
	"sync"
	"sync/atomic"

	"github.com/penstock/penstock/internal/change"
)

// TableProgress counts what happens to a table, for others to see. It is live,
// not durable, and cheap enough to be called for each batch. A nil
// TableProgress takes everything and does nothing.
type TableProgress struct {
	rows    atomic.Uint64 // read by this process in loads
	changes [change.TableDone + 1]atomic.Uint64

	mu          sync.Mutex
	phase       TablePhase
	failure     *Failure
	done, total int
	loaded      int64 // rows of the load at the destination or on the way
}

// Table returns the progress of a table, "schema.name"; the first call makes
// it. A nil Pipe has none.
func (p *Pipe) Table(name string) *TableProgress {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.table(name)
}

func (p *Pipe) table(name string) *TableProgress {
	t := p.tables[name]
	if t == nil {
		t = &TableProgress{phase: TablePending}
		p.tables[name] = t
	}
	return t
}

// forget drops a table that the state no longer has.
func (p *Pipe) forget(name string) {
	if t := p.tables[name]; t != nil {
		p.forgotten += t.moved()
		delete(p.tables, name)
	}
}

// moved returns the rows and changes counted by this process.
func (t *TableProgress) moved() uint64 {
	n := t.rows.Load()
	for op := range t.changes {
		n += t.changes[op].Load()
	}
	return n
}

// follow takes over what a durable state says, where it says something new.
func (t *TableProgress) follow(prev, next *TableState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if prev == nil {
		prev = &TableState{}
	}
	if prev.Phase != next.Phase {
		t.phase, t.failure = next.Phase, next.Failure
	}
	if done, total := next.Load.Chunks(); total > 0 {
		t.done, t.total = done, total
	}
	if next.Load.Rows > t.loaded || next.Load.Rows < prev.Load.Rows {
		t.loaded = next.Load.Rows
	}
}

// SetPhase shows another phase. The durable one is TableState.Phase: an Update
// that changes it is shown too, and needs no SetPhase.
func (t *TableProgress) SetPhase(phase TablePhase) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.phase = phase
	if phase != TableFailed {
		t.failure = nil
	}
}

// SetFailed shows phase failed and why.
func (t *TableProgress) SetFailed(f *Failure) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.phase, t.failure = TableFailed, f.shown()
}

// RowsRead counts n rows read by a load.
func (t *TableProgress) RowsRead(n int) {
	if t == nil {
		return
	}
	t.rows.Add(uint64(n))
	t.mu.Lock()
	t.loaded += int64(n)
	t.mu.Unlock()
}

// Chunks shows how many of a load's chunks are done. Updates of TableState.Load
// are shown too.
func (t *TableProgress) Chunks(done, total int) {
	if t == nil {
		return
	}
	t.mu.Lock()
	t.done, t.total = done, total
	t.mu.Unlock()
}

// Changes counts n changes of one kind.
func (t *TableProgress) Changes(op change.Operation, n int) {
	if t == nil || int(op) >= len(t.changes) {
		return
	}
	t.changes[op].Add(uint64(n))
}
