package lifecycle

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// instruments are the metrics that are counted where things happen; what can be
// read off the pipes when somebody asks is in pipeCollector. docs/metrics.md
// tells how to read each.
type instruments struct {
	transitions *prometheus.CounterVec
	errors      *prometheus.CounterVec
	toast       *prometheus.CounterVec
	lossy       *prometheus.CounterVec
	inserted    *prometheus.CounterVec
	insert      *prometheus.HistogramVec
	visible     *prometheus.HistogramVec
}

func newInstruments(r prometheus.Registerer) *instruments {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "penstock", Name: name, Help: help}, append([]string{"pipe"}, labels...))
		r.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "penstock", Name: name, Help: help, Buckets: buckets}, []string{"pipe"})
		r.MustRegister(h)
		return h
	}
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &instruments{
		transitions: counter("phase_transitions_total", "Changes of a pipe's phase.", "from", "to"),
		errors:      counter("errors_total", "Errors met, by class, also those that a retry cured.", "class"),
		toast:       counter("unchanged_toast_total", "Values that an update did not touch and the WAL left out, by how they were found.", "how"),
		lossy:       counter("lossy_values_total", "Values stored otherwise than the source has them, by the rule that allowed it.", "table", "column", "reason"),
		inserted:    counter("inserted_rows_total", "Rows the destination has acknowledged.", "table"),
		// A native insert of a block takes milliseconds; one that waits for
		// too many parts, minutes.
		insert: histogram("insert_seconds", "Time one insert took.", []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120}),
		// From the sync interval, a second or so, to a pause over night.
		visible: histogram("commit_to_visible_seconds", "Time from a commit at the source until its rows can be queried at the destination.",
			[]float64{.05, .1, .25, .5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300, 1800, 7200, 43200}),
	}
}

func (i *instruments) transition(pipe string, from, to Phase) {
	i.transitions.WithLabelValues(pipe, string(from), string(to)).Inc()
}
