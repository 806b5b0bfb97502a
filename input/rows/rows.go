// Package rows writes changes as structured messages: one message for each row,
// a flat object of its columns, with the metadata of Connect's CDC inputs.
package rows

import (
	"fmt"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/pgvalue"
)

// strip is how many rows are taken apart at a time.
const strip = 256

// Messages appends one message for each row of b to dst. The body holds the
// columns that were sent, as [pgvalue.Structured] reads them: a delete by key
// has the key's only. A value that cannot be read is a [change.Failure] that
// names its table, column and position.
func Messages(b *change.Batch, dst service.MessageBatch) (service.MessageBatch, error) {
	mark := markerOf(b.Table)
	columns := len(b.Table.Columns)
	cells := make([]change.Cell, min(strip, len(b.Rows))*columns)
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
			mark.row(m, row.Operation, row.LSN)
			mark.transaction(m, &b.Transactions[row.Transaction])
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
	mark := markerOf(c.Table)
	mark.row(m, c.Operation, c.LSN)
	if c.Previous != nil {
		m.MetaSetImmut(change.MetaPrevious, service.ImmutableAny{V: c.Previous.Describe()})
	}
	if c.LSN != 0 {
		mark.transaction(m, &c.Transaction)
	}
	return m
}
