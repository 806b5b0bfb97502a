package stream

import "sync"

// Checkpoint turns acks, which come in any order, into the one position that
// the server may forget WAL before: the end of the last commit of a contiguous
// run of acked deliveries.
type Checkpoint struct {
	mu        sync.Mutex
	waiting   []*mark // in the order sent; the head is not acked
	unacked   int     // how many of waiting are not
	confirmed uint64
	nack      error
	changed   chan struct{}
}

// mark is one delivery on its way, or WAL without changes of ours behind one.
type mark struct {
	position uint64 // 0 where the delivery ends inside a transaction
	acked    bool
}

// NewCheckpoint begins at the position that the slot has confirmed.
func NewCheckpoint(confirmed uint64) *Checkpoint {
	return &Checkpoint{confirmed: confirmed, changed: make(chan struct{}, 1)}
}

// Sent notes a delivery whose changes end at position, 0 where that is inside a
// transaction, and returns the function to call with its outcome. A nack
// resolves nothing: the position stays before it for ever, and Nack reports it.
// Only the first outcome counts.
func (c *Checkpoint) Sent(position uint64) func(error) {
	m := &mark{position: position}
	c.mu.Lock()
	c.waiting = append(c.waiting, m)
	c.unacked++
	c.mu.Unlock()
	var once sync.Once
	return func(err error) { once.Do(func() { c.resolve(m, err) }) }
}

func (c *Checkpoint) resolve(m *mark, err error) {
	c.mu.Lock()
	if err != nil {
		c.nack = err
	} else {
		m.acked = true
		c.unacked--
		n := 0
		for n < len(c.waiting) && c.waiting[n].acked {
			c.confirmed = max(c.confirmed, c.waiting[n].position)
			c.waiting[n] = nil
			n++
		}
		c.waiting = c.waiting[n:]
	}
	c.mu.Unlock()
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// withdraw takes back the last delivery noted, which was never sent: it will be
// read again, so nothing behind it may be confirmed, and nothing comes behind it.
func (c *Checkpoint) withdraw() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.waiting); n > 0 {
		c.waiting = c.waiting[:n-1]
		c.unacked--
	}
}

// Passed notes a position that every change before it was sent in front of: the
// end of a transaction of which nothing is left to send, or of WAL that holds
// nothing of ours. It counts once all of that is acked, which may be now.
func (c *Checkpoint) Passed(position uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.waiting)
	switch {
	case n == 0:
		c.confirmed = max(c.confirmed, position)
	case c.waiting[n-1].acked:
		// One mark is enough for many such positions, or a stalled output would
		// gather them without bound.
		c.waiting[n-1].position = max(c.waiting[n-1].position, position)
	default:
		c.waiting = append(c.waiting, &mark{position: position, acked: true})
	}
}

// Confirmed returns the position that may be sent to the server.
func (c *Checkpoint) Confirmed() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.confirmed
}

// Pending returns how many deliveries are not acked.
func (c *Checkpoint) Pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unacked
}

// Nack returns the reason of a delivery that was given up, nil while there is
// none.
func (c *Checkpoint) Nack() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nack
}

// Changed receives after acks; several may be one.
func (c *Checkpoint) Changed() <-chan struct{} { return c.changed }
