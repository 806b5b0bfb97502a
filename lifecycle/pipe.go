package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// Options of [Open].
type Options struct {
	// Name of the pipe: the input's label, else the slot's name.
	Name string
	// Stream is mgr.StreamID(): it tells an output which pipe it belongs to.
	Stream string
	// Store keeps the durable state. The Pipe owns it, also where Open fails.
	Store Store
	// Address of the HTTP server, "" for none.
	Address string
	// Token that callers must present, "" for none.
	Token string
	// StartPaused has a new pipe begin paused. One that has a state stays in
	// the phase it was in.
	StartPaused bool
	Logger      *service.Logger
	// Host shared by the pipes of the process, see HostOf.
	Host *Host
}

// Pipe is one replication from a database, as others see and command it. Its
// methods may be called from many goroutines.
type Pipe struct {
	name    string
	stream  string
	log     *service.Logger
	host    *Host
	journal *journal
	current atomic.Pointer[State] // the durable state; never changed in place

	mu       sync.Mutex
	changed  chan struct{}
	tables   map[string]*TableProgress
	degraded map[side]Degradation

	meters
}

// Open loads the state of a pipe, or makes that of a new one, and puts the pipe
// where it can be seen: at the HTTP address and in the metrics. It fails where
// the stored state cannot be trusted ([CorruptError]) and where the address is
// taken.
//
// The pipe is then in the phase it was in when the process ended, but for
// pausing, which has become paused: nothing is in flight any more.
func Open(ctx context.Context, o Options) (*Pipe, error) {
	p, err := open(ctx, o)
	if err != nil {
		if closer, ok := o.Store.(io.Closer); ok {
			err = errors.Join(err, closer.Close())
		}
		return nil, err
	}
	return p, nil
}

func open(ctx context.Context, o Options) (*Pipe, error) {
	if o.Name == "" {
		return nil, errors.New("opening a pipe: it has no name: set a label on the input")
	}
	if o.Host == nil {
		o.Host = NewHost()
	}
	stored, err := o.Store.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening pipe %q: %w", o.Name, err)
	}
	s := newState(o)
	if stored != nil {
		if s, err = decode(o.Name, stored); err != nil {
			return nil, err
		}
	}
	p := &Pipe{
		name: o.Name, stream: o.Stream, log: o.Logger, host: o.Host,
		changed:  make(chan struct{}),
		tables:   map[string]*TableProgress{},
		degraded: map[side]Degradation{},
	}
	p.journal = newJournal(o.Store, s, p.committed)
	p.publish(&State{}, s)
	err = p.journal.change(ctx, func(c *commit) error {
		if c.state.Phase == Pausing {
			c.enter(Paused)
			return nil
		}
		if stored == nil {
			return nil
		}
		return errUnchanged
	})
	if err != nil {
		return nil, fmt.Errorf("opening pipe %q: %w", o.Name, err)
	}
	if err := o.Host.join(p, o.Address, o.Token); err != nil {
		return nil, err
	}
	return p, nil
}

func newState(o Options) *State {
	s := &State{Format: Format, Pipe: o.Name, Phase: Provisioning, Since: time.Now().UTC(), Tables: map[string]*TableState{}}
	if o.StartPaused {
		s.Phase, s.PausedFrom = Paused, Provisioning
	}
	return s
}

// enter puts a commit's state into the next phase. It does not ask whether it
// may.
func (c *commit) enter(next Phase) {
	s := c.state
	s.Phase, s.Since = next, time.Now().UTC()
	if next != Pausing && next != Paused {
		s.PausedFrom = ""
	}
	if next != Failed {
		s.FailedFrom, s.Failure = "", nil
	}
	c.moves = append(c.moves, next)
	c.poke = true
}

// committed is told of each state that has become durable.
func (p *Pipe) committed(prev *State, c *commit) {
	p.publish(prev, c.state)
	from := prev.Phase
	for _, to := range c.moves {
		p.host.meters.transition(p.name, from, to)
		p.logMove(from, to, c.state)
		from = to
	}
	if c.poke {
		p.poke()
	}
}

func (p *Pipe) logMove(from, to Phase, s *State) {
	log := p.log.With("pipe", p.name, "from", string(from), "to", string(to))
	if to == Failed && s.Failure != nil {
		log.With("class", s.Failure.Class, "reason", s.Failure.Reason, "fix", s.Failure.Fix, "table", s.Failure.Table).Error("Pipe failed")
		return
	}
	log.Info("Pipe changed phase")
}

