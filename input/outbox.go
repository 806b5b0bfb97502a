package input

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/input/rows"
	"github.com/penstock/penstock/input/stream"
	"github.com/penstock/penstock/internal/change"
)

// outbox is where the driver's deliveries wait for ReadBatch. It holds none
// back itself: a sender waits until its delivery is taken, and one is taken only
// while few enough batches and bytes are on their way.
type outbox struct {
	deliveries chan *stream.Delivery
	ended      chan struct{} // closed: nothing comes any more
	endOnce    sync.Once
	closed     chan struct{} // closed: the input is closed
	maxBatches int
	maxBytes   int64
	// weight is how many bytes of memory a byte on the wire costs while it is in
	// flight.
	weight int64

	mu       sync.Mutex
	inFlight int
	size     int64
	rejected []*parcel     // to be taken again, each at its time
	changed  chan struct{} // closed at the next change of the fields above
}

// parcel is a delivery on its way.
type parcel struct {
	*stream.Delivery
	size    int64
	counted bool
	// pause grows with each rejection; due is when it may be taken again.
	pause *backoff.ExponentialBackOff
	due   time.Time
}

// structuredWeight is the weight of structured rows: a map, boxed values and
// metadata take about eight times the bytes of a tuple.
const structuredWeight = 8

func newOutbox(maxBatches int, maxBytes int64, blocks bool) *outbox {
	weight := int64(structuredWeight)
	if blocks {
		weight = 1
	}
	return &outbox{
		weight:     weight,
		deliveries: make(chan *stream.Delivery), ended: make(chan struct{}), closed: make(chan struct{}),
		maxBatches: maxBatches, maxBytes: maxBytes, changed: make(chan struct{}),
	}
}

// take returns the next delivery, a rejected one that is due before new ones.
func (o *outbox) take(ctx context.Context) (*parcel, error) {
	for {
		again, room, wait, changed := o.next()
		if again != nil {
			return again, nil
		}
		deliveries := o.deliveries
		if !room {
			deliveries = nil
		}
		var due <-chan time.Time
		if wait > 0 {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			due = timer.C
		}
		select {
		case d := <-deliveries:
			return o.accept(d), nil
		case <-due:
		case <-changed:
		case <-o.ended:
			if o.count() == 0 {
				return nil, service.ErrEndOfInput
			}
			select { // wait for what is in flight
			case <-changed:
			case <-due:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		case <-o.closed:
			return nil, service.ErrEndOfInput
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// next returns a rejected delivery that is due, else whether there is room for
// a new one and how long until a rejected one is due.
func (o *outbox) next() (again *parcel, room bool, wait time.Duration, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	for i, p := range o.rejected {
		until := p.due.Sub(now)
		if until <= 0 {
			o.rejected = append(o.rejected[:i:i], o.rejected[i+1:]...)
			return p, false, 0, nil
		}
		if wait == 0 || until < wait {
			wait = until
		}
	}
	return nil, o.inFlight < o.maxBatches && o.size < o.maxBytes, wait, o.changed
}

func (o *outbox) accept(d *stream.Delivery) *parcel {
	p := &parcel{Delivery: d}
	for _, b := range d.Batches {
		p.size += int64(b.Size()) * o.weight
	}
	o.change(func() { o.inFlight++; o.size += p.size })
	return p
}

// settle passes the outcome on to the sender and makes room.
func (o *outbox) settle(p *parcel, outcome error) {
	p.Ack(outcome)
	o.change(func() { o.inFlight--; o.size -= p.size })
}

// again has a rejected delivery taken once more after a pause. It keeps its
// place in what is counted as in flight.
func (o *outbox) again(p *parcel) {
	if p.pause == nil {
		p.pause = backoff.NewExponentialBackOff(
			backoff.WithInitialInterval(100*time.Millisecond), backoff.WithMaxInterval(10*time.Second), backoff.WithMaxElapsedTime(0))
	}
	p.due = time.Now().Add(p.pause.NextBackOff())
	o.change(func() { o.rejected = append(o.rejected, p) })
}

func (o *outbox) change(fn func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fn()
	close(o.changed)
	o.changed = make(chan struct{})
}

// count returns how many deliveries are in flight, rejected ones included.
func (o *outbox) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.inFlight
}

// bytes returns the size of the deliveries in flight.
func (o *outbox) bytes() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.size
}

// empty waits until nothing is in flight.
func (o *outbox) empty(ctx context.Context) error {
	for {
		o.mu.Lock()
		n, changed := o.inFlight, o.changed
		o.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send waits until a delivery is taken.
func (o *outbox) send(ctx context.Context, d *stream.Delivery) error {
	select {
	case o.deliveries <- d:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// apply sends a control and waits for its outcome.
func (o *outbox) apply(ctx context.Context, c *change.Control) error {
	outcome := make(chan error, 1)
	if err := o.send(ctx, &stream.Delivery{Control: c, Ack: func(err error) { outcome <- err }}); err != nil {
		return err
	}
	select {
	case err := <-outcome:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end says that no delivery will come any more.
func (o *outbox) end() { o.endOnce.Do(func() { close(o.ended) }) }

func (o *outbox) close() { close(o.closed) }

// messages returns a delivery as Benthos messages.
func messages(d *stream.Delivery, blocks bool) (service.MessageBatch, error) {
	if d.Control != nil {
		if blocks {
			if d.Control.Receipt == nil {
				d.Control.Receipt = &change.Receipt{}
			}
			return service.MessageBatch{blockMessage(d.Control, d.Control.Table, d.Control.Operation.String())}, nil
		}
		return service.MessageBatch{rows.Control(d.Control)}, nil
	}
	var out service.MessageBatch
	for _, b := range d.Batches {
		if blocks {
			if b.Receipt == nil {
				b.Receipt = &change.Receipt{}
			}
			operation := "change"
			if b.Format == change.TupleCopy {
				operation = change.Read.String()
			}
			out = append(out, blockMessage(b.Batch, b.Table, operation))
			continue
		}
		var err error
		if out, err = rows.Messages(b.Batch, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// unread returns a failure where blocks were acknowledged by something that
// cannot read them, such as another output: their changes went nowhere.
func unread(d *stream.Delivery) error {
	signed := d.Control == nil || d.Control.Receipt.Signed()
	for _, b := range d.Batches {
		signed = signed && b.Receipt.Signed()
	}
	if signed {
		return nil
	}
	return &change.Failure{
		Class:  catalog.ClassConfiguration,
		Reason: "blocks of changes were acknowledged without having been read: with `format: blocks` nothing but the clickhouse output can read them, and no processor may drop them",
		Fix:    "set `format: rows`, or send the blocks to the clickhouse output, and resume",
	}
}

func blockMessage(payload any, table *change.Table, operation string) *service.Message {
	m := service.NewMessage(nil)
	m.SetStructured(payload)
	m.MetaSetMut(change.MetaDatabaseSchema, table.Schema)
	m.MetaSetMut(change.MetaTable, table.Name)
	m.MetaSetMut(change.MetaOperation, operation)
	return m
}

// operationCounts counts changes by operation.
type operationCounts [change.TableDone + 1]int

func (c *operationCounts) each(fn func(change.Operation, int)) {
	for op, n := range c {
		if n > 0 {
			fn(change.Operation(op), n)
		}
	}
}

// isFailure says that repeating is in vain.
func isFailure(err error) bool {
	var failure *change.Failure
	return errors.As(err, &failure)
}
