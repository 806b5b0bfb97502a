package lifecycle

import (
	"context"
	"slices"
)

// Pause asks the pipe to stop reading. The wish is durable when Pause returns:
// a process that is killed now comes back paused. The driver drains what is in
// flight and moves on to paused.
func (p *Pipe) Pause(ctx context.Context) (Outcome, error) {
	return p.command(ctx, func(c *commit) (Outcome, error) {
		s := c.state
		switch {
		case s.Phase == Pausing, s.Phase == Paused:
			return Already, nil
		case s.Phase == Failed:
			return 0, p.conflict(s, "pause", "it reads nothing until somebody resumes it", "mend what the failure names, then resume")
		case !s.Phase.pausable():
			return 0, p.conflict(s, "pause", "it has nothing left to read", "")
		}
		from := s.Phase
		c.enter(Pausing)
		s.PausedFrom = from
		return Accepted, nil
	})
}

// Resume leads a paused pipe back to where the pause began, and has a failed
// one try again from the phase it failed in. While the pipe is still pausing it
// is a [Conflict]: what drains must be drained before reading can go on.
func (p *Pipe) Resume(ctx context.Context) (Outcome, error) {
	return p.command(ctx, func(c *commit) (Outcome, error) {
		s := c.state
		var next Phase
		switch s.Phase {
		case Pausing:
			return 0, p.conflict(s, "resume", "the batches in flight are still draining", "resume once it is paused")
		case Completed:
			return 0, p.conflict(s, "resume", "its snapshot is taken and there is nothing left to do", "run penstock drop, DROP the destination tables, then run the pipeline again")
		case Paused:
			next = s.PausedFrom
		case Failed:
			next = s.FailedFrom
		default:
			return Already, nil
		}
		if err := allowed(s.Phase, next, command); err != nil {
			return 0, err
		}
		c.enter(next)
		return Accepted, nil
	})
}

// Resync asks for tables to be loaded anew, all of the pipe's where tables is
// empty. The wish is durable when Resync returns; the driver carries it out,
// see ResyncWanted. A failed pipe or table gets out of its failure this way.
func (p *Pipe) Resync(ctx context.Context, tables []string) (Outcome, error) {
	return p.command(ctx, func(c *commit) (Outcome, error) {
		s := c.state
		if err := p.resyncAllowed(s); err != nil {
			return 0, err
		}
		wanted := tables
		if len(tables) == 0 {
			for name, t := range s.Tables {
				if p.resyncable(s, name, t) == nil {
					wanted = append(wanted, name)
				}
			}
			if len(wanted) == 0 {
				return 0, p.conflict(s, "resync", "no table of it has been loaded yet", "resume it")
			}
		}
		outcome := Already
		if len(tables) == 0 && !s.ResyncWhole {
			s.ResyncWhole, outcome = true, Accepted
		}
		for _, name := range wanted {
			if err := p.resyncable(s, name, s.Tables[name]); err != nil {
				return 0, err
			}
			if i, found := slices.BinarySearch(s.Resync, name); !found {
				s.Resync, outcome = slices.Insert(s.Resync, i, name), Accepted
			}
		}
		c.poke = outcome == Accepted
		return outcome, nil
	})
}

// resyncAllowed says why a pipe cannot load anything anew in the phase it is in.
func (p *Pipe) resyncAllowed(s *State) error {
	switch s.Phase {
	case Running, Resync, Failed:
		return nil
	case Completed:
		return p.conflict(s, "resync", "its snapshot is taken and its process ends", "run penstock drop, DROP the destination tables, then run the pipeline again")
	case Pausing, Paused:
		return p.conflict(s, "resync", "a paused pipe reads nothing", "resume it first")
	default:
		return p.conflict(s, "resync", "the first load is not over", "wait until it is running")
	}
}

// resyncable says why a table cannot be loaded anew.
func (p *Pipe) resyncable(s *State, name string, t *TableState) error {
	switch {
	case t == nil:
		return &UnknownTable{Pipe: p.name, Table: name}
	case t.Phase == TableRemoved:
		return p.conflict(s, "resync", "table "+name+" was removed from it", "add it to `tables` and restart")
	case s.Phase != Failed && (t.Phase == TablePending || t.Phase == TableSnapshot):
		return p.conflict(s, "resync", "the first load of table "+name+" is not over", "wait until it is running")
	}
	return nil
}

// ResyncWanted returns the tables that are to be loaded anew, sorted; none
// where nobody asked.
func (p *Pipe) ResyncWanted() []string { return slices.Clone(p.current.Load().Resync) }

// ResyncDone says that a table has been loaded anew and swapped in. It is
// durable when ResyncDone returns nil; a table nobody asked for does nothing.
func (p *Pipe) ResyncDone(ctx context.Context, table string) error {
	return p.journal.change(ctx, func(c *commit) error {
		i, found := slices.BinarySearch(c.state.Resync, table)
		if !found {
			return errUnchanged
		}
		c.state.Resync = slices.Delete(c.state.Resync, i, i+1)
		if len(c.state.Resync) == 0 {
			c.state.Resync, c.state.ResyncWhole = nil, false
		}
		return nil
	})
}

func (p *Pipe) command(ctx context.Context, fn func(*commit) (Outcome, error)) (Outcome, error) {
	var outcome Outcome
	err := p.journal.change(ctx, func(c *commit) (err error) {
		if outcome, err = fn(c); err == nil && outcome == Already {
			err = errUnchanged
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return outcome, nil
}

func (p *Pipe) conflict(s *State, command, reason, fix string) error {
	return &Conflict{Pipe: p.name, Command: command, Phase: s.Phase, Reason: reason, Fix: fix}
}
