// Package rows reads messages of `format: rows` back into the batches and
// controls that they were made of, also after processors have worked on them.
package rows

import (
	"fmt"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/internal/change"
)

// maxData is how large Batch.Data may grow: its offsets are 32 bits.
const maxData = 1 << 30

// Item is what one or more messages say: either Batch or Control is set.
type Item struct {
	Batch   *change.Batch
	Control *change.Control
	// Messages are the indexes of the messages it came from, ascending. Row r of
	// a Batch made of rows came from Messages[r].
	Messages []int
}

// Error says which message could not be read.
type Error struct {
	Message int // index
	Err     error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong with the message, a [change.Failure].
func (e *Error) Unwrap() error { return e.Err }

// Read turns messages into batches and controls. Rows of one table are gathered
// in one batch as long as no control comes between them; items stand in the
// order of their first message. Payloads of `format: blocks` are passed on as
// they are.
//
// Tuples are of [change.TuplePgoutput]. bytea is in binary format, everything
// else is text: what a body holds is written as [pgvalue.AppendStructured] says
// and not judged further. A column that a body does not have is
// [change.Absent]; a field that the table does not have is an error.
//
// The first message that cannot be read ends it with an [*Error].
func Read(messages service.MessageBatch) ([]Item, error) {
	r := reader{open: make(map[*change.Table]int, 1)}
	for i, m := range messages {
		if err := r.message(i, m); err != nil {
			return nil, &Error{Message: i, Err: err}
		}
	}
	return r.items, nil
}

type reader struct {
	items []Item
	// open holds the items, by index, that further rows may join.
	open        map[*change.Table]int
	definitions definitions
}

func (r *reader) message(i int, m *service.Message) error {
	body, err := m.AsStructured()
	if err != nil {
		return &change.Failure{
			Class:  "mapping",
			Reason: "the message's body is neither a row nor a block of changes",
			Fix:    "let processors return the row as an object",
			Err:    err,
		}
	}
	switch v := body.(type) {
	case *change.Batch:
		r.barrier(Item{Batch: v, Messages: []int{i}})
		return nil
	case *change.Control:
		r.barrier(Item{Control: v, Messages: []int{i}})
		return nil
	}
	meta := metadata{m}
	operation, err := meta.operation()
	if err != nil {
		return err
	}
	table, err := r.definitions.of(meta, change.MetaSchema)
	if err != nil {
		return err
	}
	switch operation {
	case change.Read, change.Insert, change.Update, change.Delete:
		return r.row(i, meta, operation, table, body)
	}
	return r.control(i, meta, operation, table)
}

// barrier adds an item that no earlier item may grow past.
func (r *reader) barrier(item Item) {
	clear(r.open)
	r.items = append(r.items, item)
}

func (r *reader) control(i int, meta metadata, operation change.Operation, table *change.Table) error {
	c := &change.Control{Operation: operation, Table: table}
	var err error
	if c.LSN, err = meta.lsn(change.MetaLSN, true); err != nil {
		return err
	}
	if c.Transaction, err = meta.transaction(); err != nil {
		return err
	}
	if _, changed := meta.get(change.MetaPrevious); changed {
		if c.Previous, err = r.definitions.of(meta, change.MetaPrevious); err != nil {
			return err
		}
	}
	r.barrier(Item{Control: c, Messages: []int{i}})
	return nil
}

func (r *reader) row(i int, meta metadata, operation change.Operation, table *change.Table, body any) error {
	fields, ok := body.(map[string]any)
	if !ok {
		return &change.Failure{
			Class: "mapping", Table: table.String(),
			Reason: fmt.Sprintf("the message of a row of %s holds %T where an object of its columns belongs", table, body),
			Fix:    "let the mapping return an object",
		}
	}
	at, ok := r.open[table]
	if ok && len(r.items[at].Batch.Data) > maxData {
		ok = false
	}
	if !ok {
		at = len(r.items)
		r.open[table] = at
		r.items = append(r.items, Item{Batch: &change.Batch{Table: table, Format: change.TuplePgoutput}})
	}
	item := &r.items[at]
	if err := appendRow(item.Batch, meta, operation, fields); err != nil {
		return err
	}
	item.Messages = append(item.Messages, i)
	return nil
}
