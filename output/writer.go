package output

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/output/ddl"
	"github.com/penstock/penstock/output/encode"
	"github.com/penstock/penstock/output/insert"
)

// blockBytes is the size at which a block is sent though more rows wait. ClickHouse refuses compressed frames of a
// gigabyte, and each writer holds one block.
const blockBytes = 128 << 20

// prepared is how rows of one definition are inserted into their destination. It is immutable but for its blocks.
type prepared struct {
	table     *change.Table
	statement string // INSERT without its end
	columns   []encode.Column
	options   encode.Options
	blocks    sync.Pool // of *encode.Block
}

// newPrepared makes the first block, which tells which columns are sent.
func (d *destination) newPrepared(table *change.Table, target *ddl.Target, existing *ddl.Existing) (*prepared, error) {
	p := &prepared{
		table:   table,
		columns: existing.Destination(),
		options: encode.Options{
			Unrepresentable: d.output.conf.unrepresentable,
			Version:         target.Metadata.Version,
			IsDeleted:       target.Metadata.IsDeleted,
			SyncedAt:        target.Metadata.SyncedAt,
			Lossy:           d.lossy,
			LossyKey:        d.warnLossy,
			Now:             time.Now,
		},
	}
	if existing.Column(target.Metadata.SyncedAt) == nil {
		p.options.SyncedAt = "" // a table of the user's own may go without
	}
	if target.Engine.History() {
		p.options.Operation = target.Metadata.Operation
	}
	block, err := encode.NewBlock(table, p.columns, p.options)
	if err != nil {
		return nil, &ddl.IncompatibleError{Table: d.fullName, Problems: []string{err.Error()}}
	}
	input := block.Input()
	names := make([]string, len(input))
	for i, column := range input {
		names[i] = column.Name
	}
	p.statement = target.Insert(names)
	p.blocks.Put(block)
	return p, nil
}

// block returns an empty block.
func (p *prepared) block() (*encode.Block, error) {
	if block, ok := p.blocks.Get().(*encode.Block); ok {
		return block, nil
	}
	return encode.NewBlock(p.table, p.columns, p.options)
}

// writer applies the steps of one plan.
type writer struct {
	destination *destination
	conn        *insert.Table
	table       *change.Table // definition of the rows that are being gathered, nil while there are none
	// main is the way into the table itself, shadow into the one that is to take its place, if there is one.
	main, shadow *lane
}

// lane is a block on its way into one table.
type lane struct {
	destination *destination
	prepared    *prepared
	release     func()
	block       *encode.Block
	token       insert.Token
	changes     bool      // the block holds rows that are not of a snapshot
	oldest      time.Time // the commit of the oldest of them
}

// apply stores what a plan holds. A control is applied between the inserts before and after it.
func (d *destination) apply(ctx context.Context, plan *tablePlan) error {
	conn, err := d.conn()
	if err != nil {
		return err
	}
	w := &writer{destination: d, conn: conn}
	defer w.end()
	for _, s := range plan.steps {
		if s.control == nil {
			err = w.add(ctx, s.batch)
		} else if err = w.flush(ctx); err == nil {
			err = d.control(ctx, s.control)
		}
		if err != nil {
			return err
		}
	}
	return w.flush(ctx)
}

