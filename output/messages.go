package output

import (
	"fmt"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/output/rows"
)

// tablePlan is what a batch of messages holds for one destination table, in the order of the messages.
type tablePlan struct {
	name     string
	steps    []step
	messages []int // indexes of all messages of the plan
	// rows are messages of `format: rows` that no step holds yet.
	rows []int
}

// source returns the name of the source table, schema.name.
func (p *tablePlan) source() string {
	if len(p.steps) == 0 {
		return ""
	}
	if s := p.steps[0]; s.control != nil {
		return s.control.Table.String()
	}
	return p.steps[0].batch.Table.String()
}

// step is one block of changes or one control.
type step struct {
	batch   *change.Batch
	control *change.Control
}

// plan sorts messages by destination table. A message that cannot be read fails alone.
func (o *Output) plan(batch service.MessageBatch) ([]*tablePlan, *failures) {
	failed := &failures{}
	var plans []*tablePlan
	byName := make(map[string]*tablePlan, 1)
	for i, m := range batch {
		name, err := o.names.of(m)
		if err != nil {
			failed.message(i, err)
			continue
		}
		p := byName[name]
		if p == nil {
			p = &tablePlan{name: name}
			byName[name] = p
			plans = append(plans, p)
		}
		if err := p.take(batch, i); err != nil {
			failed.message(i, err)
		}
	}
	ready := plans[:0]
	for _, p := range plans {
		err := p.settleRows(batch)
		if err != nil {
			err = fmt.Errorf("table %s: %w", p.name, err)
			o.observer.Error(errorClass(err))
			failed.add(p, err)
		} else if len(p.steps) > 0 {
			ready = append(ready, p)
		}
	}
	return ready, failed
}

// take adds message i to the plan.
func (p *tablePlan) take(batch service.MessageBatch, i int) error {
	body, err := batch[i].AsStructured()
	if err != nil {
		return fmt.Errorf("reading a message: %w", err)
	}
	switch v := body.(type) {
	case *change.Batch:
		v.Receipt.Sign()
		err = p.settleRows(batch)
		p.steps = append(p.steps, step{batch: v})
	case *change.Control:
		v.Receipt.Sign()
		err = p.settleRows(batch)
		p.steps = append(p.steps, step{control: v})
	default:
		p.rows = append(p.rows, i)
	}
	p.messages = append(p.messages, i)
	return err
}

// settleRows makes steps of the rows that were collected.
func (p *tablePlan) settleRows(batch service.MessageBatch) error {
	if len(p.rows) == 0 {
		return nil
	}
	messages := make(service.MessageBatch, len(p.rows))
	for i, at := range p.rows {
		messages[i] = batch[at]
	}
	p.rows = p.rows[:0]
	items, err := rows.Read(messages)
	if err != nil {
		return err
	}
	for _, item := range items {
		p.steps = append(p.steps, step{batch: item.Batch, control: item.Control})
	}
	return nil
}

// failures collects which messages of a batch were not stored.
type failures struct {
	headline error
	messages map[int]error
}

func (f *failures) message(i int, err error) {
	if f.messages == nil {
		f.messages = make(map[int]error)
	}
	if f.headline == nil {
		f.headline = err
	}
	f.messages[i] = err
}

// add notes that all messages of a plan failed with err, which may be nil.
func (f *failures) add(p *tablePlan, err error) {
	if err == nil {
		return
	}
	for _, i := range p.messages {
		f.message(i, err)
	}
}

// of returns the error for a batch: nil, the one error where every message failed, else which ones did.
func (f *failures) of(batch service.MessageBatch) error {
	switch len(f.messages) {
	case 0:
		return nil
	case len(batch):
		return f.headline
	}
	err := service.NewBatchError(batch, f.headline)
	for i, cause := range f.messages {
		err = err.Failed(i, cause)
	}
	return err
}