// publish makes a durable state the one that is shown.
func (p *Pipe) publish(prev, next *State) {
	p.current.Store(next)
	p.mu.Lock()
	defer p.mu.Unlock()
	for name := range prev.Tables {
		if next.Tables[name] == nil {
			p.forget(name)
		}
	}
	for name, t := range next.Tables {
		p.table(name).follow(prev.Tables[name], t)
	}
}

func (p *Pipe) poke() {
	p.mu.Lock()
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	p.host.wake()
}

// Addr returns where the pipe is served, nil where it is not.
func (p *Pipe) Addr() net.Addr { return p.host.addressOf(p) }

// Name returns the pipe's name.
func (p *Pipe) Name() string { return p.name }

// Phase returns the phase the pipe is in, durably.
func (p *Pipe) Phase() Phase { return p.current.Load().Phase }

// State returns a copy of the durable state.
func (p *Pipe) State() State { return *p.current.Load().clone() }

// Changed returns a channel that is closed at the next change of phase, or when
// a command leaves something new to do. Take it before looking at the phase,
// or a change between the two is missed.
func (p *Pipe) Changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// To is the driver's way to the next phase, durable when it returns nil. It
// fails with a [TransitionError] where the life cycle knows no such way, or
// where only a command leads there: a driver does not resume by itself. Going
// to the phase the pipe is in does nothing.
func (p *Pipe) To(ctx context.Context, next Phase) error {
	return p.journal.change(ctx, func(c *commit) error {
		from := c.state.Phase
		if from == next {
			return errUnchanged
		}
		if err := allowed(from, next, driver); err != nil {
			return err
		}
		switch next {
		case Failed:
			return &TransitionError{From: from, To: next, Reason: "a failure has a reason: use Fail"}
		case Resync:
			if len(c.state.Resync) == 0 {
				return &TransitionError{From: from, To: next, Reason: "nobody asked for a resync"}
			}
		}
		c.enter(next)
		return nil
	})
}

// Fail records an error that does not pass by itself and ends in phase failed,
// from any phase. Resume leads back to where it failed; for a pipe that was
// pausing or paused, to where the pause began.
func (p *Pipe) Fail(ctx context.Context, f *Failure) error {
	f = f.shown()
	err := p.journal.change(ctx, func(c *commit) error {
		s := c.state
		from := s.Phase
		switch from {
		case Failed:
			s.Failure = f
			c.poke = true
			return nil
		case Pausing, Paused:
			from = s.PausedFrom
		}
		c.enter(Failed)
		s.FailedFrom, s.Failure = from, f
		return nil
	})
	if err == nil {
		p.host.meters.errors.WithLabelValues(p.name, f.Class).Inc()
	}
	return err
}

// Update changes the durable state: fn works on a copy, which takes effect when
// it is durable and before Update returns. Updates that meet are saved
// together. fn must be quick and must not call the Pipe. Changing the phase is an
// error: that is what To, Fail and the commands are for.
func (p *Pipe) Update(ctx context.Context, fn func(*State) error) error {
	return p.journal.change(ctx, func(c *commit) error {
		before := *c.state
		if err := fn(c.state); err != nil {
			return err
		}
		s := c.state
		if s.Phase != before.Phase || s.PausedFrom != before.PausedFrom || s.FailedFrom != before.FailedFrom {
			return fmt.Errorf("updating the state of pipe %q: the phase changes by To, Fail and the commands only", p.name)
		}
		s.Format, s.Pipe, s.Since, s.Failure = before.Format, before.Pipe, before.Since, before.Failure
		s.Resync = slices.DeleteFunc(s.Resync, func(t string) bool { return s.Tables[t] == nil })
		if len(s.Resync) == 0 {
			s.Resync, s.ResyncWhole = nil, false
		}
		if reason := s.flaw(); reason != "" {
			return fmt.Errorf("updating the state of pipe %q: %s", p.name, reason)
		}
		return nil
	})
}

// Close makes the last changes durable, takes the pipe off the server and the
// metrics, and gives the Store up. The durable phase stays what it is.
func (p *Pipe) Close() error {
	return errors.Join(p.host.part(p), p.journal.close())
}
