package input

import (
	"context"
	"errors"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/input/snapshot"
	"github.com/penstock/penstock/input/stream"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/lifecycle"
)

// Sizes of a snapshot's batches. A block of ClickHouse wants tens of thousands
// of rows; structured rows cost twenty times the memory of bytes on the wire.
const (
	blockRows     = 1 << 17
	blockBytes    = 4 << 20
	structureRows = 10000
)

// snapshot copies the tables. work ends when a command interrupts it.
func (d *driver) snapshot(ctx, work context.Context) error {
	conn, err := d.config.source.Connect(work)
	if err != nil {
		return err
	}
	defer catalog.Close(conn)
	if _, err := d.look(work, conn); err != nil {
		return err
	}
	anchor, err := d.anchor(work, conn)
	if err != nil {
		return err
	}
	defer anchor.Close()
	if err := d.plan(work, conn, d.tables, false); err != nil {
		return err
	}
	d.pipe.Healthy()
	if err := d.load(ctx, work, anchor, d.tables); err != nil {
		return err
	}
	next := lifecycle.Running
	if d.config.mode == modeSnapshot {
		next = lifecycle.Completed
	}
	return d.pipe.To(ctx, next)
}

// anchor returns a snapshot to copy: that of the slot where it is made now, a
// fresh one where it was there already, for which see package snapshot.
func (d *driver) anchor(ctx context.Context, conn *pgx.Conn) (*snapshot.Anchor, error) {
	if !d.config.streaming() {
		return snapshot.Export(ctx, d.config.source)
	}
	if !d.pipe.State().Slot.IsZero() {
		if err := d.checkSlot(ctx, conn); err != nil {
			return nil, err
		}
		return snapshot.Export(ctx, d.config.source)
	}
	slot, err := d.openSlot(ctx, conn)
	if err != nil {
		return nil, err
	}
	err = d.pipe.Update(ctx, func(s *lifecycle.State) error {
		slot.record(s)
		return nil
	})
	if err != nil {
		slot.release()
		return nil, err
	}
	if slot.anchor != nil {
		return slot.anchor, nil
	}
	return snapshot.Export(ctx, d.config.source)
}

// plan cuts tables into chunks: those that have no plan yet, or whose plan does
// not fit them any more, or all of them anew.
func (d *driver) plan(ctx context.Context, conn *pgx.Conn, tables []*catalog.Table, anew bool) error {
	state := d.pipe.State()
	plans := map[string][]lifecycle.LoadPart{}
	for _, t := range tables {
		if known := state.Tables[t.String()]; !anew && known != nil && len(known.Load.Parts) > 0 {
			if known.Load.Complete {
				continue
			}
			// Without a stream behind it, one snapshot has to hold the whole table:
			// a row that moved between two of them would be in neither.
			if d.config.streaming() {
				stale, err := snapshot.Stale(ctx, conn, known.Load.Parts)
				if err != nil {
					return err
				}
				if !stale {
					continue
				}
				d.log.With("table", t.String()).Warn("The table was rewritten while it was being loaded; its load begins again")
			}
		}
		parts, err := snapshot.Plan(ctx, conn, d.server, t, d.config.chunkRows)
		if err != nil {
			return err
		}
		plans[t.String()] = parts
	}
	return d.pipe.Update(ctx, func(s *lifecycle.State) error {
		for _, t := range tables {
			known := s.Tables[t.String()]
			if known == nil || anew {
				known = &lifecycle.TableState{Definition: t.Describe()}
				s.Tables[t.String()] = known
			}
			if parts, planned := plans[t.String()]; planned {
				known.Load = lifecycle.Load{Parts: parts}
			}
			switch {
			case anew:
				known.Phase = lifecycle.TableResync
			case !known.Load.Complete:
				known.Phase = lifecycle.TableSnapshot
			}
			finishTable(known)
		}
		return nil
	})
}

