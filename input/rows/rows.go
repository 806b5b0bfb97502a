// Package rows writes changes as structured messages: one message for each row,
// a flat object of its columns, with the metadata of Connect's CDC inputs.
package rows

import (
	"fmt"
	"strconv"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/pgvalue"
)

// strip is how many rows are taken apart at a time.
const strip = 256

// Messages appends one message for each row of b to dst. A value that cannot be
// read is a [change.Failure] that names its table, column and position.
func Messages(b *change.Batch, dst service.MessageBatch) (service.MessageBatch, error) {
	shared := describe(b.Table)
	columns := len(b.Table.Columns)
	cells := make([]change.Cell, strip*columns)
	transactions := make([]*commit, len(b.Transactions))
	for i := range b.Transactions {
		transactions[i] = describeCommit(&b.Transactions[i])
	}
	for first := 0; first < len(b.Rows); first += strip {
		n := min(strip, len(b.Rows)-first)
		if err := b.Cells(first, n, cells); err != nil {
			return nil, err
		}
		for r := range n {
			row := &b.Rows[first+r]
			body := make(map[string]any, columns)
			for c := range columns {
				if err := setValue(body, b, row, c, cells[c*n+r]); err != nil {
					return nil, err
				}
			}
			m := service.NewMessage(nil)
			m.SetStructuredMut(body)
			shared.mark(m, row.Operation, row.LSN)
			transactions[row.Transaction].mark(m)
			dst = append(dst, m)
		}
	}
	return dst, nil
}

// setValue puts a column into a body; what the source did not send is left out.
func setValue(body map[string]any, b *change.Batch, row *change.Row, c int, cell change.Cell) error {
	column := &b.Table.Columns[c]
	if cell.Kind == change.Absent {
		return nil
	}
	value, err := pgvalue.Structured(column.Type, column.TypeMod, cell.Kind, cell.Bytes(b.Data))
	if err != nil {
		return &change.Failure{
			Class: "value", Table: b.Table.String(),
			Reason: fmt.Sprintf("the value of column %q of %s at %s cannot be read as %s", column.Name, b.Table, change.FormatLSN(row.LSN), column.Type),
			Fix:    "leave the column out with `exclude_columns`, and report this",
			Err:    err,
		}
	}
	body[column.Name] = value
	return nil
}

// Control returns the message of a control: an empty object, which mappings
// made for rows let pass, and metadata that says what it is.
func Control(c *change.Control) *service.Message {
	m := service.NewMessage(nil)
	m.SetStructuredMut(map[string]any{})
	describe(c.Table).mark(m, c.Operation, c.LSN)
	if c.Previous != nil {
		m.MetaSetImmut(change.MetaPrevious, service.ImmutableAny{V: c.Previous.Describe()})
	}
	if c.LSN != 0 {
		describeCommit(&c.Transaction).mark(m)
	}
	return m
}

// table is the metadata that all rows of a table share.
type table struct {
	schema, name string
	key          service.ImmutableAny
	description  service.ImmutableAny
}

func describe(t *change.Table) *table {
	description := t.Describe()
	return &table{
		schema: t.Schema, name: t.Name,
		key:         service.ImmutableAny{V: description["key"]},
		description: service.ImmutableAny{V: description},
	}
}

func (t *table) mark(m *service.Message, operation change.Operation, lsn uint64) {
	m.MetaSetMut(change.MetaOperation, operation.String())
	m.MetaSetMut(change.MetaDatabaseSchema, t.schema)
	m.MetaSetMut(change.MetaTable, t.name)
	m.MetaSetMut(change.MetaLSN, change.FormatLSN(lsn))
	m.MetaSetImmut(change.MetaKey, t.key)
	m.MetaSetImmut(change.MetaSchema, t.description)
}

// commit is the metadata that all rows of a transaction share.
type commit struct {
	lsn  string
	time string
	xid  string
}

func describeCommit(t *change.Transaction) *commit {
	return &commit{
		lsn:  change.FormatLSN(t.CommitLSN),
		time: strconv.FormatInt(t.CommitTime.UnixMilli(), 10),
		xid:  strconv.FormatUint(uint64(t.XID), 10),
	}
}

func (c *commit) mark(m *service.Message) {
	m.MetaSetMut(change.MetaCommitLSN, c.lsn)
	m.MetaSetMut(change.MetaCommitTime, c.time)
	m.MetaSetMut(change.MetaTransactionID, c.xid)
}
