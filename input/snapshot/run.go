package snapshot

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/internal/change"
)

// Options of a run.
type Options struct {
	// Parallelism is the number of sessions that read; MaxTables the number of
	// tables that are read at the same time.
	Parallelism, MaxTables int
	Limits                 Limits
}

// Sink takes what a run reads. Its methods are called by several goroutines.
type Sink interface {
	// Batch takes rows of a chunk; it blocks while downstream is slower.
	Batch(ctx context.Context, chunk Chunk, b *change.Batch) error
	// Copied says that every batch of the chunk was handed over.
	Copied(ctx context.Context, chunk Chunk) error
}

// Run reads all chunks and returns when the last was handed over, or with the
// first error.
func Run(ctx context.Context, source *catalog.Source, anchor *Anchor, chunks []Chunk, o Options, sink Sink) error {
	queue := newQueue(chunks, o.MaxTables)
	taken := change.Transaction{CommitTime: anchor.Taken}
	group, ctx := errgroup.WithContext(ctx)
	for range min(max(1, o.Parallelism), len(chunks)) {
		group.Go(func() error {
			var conn *pgx.Conn
			defer func() {
				if conn != nil {
					catalog.Close(conn)
				}
			}()
			for {
				chunk, ok := queue.next()
				if !ok {
					return nil
				}
				if conn == nil {
					var err error
					if conn, err = anchor.connect(ctx, source); err != nil {
						return err
					}
				}
				err := copyChunk(ctx, conn, chunk, taken, o.Limits, func(b *change.Batch) error { return sink.Batch(ctx, chunk, b) })
				if err != nil {
					return err
				}
				queue.done(chunk)
				if err := sink.Copied(ctx, chunk); err != nil {
					return err
				}
			}
		})
	}
	return group.Wait()
}

// queue gives out chunks so that at most so many tables are being read, and
// the tables being read share the sessions evenly.
type queue struct {
	mu     sync.Mutex
	tables []*queuedTable // being read first, then waiting, in order
	open   int            // how many of tables may be read now
}

type queuedTable struct {
	oid     uint32
	chunks  []Chunk
	reading int
}

func newQueue(chunks []Chunk, maxTables int) *queue {
	q := &queue{open: max(1, maxTables)}
	for _, c := range chunks {
		if n := len(q.tables); n > 0 && q.tables[n-1].oid == c.Table.OID {
			q.tables[n-1].chunks = append(q.tables[n-1].chunks, c)
			continue
		}
		q.tables = append(q.tables, &queuedTable{oid: c.Table.OID, chunks: []Chunk{c}})
	}
	return q
}

// next returns the next chunk of the table with the fewest readers.
func (q *queue) next() (Chunk, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var best *queuedTable
	for _, t := range q.tables[:min(q.open, len(q.tables))] {
		if len(t.chunks) > 0 && (best == nil || t.reading < best.reading) {
			best = t
		}
	}
	if best == nil {
		// Every open table is fully given out: a session without work may as
		// well begin another table.
		for _, t := range q.tables {
			if len(t.chunks) > 0 {
				best = t
				break
			}
		}
	}
	if best == nil {
		return Chunk{}, false
	}
	chunk := best.chunks[0]
	best.chunks = best.chunks[1:]
	best.reading++
	return chunk, true
}

// done says that a chunk was read; a table without chunks makes room.
func (q *queue) done(chunk Chunk) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, t := range q.tables {
		if t.oid != chunk.Table.OID {
			continue
		}
		t.reading--
		if len(t.chunks) == 0 && t.reading == 0 {
			q.tables = append(q.tables[:i], q.tables[i+1:]...)
		}
		return
	}
}
