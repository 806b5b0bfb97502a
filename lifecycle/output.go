package lifecycle

import (
	"time"
)

// OutputMetrics is how an output reports what it does. It finds out which pipe
// it works for from the stream both belong to, when it has something to say:
// input and output of a stream start in no order. A nil OutputMetrics takes
// everything and does nothing.
type OutputMetrics struct {
	host   *Host
	stream string
}

// Output returns the observer for the outputs of a stream (mgr.StreamID()).
func (h *Host) Output(streamID string) *OutputMetrics {
	return &OutputMetrics{host: h, stream: streamID}
}

// Inserted counts rows that the destination has acknowledged, and the time
// their insert took.
func (o *OutputMetrics) Inserted(table string, rows int, took time.Duration) {
	if o == nil {
		return
	}
	pipe := o.pipe(table)
	o.host.meters.inserted.WithLabelValues(pipe, table).Add(float64(rows))
	o.host.meters.insert.WithLabelValues(pipe).Observe(took.Seconds())
}

// Lossy counts n values that were stored otherwise than the source has them.
func (o *OutputMetrics) Lossy(table, column, reason string, n int) {
	if o == nil {
		return
	}
	o.host.meters.lossy.WithLabelValues(o.pipe(table), table, column, reason).Add(float64(n))
}

// Visible says that the rows of a commit can be queried now.
func (o *OutputMetrics) Visible(commit time.Time) {
	if o == nil || commit.IsZero() {
		return
	}
	// The clocks of two machines differ: less than nothing is nothing.
	took := max(0, time.Since(commit))
	o.host.meters.visible.WithLabelValues(o.pipe("")).Observe(took.Seconds())
	for _, p := range o.pipes() {
		p.visible.Store(int64(took))
	}
}

// Error counts an error that was met, also one that a retry will cure.
func (o *OutputMetrics) Error(class string) {
	if o == nil {
		return
	}
	o.host.meters.errors.WithLabelValues(o.pipe(""), class).Inc()
}

// Degraded shows trouble with the destination that is expected to pass, until
// Healthy is called.
func (o *OutputMetrics) Degraded(err error) {
	if o == nil {
		return
	}
	for _, p := range o.pipes() {
		p.degrade(destination, err)
	}
}

// Healthy ends what Degraded began.
func (o *OutputMetrics) Healthy() {
	if o == nil {
		return
	}
	for _, p := range o.pipes() {
		p.healthy(destination)
	}
}

// pipes returns the pipes that feed this output.
func (o *OutputMetrics) pipes() []*Pipe { return o.host.ofStream(o.stream) }

// pipe returns the name of the pipe that a table belongs to. A stream has one
// pipe as a rule; where it has several, the one that knows the table; where it
// has none, the stream itself names what is counted.
func (o *OutputMetrics) pipe(table string) string {
	pipes := o.pipes()
	for _, p := range pipes {
		if len(pipes) == 1 || p.current.Load().Tables[table] != nil {
			return p.name
		}
	}
	if len(pipes) > 0 {
		return pipes[0].name
	}
	return o.stream
}
