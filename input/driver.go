package input

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/jackc/pgx/v5"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/lifecycle"
)

// driver takes a pipe through the phases of its life: it does what the present
// phase is for, then goes on to the next. Trouble that may pass is waited out
// in the same phase; a [change.Failure] ends in phase failed.
type driver struct {
	config *config
	pipe   *lifecycle.Pipe
	outbox *outbox
	log    *service.Logger

	// server and tables are what the last survey of the source found.
	server *catalog.Server
	tables []*catalog.Table
	// needText says that some column of the stream has no binary format that
	// we read.
	needText bool
	// reconciled says that state and configuration have the same tables.
	reconciled bool
	// skipped are globs of new tables that cannot be replicated.
	skipped []string
}

// errInterrupted says that a command called for other work.
var errInterrupted = errors.New("interrupted by a command")

func newDriver(c *config, pipe *lifecycle.Pipe, out *outbox, log *service.Logger) *driver {
	return &driver{config: c, pipe: pipe, outbox: out, log: log}
}

// Limits of the pause before trouble is tried again.
const (
	shortestPause = 500 * time.Millisecond
	longestPause  = 30 * time.Second
	// calm is how long a phase must have worked for the pause to be short again.
	calm = time.Minute
)

// run drives the pipe until ctx ends.
func (d *driver) run(ctx context.Context) {
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		d.watch(ctx)
	}()
	defer func() { <-watching }()

	pause := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(shortestPause), backoff.WithMaxInterval(longestPause), backoff.WithMaxElapsedTime(0))
	for ctx.Err() == nil {
		changed := d.pipe.Changed()
		phase := d.pipe.Phase()
		began := time.Now()
		err := d.live(ctx, phase, changed)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			pause.Reset()
			continue
		}
		if d.pipe.Phase() != phase || errors.Is(err, errInterrupted) {
			continue
		}
		var failure *change.Failure
		if errors.As(catalog.Explain(err), &failure) {
			d.fail(ctx, failure)
			continue
		}
		if time.Since(began) > calm {
			pause.Reset()
		}
		d.degraded(err)
		wait(ctx, pause.NextBackOff(), changed)
	}
}

// live does what a phase is for. It returns nil when the phase is over or was
// left by a command; changed is closed when there may be news.
func (d *driver) live(ctx context.Context, phase lifecycle.Phase, changed <-chan struct{}) error {
	if len(d.pipe.ResyncWanted()) > 0 && (phase == lifecycle.Running || phase == lifecycle.Failed) {
		return d.pipe.To(ctx, lifecycle.Resync)
	}
	work, leave := d.during(ctx, phase)
	defer leave()
	switch phase {
	case lifecycle.Provisioning:
		return d.provision(work)
	case lifecycle.Setup:
		return d.setup(work)
	case lifecycle.Snapshot:
		return d.snapshot(ctx, work)
	case lifecycle.Running, lifecycle.Resync:
		return d.follow(ctx, work, phase)
	case lifecycle.Pausing:
		if err := d.outbox.empty(work); err != nil {
			return err
		}
		return d.pipe.To(ctx, lifecycle.Paused)
	case lifecycle.Completed:
		d.outbox.end()
	}
	// Paused and failed pipes wait for a command, a completed one for the end.
	wait(ctx, 0, changed)
	return nil
}

// during returns a context that ends when the pipe leaves the phase, and when a
// resync is asked for that another phase is for.
func (d *driver) during(ctx context.Context, phase lifecycle.Phase) (context.Context, context.CancelFunc) {
	work, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		for {
			changed := d.pipe.Changed()
			if d.pipe.Phase() != phase || phase == lifecycle.Running && len(d.pipe.ResyncWanted()) > 0 {
				return
			}
			select {
			case <-changed:
			case <-work.Done():
				return
			}
		}
	}()
	return work, cancel
}

// wait returns after a while, never if that is 0, or when there is news.
func wait(ctx context.Context, pause time.Duration, changed <-chan struct{}) {
	var over <-chan time.Time
	if pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-changed:
	case <-ctx.Done():
	}
}

func (d *driver) fail(ctx context.Context, f *change.Failure) {
	err := d.pipe.Fail(ctx, &lifecycle.Failure{Class: f.Class, Table: f.Table, Reason: f.Reason, Fix: f.Fix})
	if err != nil && ctx.Err() == nil {
		d.log.With("error", err).Error("Recording a failure failed")
	}
}

