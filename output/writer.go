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

	// Of the block that is being filled, where there is one:
	prepared *prepared
	release  func()
	block    *encode.Block
	token    insert.Token
	oldest   time.Time // commit of the oldest change in the block, zero where there is none
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

// add appends a batch to the block, and sends the block where it is full or of another definition.
func (w *writer) add(ctx context.Context, batch *change.Batch) error {
	if w.prepared != nil && w.prepared.table != batch.Table && !sameDefinition(w.prepared.table, batch.Table) {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	for len(batch.Rows) > 0 {
		if w.prepared == nil {
			if err := w.begin(ctx, batch.Table); err != nil {
				return err
			}
		}
		part, rest := split(batch, blockBytes)
		if err := w.block.Append(part); err != nil {
			return fmt.Errorf("table %s: %w", w.destination.fullName, err)
		}
		w.token.Add(part)
		w.noteCommits(part)
		if w.block.Size() >= blockBytes {
			if err := w.flush(ctx); err != nil {
				return err
			}
		}
		batch = rest
	}
	return nil
}

func (w *writer) begin(ctx context.Context, table *change.Table) (err error) {
	if w.prepared, w.release, err = w.destination.use(ctx, table); err != nil {
		return err
	}
	if w.block, err = w.prepared.block(); err != nil {
		w.end()
		return err
	}
	w.token.Reset(w.destination.fullName)
	w.oldest = time.Time{}
	return nil
}

// flush sends the block, if there is one, and lets go of the table.
func (w *writer) flush(ctx context.Context) error {
	if w.prepared == nil {
		return nil
	}
	defer w.end()
	rows := w.block.Rows()
	if rows == 0 {
		return nil
	}
	started := time.Now()
	if err := w.conn.Insert(ctx, w.prepared.statement, w.block.Input(), w.token.String()); err != nil {
		return err
	}
	observer := w.destination.output.observer
	observer.Inserted(w.prepared.table.String(), rows, time.Since(started))
	if !w.oldest.IsZero() {
		observer.Visible(w.oldest)
	}
	return nil
}

// end lets go of the table and of the block, sent or not.
func (w *writer) end() {
	if w.prepared == nil {
		return
	}
	if w.block != nil {
		w.block.Reset()
		w.prepared.blocks.Put(w.block)
	}
	w.release()
	w.prepared, w.block, w.release = nil, nil, nil
}

func (w *writer) noteCommits(batch *change.Batch) {
	if batch.Rows[0].LSN == 0 {
		return // of a snapshot
	}
	commit := batch.Transactions[batch.Rows[0].Transaction].CommitTime
	if w.oldest.IsZero() || commit.Before(w.oldest) {
		w.oldest = commit
	}
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

// lossy counts values that were not stored as they are, and logs the first of a kind.
func (d *destination) lossy(table *change.Table, column, reason string, n int) {
	d.output.observer.Lossy(table.String(), column, reason, n)
	kind := table.String() + "\x00" + column + "\x00" + reason
	d.mu.Lock()
	_, known := d.warned[kind]
	d.warned[kind] = struct{}{}
	d.mu.Unlock()
	if !known {
		d.output.log.With("table", table.String(), "column", column, "reason", reason, "values", n).
			Warn("values were not stored as they are; later ones of this kind are only counted")
	}
}

// sameDefinition says whether rows of both definitions are encoded alike: `format: rows` carries the definition in each
// message, so that equal ones need not be the same value.
func sameDefinition(a, b *change.Table) bool {
	if a.Schema != b.Schema || a.Name != b.Name || a.Version != b.Version || a.OID != b.OID || a.KeyIsWholeRow != b.KeyIsWholeRow ||
		len(a.Columns) != len(b.Columns) || len(a.Key) != len(b.Key) {
		return false
	}
	for i := range a.Key {
		if a.Key[i] != b.Key[i] {
			return false
		}
	}
	for i := range a.Columns {
		x, y := &a.Columns[i], &b.Columns[i]
		if x.Name != y.Name || x.TypeMod != y.TypeMod || x.NotNull != y.NotNull || x.InKey != y.InKey ||
			x.Type != y.Type && !sameType(x.Type, y.Type) {
			return false
		}
	}
	return true
}

func sameType(a, b *change.Type) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.OID == b.OID && a.Name == b.Name && a.Schema == b.Schema && a.Kind == b.Kind && a.Delim == b.Delim &&
		a.MoneyDigits == b.MoneyDigits && sameType(a.Elem, b.Elem)
}
