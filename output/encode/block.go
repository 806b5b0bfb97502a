package encode

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/penstock/penstock/internal/change"
)

// Column is a column of the destination table, as in system.columns.
type Column struct{ Name, Type string }

// Options say how rows are stored beyond the types of their columns.
type Options struct {
	// Unrepresentable decides about values that a destination type cannot hold.
	Unrepresentable Policy
	// Version, IsDeleted and SyncedAt name the metadata columns, "" where the
	// destination has none: Row.LSN (UInt64 or Int64); 1 for deleted rows (UInt8,
	// Int8 or Bool); the time of the block (DateTime64 or DateTime).
	Version, IsDeleted, SyncedAt string
	// Operation names a column (String or LowCardinality(String)) for the word
	// of the row's operation, in a MergeTree that keeps the history; "" = none.
	Operation string
	// Lossy, if not nil, is told of values that were not stored as they are, once
	// per column and reason and successful Append. The reasons are those of
	// penstock_lossy_values_total: below_range, above_range, infinity, rounded,
	// nan, too_long, dimensions, netmask, not_an_object, unknown_label,
	// null_array, null_element.
	Lossy func(table *change.Table, column, reason string, n int)
	// LossyKey, if not nil, is called before each call of Lossy with the key of the
	// first of its rows, as id="7".
	LossyKey func(table *change.Table, column, reason, key string)
	// Now is the clock of SyncedAt, time.Now if nil.
	Now func() time.Time
}

// Block is one native block of one table: reusable, and for one goroutine at a
// time.
type Block struct {
	table   *change.Table
	options Options
	columns []blockColumn // one per source column, in its order
	meta    metadata
	all     []encoder // of columns and meta
	input   proto.Input
	rows    int

	// What is being encoded:
	cells []change.Cell // of the strip, column by column
	strip []change.Row
	data  []byte
}

// blockColumn is one column of source and destination.
type blockColumn struct {
	encoder
	name string
	lost losses
}

// NewBlock makes a block for rows of table. Columns are matched by name. Every
// column of the source needs one at the destination that [Check] accepts; the
// destination may have more, which are not in the block and keep their defaults.
func NewBlock(table *change.Table, destination []Column, o Options) (*Block, error) {
	b := &Block{table: table, options: o, columns: make([]blockColumn, len(table.Columns))}
	for i := range table.Columns {
		source := &table.Columns[i]
		to, err := b.destination(destination, source.Name)
		if err != nil {
			return nil, fmt.Errorf("preparing a block of %s: %w", table, err)
		}
		column := &b.columns[i]
		column.name = source.Name
		column.encoder, err = newEncoder(columnSite(b, source, o.Unrepresentable, &column.lost), to)
		if err != nil {
			return nil, fmt.Errorf("preparing a block of %s: %w", table, err)
		}
		b.all = append(b.all, column.encoder)
		b.input = append(b.input, proto.InputColumn{Name: source.Name, Data: column.encoder})
	}
	if err := b.addMetadata(destination); err != nil {
		return nil, fmt.Errorf("preparing a block of %s: %w", table, err)
	}
	b.all = b.meta.columns(b.all)
	return b, nil
}

// destination finds the type of a destination column.
func (b *Block) destination(columns []Column, name string) (chType, error) {
	for _, c := range columns {
		if c.Name == name {
			return parseType(c.Type)
		}
	}
	return chType{}, fmt.Errorf("the destination has no column %q: add it with ALTER TABLE … ADD COLUMN, or leave it out with `exclude_columns`", name)
}

// Rows returns the number of rows in the block.
func (b *Block) Rows() int { return b.rows }

// Input returns the block's columns for ch-go. It holds what has been appended
// and stays valid, with changed content, through Append and Reset.
func (b *Block) Input() proto.Input { return b.input }

// Reset empties the block and keeps its memory.
func (b *Block) Reset() {
	b.rows = 0
	for _, c := range b.all {
		c.reset()
	}
}

// Size returns the bytes that the block's values take.
func (b *Block) Size() int {
	n := 0
	for _, c := range b.all {
		n += c.size()
	}
	return n
}

