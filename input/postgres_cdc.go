// Package input is the Benthos input `postgres_cdc`: it copies PostgreSQL
// tables and then streams their changes.
//
// A driver goroutine (driver.go) takes the pipe through the phases of its life
// and puts what it reads on an outbox; ReadBatch takes from there, turns it into
// messages, and hands the acks back. The stages have folders of their own:
// catalog (what the source is), snapshot (the copy), stream (the slot),
// pgoutput (the protocol) and rows (structured messages).
package input

import (
	"context"
	"sync"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/input/stream"
	"github.com/penstock/penstock/lifecycle"
)

func init() {
	service.MustRegisterBatchInput("postgres_cdc", spec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchInput, error) {
			c, err := parseConfig(conf, mgr.Label())
			if err != nil {
				return nil, err
			}
			return newPostgresCDC(c, mgr), nil
		})
}

// postgresCDC is the input.
type postgresCDC struct {
	config *config
	mgr    *service.Resources
	outbox *outbox

	mu      sync.Mutex
	pipe    *lifecycle.Pipe
	fetcher *fetcher
	stop    context.CancelFunc
	done    chan struct{} // closed when the driver has ended
	closed  bool
}

var (
	_ service.BatchInput         = (*postgresCDC)(nil)
	_ service.ConnectionTestable = (*postgresCDC)(nil)
)

func newPostgresCDC(c *config, mgr *service.Resources) *postgresCDC {
	return &postgresCDC{config: c, mgr: mgr, outbox: newOutbox(c.maxBatches, c.maxBytes, c.blocks), done: make(chan struct{})}
}

// Connect opens the pipe's state and its HTTP address, and starts the driver.
// Whether the source can be reached is the driver's business: the pipe is then
// visible while it is not.
func (p *postgresCDC) Connect(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return service.ErrEndOfInput
	}
	if p.pipe != nil {
		return nil
	}
	store, err := p.store()
	if err != nil {
		return err
	}
	pipe, err := lifecycle.Open(ctx, lifecycle.Options{
		Name: p.config.pipe, Stream: p.mgr.StreamID(), Store: store,
		Address: p.config.address, Token: p.config.token, StartPaused: p.config.startPaused,
		Logger: p.mgr.Logger(), Host: lifecycle.HostOf(p.mgr),
	})
	if err != nil {
		return err
	}
	p.pipe = pipe
	p.fetcher = newFetcher(p.config, pipe)
	driving, stop := context.WithCancel(context.Background())
	p.stop = stop
	go func() {
		defer close(p.done)
		newDriver(p.config, pipe, p.outbox, p.mgr.Logger()).run(driving)
	}()
	return nil
}

func (p *postgresCDC) store() (lifecycle.Store, error) {
	if p.config.stateCache != "" {
		return lifecycle.CacheStore(p.mgr, p.config.stateCache, p.config.pipe), nil
	}
	return lifecycle.FileStore(p.config.stateDir, p.config.pipe)
}

// ReadBatch returns the next batch of messages. A nacked batch is returned
// again, unless `auto_replay_nacks` is off: then the driver reads again from
// the last confirmed position.
func (p *postgresCDC) ReadBatch(ctx context.Context) (service.MessageBatch, service.AckFunc, error) {
	parcel, err := p.outbox.take(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := p.fetcher.complete(ctx, parcel.Delivery); err != nil {
		p.outbox.settle(parcel, err)
		return nil, nil, err
	}
	batch, err := messages(parcel.Delivery, p.config.blocks)
	if err != nil {
		p.outbox.settle(parcel, err)
		return nil, nil, err
	}
	if !parcel.counted {
		countChanges(p.pipe, parcel.Delivery)
		parcel.counted = true
	}
	p.pipe.InFlight(p.outbox.bytes())
	return batch, func(_ context.Context, outcome error) error {
		if outcome == nil && p.config.blocks {
			outcome = unread(parcel.Delivery)
		}
		if outcome != nil && p.config.retryNacks && !isFailure(outcome) {
			p.outbox.again(parcel)
			return nil
		}
		p.outbox.settle(parcel, outcome)
		p.pipe.InFlight(p.outbox.bytes())
		return nil
	}, nil
}

// countChanges shows what is on its way in the pipe's metrics.
func countChanges(pipe *lifecycle.Pipe, d *stream.Delivery) {
	for _, b := range d.Batches {
		var counts operationCounts
		for i := range b.Rows {
			counts[b.Rows[i].Operation]++
		}
		progress := pipe.Table(b.Table.String())
		counts.each(progress.Changes)
	}
	if d.Control != nil {
		pipe.Table(d.Control.Table.String()).Changes(d.Control.Operation, 1)
	}
}

// Close ends the driver, which reports the last position to the server.
func (p *postgresCDC) Close(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	if p.pipe == nil {
		return nil
	}
	p.stop()
	p.outbox.close()
	select {
	case <-p.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	p.fetcher.close()
	return p.pipe.Close()
}

// ConnectionTest looks at the source as provisioning would, and changes nothing.
func (p *postgresCDC) ConnectionTest(ctx context.Context) service.ConnectionTestResults {
	err := func() error {
		conn, err := p.config.source.Connect(ctx)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, _, _, err = survey(ctx, conn, p.config)
		return err
	}()
	if err == nil && p.config.streaming() {
		replication, connectErr := p.config.source.ConnectReplication(ctx)
		if err = connectErr; err == nil {
			err = replication.Close(ctx)
		}
	}
	if err != nil {
		return service.ConnectionTestFailed(catalog.Explain(err)).AsList()
	}
	return service.ConnectionTestSucceeded().AsList()
}
