package lifecycle

import (
	"errors"
	"fmt"
)

// Phase is what a pipe is doing.
type Phase string

// The phases of a pipe.
const (
	// Provisioning connects to both ends, checks them, and makes the publication.
	Provisioning Phase = "provisioning"
	// Setup records table definitions and creates the destination tables.
	Setup Phase = "setup"
	// Snapshot copies the tables as they were when the slot was created.
	Snapshot Phase = "snapshot"
	// Running streams changes from the slot.
	Running Phase = "running"
	// Pausing reads nothing more and waits for the batches in flight.
	Pausing Phase = "pausing"
	// Paused reads nothing and leaves the destination alone; the slot is kept.
	Paused Phase = "paused"
	// Resync loads tables anew and swaps them in atomically.
	Resync Phase = "resync"
	// Completed is the end of a pipe that only takes a snapshot.
	Completed Phase = "completed"
	// Failed waits for somebody to mend what the failure names.
	Failed Phase = "failed"
)

// Phases lists every phase, in the order in which a pipe first meets them.
func Phases() []Phase {
	return []Phase{Provisioning, Setup, Snapshot, Running, Pausing, Paused, Resync, Completed, Failed}
}

// Known says whether p is one of the phases.
func (p Phase) Known() bool {
	for _, known := range Phases() {
		if p == known {
			return true
		}
	}
	return false
}

// actor is who may make a move.
type actor byte

const (
	driver  actor = 1 << iota // the input, through Pipe.To and Pipe.Fail
	command                   // somebody outside, through Pipe.Pause, Resume or Resync
)

// move is one allowed transition.
type move struct {
	from, to Phase
	by       actor
	when     string
}

// moves is the life cycle: a transition that is not here does not happen.
func moves() []move {
	return []move{
		{Provisioning, Setup, driver, "both ends answer, are fit, and the publication exists"},
		{Provisioning, Pausing, command, "a pause is asked for"},
		{Provisioning, Failed, driver, "an end refuses: login, privilege, setting, missing publication"},

		{Setup, Snapshot, driver, "every destination table exists"},
		{Setup, Running, driver, "every destination table exists, and the mode is cdc_only"},
		{Setup, Pausing, command, "a pause is asked for"},
		{Setup, Failed, driver, "a destination table cannot take its source"},

		{Snapshot, Running, driver, "every chunk is acked"},
		{Snapshot, Completed, driver, "every chunk is acked, and the mode is snapshot"},
		{Snapshot, Pausing, command, "a pause is asked for"},
		{Snapshot, Failed, driver, "the slot is lost, or an end refuses"},

		{Running, Resync, driver, "a resync was asked for"},
		{Running, Pausing, command, "a pause is asked for"},
		{Running, Failed, driver, "the slot is lost, a value cannot be stored, or an end refuses"},

		{Pausing, Paused, driver, "nothing is in flight any more"},
		{Pausing, Failed, driver, "what is in flight can never be stored"},

		{Paused, Provisioning, command, "resume, where the pause began there"},
		{Paused, Setup, command, "resume, where the pause began there"},
		{Paused, Snapshot, command, "resume, where the pause began there"},
		{Paused, Running, command, "resume, where the pause began there"},
		{Paused, Resync, command, "resume, where the pause began there"},
		{Paused, Failed, driver, "the slot is lost"},

		{Resync, Running, driver, "every table asked for is swapped in"},
		{Resync, Completed, driver, "every table asked for is swapped in, and the mode is snapshot"},
		{Resync, Pausing, command, "a pause is asked for"},
		{Resync, Failed, driver, "the slot is lost, or an end refuses"},

		{Completed, Resync, driver, "a resync was asked for"},
		{Completed, Failed, driver, "an end refuses"},

		{Failed, Provisioning, command, "resume, where it failed there"},
		{Failed, Setup, command, "resume, where it failed there"},
		{Failed, Snapshot, command, "resume, where it failed there"},
		{Failed, Running, command, "resume, where it failed there"},
		{Failed, Resync, command | driver, "resume, where it failed there; or a resync was asked for"},
		{Failed, Completed, command, "resume, where it failed there"},
	}
}

// allowed says whether by may move a pipe from one phase to another, and why
// not.
func allowed(from, to Phase, by actor) error {
	if !to.Known() {
		return &TransitionError{From: from, To: to, Reason: "there is no such phase"}
	}
	reachable := ""
	for _, m := range moves() {
		if m.from != from {
			continue
		}
		if m.to == to {
			if m.by&by != 0 {
				return nil
			}
			if by == driver {
				return &TransitionError{From: from, To: to, Reason: "only a command leads there: " + m.when}
			}
			return &TransitionError{From: from, To: to, Reason: "no command leads there: " + m.when}
		}
		if m.by&by != 0 {
			reachable += " " + string(m.to)
		}
	}
	if reachable == "" {
		return &TransitionError{From: from, To: to, Reason: "nothing but a command leads out of " + string(from)}
	}
	return &TransitionError{From: from, To: to, Reason: "from " + string(from) + " it can go to" + reachable}
}

// TransitionError says why a pipe cannot go from one phase to another.
type TransitionError struct {
	From, To Phase
	Reason   string
}

func (e *TransitionError) Error() string {
	return fmt.Sprintf("going from %s to %s is not allowed: %s", e.From, e.To, e.Reason)
}

// pausable says whether a pipe in phase p can be asked to pause.
func (p Phase) pausable() bool { return allowed(p, Pausing, command) == nil }

// Ready says what /readyz answers: the pipe does what it was asked to do, or
// rests because it was asked to.
func (p Phase) Ready() bool { return p == Running || p == Paused || p == Completed }

// TablePhase is what happens to one table, so that one bad table does not stop
// the others.
type TablePhase string

// The phases of a table.
const (
	TablePending  TablePhase = "pending"  // known, not begun
	TableSnapshot TablePhase = "snapshot" // being loaded
	TableRunning  TablePhase = "running"  // loaded; changes are applied
	TableFailed   TablePhase = "failed"   // set aside, see its failure
	TableResync   TablePhase = "resync"   // being loaded anew beside the serving one
	TableRemoved  TablePhase = "removed"  // no longer configured; the destination is kept
)

// TablePhases lists every phase of a table.
func TablePhases() []TablePhase {
	return []TablePhase{TablePending, TableSnapshot, TableRunning, TableFailed, TableResync, TableRemoved}
}

// Known says whether p is one of the phases of a table.
func (p TablePhase) Known() bool {
	for _, known := range TablePhases() {
		if p == known {
			return true
		}
	}
	return false
}

// Outcome is what a command did.
type Outcome int

const (
	// Accepted: the wish is durable and being carried out.
	Accepted Outcome = iota + 1
	// Already: it was so before.
	Already
)

// Conflict is a command that the pipe's phase does not allow.
type Conflict struct {
	Pipe    string
	Command string // pause, resume or resync
	Phase   Phase
	Reason  string
	// Fix is what to do instead, "" where there is nothing.
	Fix string
}

func (c *Conflict) Error() string {
	return fmt.Sprintf("cannot %s pipe %q while it is %s: %s", c.Command, c.Pipe, c.Phase, c.Reason)
}

// UnknownTable is a command for a table that the pipe does not have.
type UnknownTable struct{ Pipe, Table string }

func (u *UnknownTable) Error() string {
	return fmt.Sprintf("pipe %q has no table %q", u.Pipe, u.Table)
}

// ErrClosed is what a closed Pipe answers.
var ErrClosed = errors.New("the pipe is closed")
