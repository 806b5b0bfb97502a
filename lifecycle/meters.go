package lifecycle

import (
	"sync/atomic"
	"time"
)

// side is an end of a pipe.
type side string

const (
	source      side = "source"
	destination side = "destination"
)

// Degradation is trouble that is expected to pass: the phase stays, and work is
// tried again.
type Degradation struct {
	Reason string
	Since  time.Time
}

// meters is what is measured of a pipe as a whole. Live, not durable.
type meters struct {
	received atomic.Uint64
	inFlight atomic.Int64
	visible  atomic.Int64 // nanoseconds the last commit took to be seen
	// Guarded by Pipe.mu:
	slot      slotHistory
	rates     rates
	forgotten uint64 // rows and changes of tables that are gone
}

// Degrade shows trouble with the source that is expected to pass, until Healthy
// is called. Calling it again keeps the time it began.
func (p *Pipe) Degrade(reason error) { p.degrade(source, reason) }

// Healthy ends what Degrade began.
func (p *Pipe) Healthy() { p.healthy(source) }

func (p *Pipe) degrade(s side, reason error) {
	text := withoutSecrets(reason.Error())
	p.mu.Lock()
	defer p.mu.Unlock()
	d, already := p.degraded[s]
	if !already {
		d.Since = time.Now().UTC()
	}
	d.Reason = text
	p.degraded[s] = d
}

func (p *Pipe) healthy(s side) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.degraded, s)
}

// Slot takes an observation of the slot; one every few seconds is right.
func (p *Pipe) Slot(s SlotStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slot.observe(s, time.Now())
}

// Received counts bytes read from the source.
func (p *Pipe) Received(bytes int) { p.received.Add(uint64(bytes)) }

// InFlight tells how many bytes were read and are not acked at the moment.
func (p *Pipe) InFlight(bytes int64) { p.inFlight.Store(bytes) }

// Error counts an error that was met and handled; Fail counts its own.
func (p *Pipe) Error(class string) { p.host.meters.errors.WithLabelValues(p.name, class).Inc() }

// UnchangedToast counts n values that the WAL left out because the update did
// not touch them, by how they were found: a short fixed word.
func (p *Pipe) UnchangedToast(how string, n int) {
	p.host.meters.toast.WithLabelValues(p.name, how).Add(float64(n))
}