// add appends a batch to the blocks, and sends them where one is full or the batch is of another definition.
func (w *writer) add(ctx context.Context, batch *change.Batch) error {
	if w.table != nil && w.table != batch.Table && !sameDefinition(w.table, batch.Table) {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	for len(batch.Rows) > 0 {
		if w.table == nil {
			if err := w.begin(ctx, batch.Table); err != nil {
				return err
			}
		}
		part, rest := split(batch, blockBytes)
		// While the table is loaded again, the rows of the load are for the shadow alone.
		ofLoad := part.Rows[0].LSN == 0
		full := false
		for _, l := range []*lane{w.main, w.shadow} {
			if l == nil || l == w.main && w.shadow != nil && ofLoad {
				continue
			}
			if err := l.add(part); err != nil {
				return fmt.Errorf("table %s: %w", w.destination.fullName, err)
			}
			full = full || l.full()
		}
		if full {
			if err := w.flush(ctx); err != nil {
				return err
			}
		}
		batch = rest
	}
	return nil
}

// begin takes hold of the table, and of the one that is to take its place.
func (w *writer) begin(ctx context.Context, table *change.Table) (err error) {
	w.table = table
	if w.main, err = w.destination.lane(ctx, table); err != nil {
		return err
	}
	// Whether there is a shadow is known while the table is held.
	if shadow := w.destination.shadow; shadow != nil {
		w.shadow, err = shadow.lane(ctx, table)
	}
	return err
}

// lane takes hold of the table for rows of a definition.
func (d *destination) lane(ctx context.Context, table *change.Table) (*lane, error) {
	p, release, err := d.use(ctx, table)
	if err != nil {
		return nil, err
	}
	l := &lane{destination: d, prepared: p, release: release}
	if p == nil {
		return l, nil
	}
	if l.block, err = p.block(); err != nil {
		l.end()
		return nil, err
	}
	l.token.Reset(d.fullName)
	return l, nil
}

// add appends a batch to the block, unless the table takes no rows of it.
func (l *lane) add(batch *change.Batch) error {
	if l.prepared == nil {
		return nil
	}
	if err := l.block.Append(batch); err != nil {
		return err
	}
	l.token.Add(batch)
	if batch.Rows[0].LSN == 0 {
		return nil // of a snapshot
	}
	if commit := batch.Transactions[batch.Rows[0].Transaction].CommitTime; !l.changes || commit.Before(l.oldest) {
		l.oldest = commit
	}
	l.changes = true
	return nil
}

func (l *lane) full() bool { return l.block != nil && l.block.Size() >= blockBytes }

// flush sends the blocks, if there are any, and lets go of the tables.
func (w *writer) flush(ctx context.Context) error {
	defer w.end()
	for _, l := range []*lane{w.main, w.shadow} {
		if l == nil {
			continue
		}
		if err := l.send(ctx, w.conn); err != nil {
			return err
		}
	}
	return nil
}

// send inserts the block.
func (l *lane) send(ctx context.Context, conn *insert.Table) error {
	if l.prepared == nil || l.block.Rows() == 0 {
		return nil
	}
	started := time.Now()
	block := insert.Block{
		Statement: l.prepared.statement,
		Columns:   l.block.Input(),
		Token:     l.token.String(),
		Distinct:  !l.changes,
	}
	if err := conn.Insert(ctx, block); err != nil {
		return err
	}
	observer := l.destination.output.observer
	observer.Inserted(l.prepared.table.String(), l.block.Rows(), time.Since(started))
	if l.changes {
		observer.Visible(l.oldest)
	}
	return nil
}

// end lets go of the tables and of the blocks, sent or not.
func (w *writer) end() {
	for _, l := range []*lane{w.shadow, w.main} {
		if l != nil {
			l.end()
		}
	}
	w.table, w.main, w.shadow = nil, nil, nil
}

func (l *lane) end() {
	if l.block != nil {
		l.block.Reset()
		l.prepared.blocks.Put(l.block)
	}
	l.release()
}

// split cuts off the rows at the front of a batch whose tuples take no more than limit bytes, but at least one.
func split(batch *change.Batch, limit int) (front, rest *change.Batch) {
	end := &change.Batch{Table: batch.Table}
	if len(batch.Data) <= limit {
		return batch, end
	}
	first := int(batch.Rows[0].Offset)
	for i := 1; i < len(batch.Rows); i++ {
		if int(batch.Rows[i].Offset)-first <= limit {
			continue
		}
		a, b := *batch, *batch
		a.Rows, b.Rows = batch.Rows[:i-1], batch.Rows[i-1:]
		if i == 1 {
			a.Rows, b.Rows = batch.Rows[:1], batch.Rows[1:]
		}
		return &a, &b
	}
	return batch, end
}