// stripCells is how many cells are read at a time, at most: as much as stays in
// the processor's first two levels of cache together with the bytes and the
// columns.
const (
	stripCells = 8192
	stripRows  = 1024
)

// Append decodes the batch into the columns. It stores all rows or, with an
// error, none: errors name table, column, key and LSN, and match
// [ErrUnrepresentable], [ErrMalformed], [ErrUnchanged] or [ErrNull].
func (b *Block) Append(batch *change.Batch) error {
	if err := b.accepts(batch); err != nil {
		return err
	}
	b.mark()
	if b.rows == 0 {
		b.meta.stamp(b.options.Now)
	}
	err := b.append(batch)
	b.strip, b.data = nil, nil // the batch is not ours to keep
	if err != nil {
		b.rollback()
		return err
	}
	b.rows += len(batch.Rows)
	b.report()
	return nil
}

func (b *Block) append(batch *change.Batch) error {
	columns := len(b.columns)
	step := min(max(stripCells/max(columns, 1), 64), stripRows)
	b.cells = slices.Grow(b.cells[:0], step*columns)[:step*columns]
	for first := 0; first < len(batch.Rows); first += step {
		n := min(step, len(batch.Rows)-first)
		if err := batch.Cells(first, n, b.cells); err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		b.strip, b.data = batch.Rows[first:first+n], batch.Data
		for c := range b.columns {
			if err := b.columns[c].append(batch.Data, b.cells[c*n:(c+1)*n]); err != nil {
				return b.describe(err, c)
			}
		}
		if err := b.meta.append(b.strip); err != nil {
			return fmt.Errorf("storing the operations of %s: %w", b.table, err)
		}
	}
	return nil
}

// accepts compares the definition that the batch was written under with the one
// that the block was made for.
func (b *Block) accepts(batch *change.Batch) error {
	t := batch.Table
	if t == b.table {
		return nil
	}
	same := t.Schema == b.table.Schema && t.Name == b.table.Name && slices.EqualFunc(t.Columns, b.table.Columns,
		func(x, y change.Column) bool {
			return x.Name == y.Name && x.Type.OID == y.Type.OID && x.TypeMod == y.TypeMod && x.NotNull == y.NotNull && x.InKey == y.InKey
		})
	if !same {
		return fmt.Errorf("appending to a block of %s: the batch has another definition of the table (%s at %s)", b.table, t, change.FormatLSN(t.Version))
	}
	return nil
}

func (b *Block) mark() {
	for _, c := range b.all {
		c.mark()
	}
	for i := range b.columns {
		b.columns[i].lost = losses{}
	}
}

func (b *Block) rollback() {
	for _, c := range b.all {
		c.rollback()
	}
}

func (b *Block) report() {
	for i := range b.columns {
		c := &b.columns[i]
		for v, n := range c.lost.counts {
			if n == 0 {
				continue
			}
			if b.options.LossyKey != nil {
				b.options.LossyKey(b.table, c.name, verdict(v).reason(), c.lost.keys[v])
			}
			if b.options.Lossy != nil {
				b.options.Lossy(b.table, c.name, verdict(v).reason(), n)
			}
		}
	}
}

// deleting says whether row i of the strip is a tombstone.
func (b *Block) deleting(i int) bool { return b.strip[i].Operation == change.Delete }

// keyOf shows the key of row i of the strip.
func (b *Block) keyOf(i int) string {
	var key strings.Builder
	for k, c := range b.table.Key {
		if k > 0 {
			key.WriteString(", ")
		}
		source := &b.table.Columns[c]
		fmt.Fprintf(&key, "%s=%s", source.Name, quoteValue(source.Type, source.TypeMod, b.cells[c*len(b.strip)+i], b.data))
	}
	return key.String()
}

// describe says which value of which row an encoder refused.
func (b *Block) describe(err error, column int) error {
	var r *refusal
	if !errors.As(err, &r) || r.index >= len(b.strip) {
		return fmt.Errorf("storing column %q of %s: %w", b.columns[column].name, b.table, err)
	}
	row := b.strip[r.index]
	return fmt.Errorf("storing column %q of %s (%s at %s, key %s): %w",
		b.columns[column].name, b.table, row.Operation, change.FormatLSN(row.LSN), b.keyOf(r.index), err)
}