func (d *driver) degraded(err error) {
	d.log.With("error", err, "phase", string(d.pipe.Phase())).Warn("Trying again after trouble that may pass")
	d.pipe.Degrade(err)
	d.pipe.Error(catalog.PassingClass(err))
}

// survey finds out what the source is, and checks it.
func survey(ctx context.Context, conn *pgx.Conn, c *config) (*catalog.Server, *catalog.Publication, []*catalog.Table, error) {
	server, err := catalog.ReadServer(ctx, conn)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := server.Check(c.source.User(), c.streaming()); err != nil {
		return nil, nil, nil, err
	}
	var publication *catalog.Publication
	if c.streaming() {
		if publication, err = catalog.ReadPublication(ctx, conn, server, c.publication); err != nil {
			return nil, nil, nil, err
		}
		if publication == nil && len(c.selection.Include) == 0 {
			return nil, nil, nil, &change.Failure{
				Class:  catalog.ClassConfiguration,
				Reason: "field `tables` is empty and publication \"" + c.publication + "\" does not exist, so there is nothing to replicate",
				Fix:    "name tables, for example tables: [\"public.*\"], or create the publication",
			}
		}
	}
	restricting := publication
	if publication != nil && publication.Ours && len(c.selection.Include) > 0 {
		restricting = nil // it follows the selection, not the other way round
	}
	tables, err := catalog.Tables(ctx, conn, server, &c.selection, restricting, c.streaming())
	return server, publication, tables, err
}

// look surveys the source and keeps what it found.
func (d *driver) look(ctx context.Context, conn *pgx.Conn) (*catalog.Publication, error) {
	server, publication, tables, err := survey(ctx, conn, d.config)
	if err != nil {
		return nil, err
	}
	d.server, d.tables = server, tables
	return publication, nil
}

// provision checks the source and makes the publication.
func (d *driver) provision(ctx context.Context) error {
	conn, err := d.config.source.Connect(ctx)
	if err != nil {
		return err
	}
	defer catalog.Close(conn)
	publication, err := d.look(ctx, conn)
	if err != nil {
		return err
	}
	if publication != nil {
		for _, warning := range publication.Warnings {
			d.log.Warn(warning)
		}
	}
	for _, t := range d.tables {
		for _, warning := range t.Warnings {
			d.log.With("table", t.String()).Warn(warning)
		}
	}
	if d.config.streaming() {
		if err := catalog.Publish(ctx, conn, d.server, d.config.publication, publication, d.tables); err != nil {
			return err
		}
		if err := d.recordPublication(ctx, conn); err != nil {
			return err
		}
	}
	err = d.pipe.Update(ctx, func(s *lifecycle.State) error {
		if d.config.streaming() {
			s.Publication = d.config.publication
			s.PublicationCreatedByUs = publication == nil || publication.Ours
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.pipe.Healthy()
	return d.pipe.To(ctx, lifecycle.Setup)
}

// setup has the output make a table for each source table.
func (d *driver) setup(ctx context.Context) error {
	conn, err := d.config.source.Connect(ctx)
	if err != nil {
		return err
	}
	defer catalog.Close(conn)
	if d.tables == nil {
		if _, err := d.look(ctx, conn); err != nil {
			return err
		}
	}
	for _, t := range d.tables {
		if err := d.outbox.apply(ctx, &change.Control{Operation: change.Schema, Table: t.Table}); err != nil {
			return err
		}
	}
	phase, next := lifecycle.TablePending, lifecycle.Snapshot
	var slot *slot
	if d.config.mode == modeCDCOnly {
		phase, next = lifecycle.TableRunning, lifecycle.Running
		if slot, err = d.openSlot(ctx, conn); err != nil {
			return err
		}
		defer slot.release()
	}
	err = d.pipe.Update(ctx, func(s *lifecycle.State) error {
		if slot != nil {
			slot.record(s)
		}
		for _, t := range d.tables {
			s.Tables[t.String()] = &lifecycle.TableState{Phase: phase, Definition: t.Describe()}
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.pipe.Healthy()
	return d.pipe.To(ctx, next)
}
