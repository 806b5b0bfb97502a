package lifecycle

import (
	"context"
	"time"

	"github.com/penstock/penstock/lifecycle/api"
)

const (
	// sampleInterval is the distance of the points in the page's charts.
	sampleInterval = 2 * time.Second
	// sampleCount of them are kept: five minutes.
	sampleCount = 150
)

// sample is what is measured of a pipe over one interval.
type sample struct {
	rows, received float64 // per second
	lagBytes       float64
	lagSeconds     float64
	retained       float64
}

// rates holds the last minutes of a pipe. Guarded by Pipe.mu.
type rates struct {
	samples []sample // at most sampleCount, oldest first
	taken   uint64   // ever
	visible *float64 // seconds, of the latest commit of the last interval

	at             time.Time // of the last sample
	rows, received uint64    // totals then
}

// add takes a sample from totals.
func (r *rates) add(now time.Time, rows, received uint64, s sample) {
	if elapsed := now.Sub(r.at).Seconds(); !r.at.IsZero() && elapsed > 0 {
		s.rows = float64(rows-r.rows) / elapsed
		s.received = float64(received-r.received) / elapsed
	}
	r.at, r.rows, r.received = now, rows, received
	if len(r.samples) == sampleCount {
		copy(r.samples, r.samples[1:])
		r.samples = r.samples[:sampleCount-1]
	}
	r.samples = append(r.samples, s)
	r.taken++
}

func (r *rates) show(s *api.Status) {
	if n := len(r.samples); n > 0 {
		s.RowsPerSecond, s.ReceivedPerSecond = r.samples[n-1].rows, r.samples[n-1].received
	}
	s.CommitToVisible = r.visible
}

func (r *rates) history() api.History {
	n := len(r.samples)
	h := api.History{
		IntervalSeconds: sampleInterval.Seconds(), Samples: r.taken,
		RowsPerSecond: make([]float64, n), ReceivedPerSecond: make([]float64, n),
		LagBytes: make([]float64, n), LagSeconds: make([]float64, n), RetainedBytes: make([]float64, n),
	}
	for i, s := range r.samples {
		h.RowsPerSecond[i], h.ReceivedPerSecond[i] = s.rows, s.received
		h.LagBytes[i], h.LagSeconds[i], h.RetainedBytes[i] = s.lagBytes, s.lagSeconds, s.retained
	}
	return h
}

// sample takes one sample of the pipe.
func (p *Pipe) sample(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rows := p.forgotten
	for _, t := range p.tables {
		rows += t.moved()
	}
	p.rates.visible = nil
	if took := p.visible.Swap(0); took != 0 {
		seconds := time.Duration(took).Seconds()
		p.rates.visible = &seconds
	}
	p.rates.add(now, rows, p.received.Load(), sample{
		lagBytes:   float64(p.slot.lagBytes()),
		lagSeconds: p.slot.lag(now).Seconds(),
		retained:   float64(p.slot.last.RetainedBytes),
	})
}

// sampleAll samples every pipe of the host until ctx ends.
func (h *Host) sampleAll(ctx context.Context) {
	ticker := time.NewTicker(sampleInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			for _, p := range h.all() {
				p.sample(now)
			}
		}
	}
}
