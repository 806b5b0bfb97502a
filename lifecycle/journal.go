package lifecycle

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// saveTimeout bounds one save, for a cache that does not answer: what waits for
// it gets an error and may try again.
const saveTimeout = 30 * time.Second

// errUnchanged is returned by a change that finds nothing to do.
var errUnchanged = errors.New("unchanged")

// journal makes changes of a state durable, one save at a time. Changes that
// come while a save is under way are collected and saved together, so that a
// thousand finished chunks cost few syncs.
//
// What others see is what was saved: a state becomes the current one when the
// Store has it. If a save fails, its changes never happened.
type journal struct {
	store Store
	// committed is called with each state that has become durable, in order.
	committed func(prev *State, c *commit)
	encoder   encoder // of whoever saves

	mu      sync.Mutex
	current *State        // durable
	saving  *commit       // being saved
	waiting *commit       // built upon the one being saved, saved next
	idle    chan struct{} // closed while nobody saves
	closed  bool
}

// commit is a state on its way to the Store.
type commit struct {
	state *State
	// moves holds each phase entered on the way, in order.
	moves []Phase
	// poke says that the driver has something new to look at.
	poke bool

	done chan struct{} // closed when err is settled
	err  error
}

func newJournal(store Store, current *State, committed func(*State, *commit)) *journal {
	idle := make(chan struct{})
	close(idle)
	return &journal{store: store, committed: committed, current: current, idle: idle}
}

// change applies fn to a copy of the newest state and returns when that is
// durable. If fn fails, nothing changes; if it returns errUnchanged, change
// returns nil once the state that fn saw is durable. A done ctx ends the
// waiting, not the change.
func (j *journal) change(ctx context.Context, fn func(*commit) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	wait, err := j.enqueue(fn)
	if err != nil || wait == nil {
		return err
	}
	select {
	case <-wait.done:
		return wait.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enqueue returns the commit that the change became part of, nil where the
// state that fn saw is durable already.
func (j *journal) enqueue(fn func(*commit) error) (*commit, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, ErrClosed
	}
	newest, last := j.current, j.saving
	if j.waiting != nil {
		last = j.waiting
	}
	if last != nil {
		newest = last.state
	}
	try := &commit{state: newest.clone()}
	if err := fn(try); errors.Is(err, errUnchanged) {
		return last, nil
	} else if err != nil {
		return nil, err
	}
	try.state.UpdatedAt = time.Now().UTC()
	if j.waiting == nil {
		j.waiting = &commit{done: make(chan struct{})}
	}
	j.waiting.state = try.state
	j.waiting.moves = append(j.waiting.moves, try.moves...)
	j.waiting.poke = j.waiting.poke || try.poke
	select {
	case <-j.idle:
		j.idle = make(chan struct{})
		go j.save()
	default: // whoever saves takes it next
	}
	return j.waiting, nil
}

// save makes what is waiting durable, until nothing is.
func (j *journal) save() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.waiting != nil {
		c := j.waiting
		j.saving, j.waiting = c, nil
		j.mu.Unlock()
		err := j.write(c.state)
		j.mu.Lock()
		j.saving = nil
		if err == nil {
			prev := j.current
			j.current = c.state
			j.committed(prev, c)
		} else if j.waiting != nil { // built upon what is not durable
			j.waiting.settle(err)
			j.waiting = nil
		}
		c.settle(err)
	}
	close(j.idle)
}

func (c *commit) settle(err error) {
	c.err = err
	close(c.done)
}

func (j *journal) write(s *State) error {
	stored, err := j.encoder.encode(s)
	if err != nil {
		return err
	}
	// Not a caller's context: the save is for all who wait.
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	return j.store.Save(ctx, stored)
}

// close waits for the last save and gives the Store up.
func (j *journal) close() error {
	j.mu.Lock()
	already, idle := j.closed, j.idle
	j.closed = true
	j.mu.Unlock()
	<-idle
	if closer, ok := j.store.(io.Closer); ok && !already {
		return closer.Close()
	}
	return nil
}