// load copies the chunks that are not done, and returns when all are.
func (d *driver) load(ctx, work context.Context, anchor *snapshot.Anchor, tables []*catalog.Table) error {
	state := d.pipe.State()
	var chunks []snapshot.Chunk
	for _, t := range tables {
		chunks = append(chunks, snapshot.Unfinished(t, state.Tables[t.String()].Load.Parts)...)
	}
	if len(chunks) == 0 {
		return nil
	}
	work, cancel := context.WithCancelCause(work)
	defer cancel(nil)
	l := &load{driver: d, ctx: ctx, cancel: cancel, chunks: map[chunkID]*chunkProgress{}}
	limits := snapshot.Limits{Rows: blockRows, Bytes: blockBytes}
	if !d.config.blocks {
		limits.Rows = structureRows
	}
	err := snapshot.Run(work, d.config.source, anchor, chunks, snapshot.Options{
		Parallelism: d.config.parallelism, MaxTables: d.config.maxTables, Limits: limits,
	}, l)
	if cause := context.Cause(work); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	// Also after a pause or an error: what was sent is either acked, and its
	// chunk may be finished, or given up. If it is rejected, work ends.
	l.settled(work)
	if cause := context.Cause(work); err == nil && cause != nil {
		err = cause
	}
	return err
}

// load is one run of the copy: it knows which chunks are acked.
type load struct {
	*driver
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	chunks  map[chunkID]*chunkProgress
	pending sync.WaitGroup // batches and finished chunks under way
}

type chunkID struct {
	table  string
	part   int
	number uint32
}

// chunkProgress is a chunk of which something was sent.
type chunkProgress struct {
	rows    int64
	pending int
	copied  bool
}

var _ snapshot.Sink = (*load)(nil)

func (l *load) chunk(c snapshot.Chunk) (chunkID, *chunkProgress) {
	id := chunkID{c.Table.String(), c.Part, c.Number}
	p := l.chunks[id]
	if p == nil {
		p = &chunkProgress{}
		l.chunks[id] = p
	}
	return id, p
}

// Batch implements snapshot.Sink.
func (l *load) Batch(ctx context.Context, c snapshot.Chunk, b *change.Batch) error {
	l.mu.Lock()
	_, progress := l.chunk(c)
	progress.pending++
	progress.rows += int64(len(b.Rows))
	l.mu.Unlock()
	l.pending.Add(1)
	l.pipe.Received(len(b.Data))
	l.pipe.Table(b.Table.String()).RowsRead(len(b.Rows))
	err := l.outbox.send(ctx, &stream.Delivery{
		Batches: []*stream.Assembled{{Batch: b}},
		Ack:     func(outcome error) { l.acked(c, outcome) },
	})
	if err != nil {
		l.pending.Done()
	}
	return err
}

// Copied implements snapshot.Sink.
func (l *load) Copied(_ context.Context, c snapshot.Chunk) error {
	l.mu.Lock()
	_, progress := l.chunk(c)
	progress.copied = true
	finished := progress.pending == 0
	l.mu.Unlock()
	if finished {
		return l.finish(c)
	}
	return nil
}

func (l *load) acked(c snapshot.Chunk, outcome error) {
	defer l.pending.Done()
	if outcome != nil {
		l.cancel(outcome)
		return
	}
	l.mu.Lock()
	_, progress := l.chunk(c)
	progress.pending--
	finished := progress.copied && progress.pending == 0
	l.mu.Unlock()
	if !finished {
		return
	}
	if err := l.finish(c); err != nil {
		l.cancel(err)
	}
}

// finish records that every row of a chunk is at the destination.
func (l *load) finish(c snapshot.Chunk) error {
	l.mu.Lock()
	_, progress := l.chunk(c)
	rows := progress.rows
	l.mu.Unlock()
	return l.pipe.Update(l.ctx, func(s *lifecycle.State) error {
		t := s.Tables[c.Table.String()]
		if t == nil || c.Part >= len(t.Load.Parts) {
			return nil // removed meanwhile
		}
		t.Load.Parts[c.Part].Done.Add(c.Number)
		t.Load.Rows += rows
		finishTable(t)
		return nil
	})
}

// settled waits until everything sent has an outcome. It does not wait for the
// rest once something was rejected for good.
func (l *load) settled(work context.Context) {
	done := make(chan struct{})
	go func() {
		l.pending.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-l.ctx.Done():
	case <-rejected(work):
	}
}

// rejected is closed when work ended because of a rejection, not of a command.
func rejected(work context.Context) <-chan struct{} {
	if cause := context.Cause(work); cause != nil && errors.Is(cause, context.Canceled) {
		return nil
	}
	return work.Done()
}

// finishTable moves a table on when its last chunk is done. One that is loaded
// anew waits to be swapped in.
func finishTable(t *lifecycle.TableState) {
	if done, total := t.Load.Chunks(); done != total {
		return
	}
	t.Load.Complete = true
	if t.Phase != lifecycle.TableResync {
		t.Phase = lifecycle.TableRunning
	}
}
