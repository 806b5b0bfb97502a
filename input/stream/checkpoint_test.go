package stream

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// event is what a model of a Checkpoint remembers: a delivery, or a position
// that was passed.
type event struct {
	position uint64
	passed   bool
	acked    bool
	nacked   bool
	ack      func(error)
}

// TestCheckpointConfirmsTheContiguousAckedPrefix guards rule 3: whatever the
// order of acks, the position is the last one in front of the first delivery
// that is not acked, and a nack stops it for ever.
func TestCheckpointConfirmsTheContiguousAckedPrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const begin = 100
		c := NewCheckpoint(begin)
		var events []*event
		position := uint64(begin)
		withdrawn, nacked := false, false
		open := func() (open []*event) {
			for _, e := range events {
				if !e.passed && !e.acked && !e.nacked {
					open = append(open, e)
				}
			}
			return open
		}
		// An action that is not possible now does nothing.
		resolve := func(t *rapid.T, act func(*event)) {
			if choice := open(); len(choice) > 0 {
				act(rapid.SampledFrom(choice).Draw(t, "delivery"))
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				if withdrawn {
					return
				}
				e := &event{}
				if !rapid.Bool().Draw(t, "inside a transaction") {
					position += rapid.Uint64Range(1, 10).Draw(t, "bytes")
					e.position = position
				}
				e.ack = c.Sent(e.position)
				events = append(events, e)
			},
			"pass": func(t *rapid.T) {
				if withdrawn {
					return
				}
				position += rapid.Uint64Range(0, 10).Draw(t, "bytes")
				c.Passed(position)
				events = append(events, &event{position: position, passed: true})
			},
			"ack": func(t *rapid.T) {
				resolve(t, func(e *event) {
					e.acked = true
					e.ack(nil)
					if rapid.Bool().Draw(t, "again") {
						e.ack(errors.New("a second outcome"))
					}
				})
			},
			"nack": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "rarely") > 0 {
					return
				}
				resolve(t, func(e *event) {
					e.nacked, nacked = true, true
					e.ack(errors.New("rejected"))
					if rapid.Bool().Draw(t, "again") {
						e.ack(nil)
					}
				})
			},
			"withdraw": func(t *rapid.T) {
				n := len(events)
				if rapid.IntRange(0, 9).Draw(t, "rarely") > 0 || n == 0 || events[n-1].passed || events[n-1].acked || events[n-1].nacked {
					return
				}
				c.withdraw()
				events, withdrawn = events[:n-1], true
			},
			"": func(t *rapid.T) {
				want, pending, blocked := uint64(begin), 0, false
				for _, e := range events {
					if !e.passed && !e.acked {
						blocked = true
						pending++
					}
					if !blocked {
						want = max(want, e.position)
					}
				}
				if got := c.Confirmed(); got != want {
					t.Fatalf("confirmed %d, want %d", got, want)
				}
				if got := c.Pending(); got != pending {
					t.Fatalf("%d pending, want %d", got, pending)
				}
				if got := c.Nack() != nil; got != nacked {
					t.Fatalf("nacked is %v, want %v", got, nacked)
				}
			},
		})
	})
}

// TestPassedPositionsDoNotPileUp guards against a mark for each transaction of
// other tables while the output stands still.
func TestPassedPositionsDoNotPileUp(t *testing.T) {
	c := NewCheckpoint(1)
	ack := c.Sent(0)
	for position := uint64(2); position < 10000; position++ {
		c.Passed(position)
	}
	if n := len(c.waiting); n != 2 {
		t.Errorf("%d marks, want 2", n)
	}
	if got := c.Confirmed(); got != 1 {
		t.Errorf("confirmed %d over a delivery that is not acked", got)
	}
	ack(nil)
	if got := c.Confirmed(); got != 9999 {
		t.Errorf("confirmed %d, want 9999", got)
	}
}

func TestCheckpointTellsOfAcks(t *testing.T) {
	c := NewCheckpoint(0)
	first, second := c.Sent(1), c.Sent(2)
	second(nil)
	<-c.Changed()
	first(nil)
	<-c.Changed()
	if c.Confirmed() != 2 {
		t.Errorf("confirmed %d, want 2", c.Confirmed())
	}
}
