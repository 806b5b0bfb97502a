package lifecycle

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/penstock/penstock/internal/change"
)

// walStatuses are the values of pg_replication_slots.wal_status.
func walStatuses() []string { return []string{"reserved", "extended", "unreserved", "lost"} }

// pipeCollector reads metrics off the pipes when they are asked for. One-hot
// gauges come from one look at a pipe, so that exactly one of them is 1.
type pipeCollector struct {
	host *Host

	phase, tablePhase, snapshotRows, snapshotChunks, changes, received, inFlight *prometheus.Desc
	lagBytes, lagSeconds, retained, safe, walStatus, degraded                    *prometheus.Desc
}

func newPipeCollector(h *Host) *pipeCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("penstock_"+name, help, append([]string{"pipe"}, labels...), nil)
	}
	return &pipeCollector{
		host:           h,
		phase:          desc("phase", "1 for the phase the pipe is in, 0 for the others.", "phase"),
		tablePhase:     desc("table_phase", "1 for the phase the table is in, 0 for the others.", "table", "phase"),
		degraded:       desc("degraded", "1 while there is trouble at a side that is expected to pass.", "side"),
		snapshotRows:   desc("snapshot_rows_total", "Rows read in loads by this process.", "table"),
		snapshotChunks: desc("snapshot_chunks", "Chunks of a table's load, by state.", "table", "state"),
		changes:        desc("changes_total", "Changes read from the slot by this process.", "table", "operation"),
		received:       desc("received_bytes_total", "Bytes read from the source by this process."),
		inFlight:       desc("in_flight_bytes", "Bytes read and not yet acknowledged by the destination."),
		lagBytes:       desc("slot_lag_bytes", "WAL written at the source and not confirmed by the pipe."),
		lagSeconds:     desc("slot_lag_seconds", "Age of the oldest WAL that is not confirmed, as far as this process has seen it."),
		retained:       desc("slot_retained_bytes", "WAL that the slot makes the source keep."),
		safe:           desc("slot_safe_wal_bytes", "WAL that can be written before the slot may be lost; absent where the source sets no limit."),
		walStatus:      desc("slot_wal_status", "1 for the slot's wal_status, 0 for the others.", "status"),
	}
}

var _ prometheus.Collector = (*pipeCollector)(nil)

// Describe lists the metrics.
func (c *pipeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.phase, c.tablePhase, c.degraded, c.snapshotRows, c.snapshotChunks, c.changes, c.received, c.inFlight,
		c.lagBytes, c.lagSeconds, c.retained, c.safe, c.walStatus,
	} {
		ch <- d
	}
}

// Collect looks at each pipe.
func (c *pipeCollector) Collect(ch chan<- prometheus.Metric) {
	for _, p := range c.host.all() {
		c.collectPipe(ch, p)
		c.collectTables(ch, p)
	}
}

func (c *pipeCollector) collectPipe(ch chan<- prometheus.Metric, p *Pipe) {
	s := p.Status()
	for _, phase := range Phases() {
		ch <- gauge(c.phase, is(s.Phase == string(phase)), s.Name, string(phase))
	}
	for _, at := range []side{source, destination} {
		down := false
		for _, d := range s.Degraded {
			down = down || d.Side == string(at)
		}
		ch <- gauge(c.degraded, is(down), s.Name, string(at))
	}
	ch <- counter(c.received, float64(s.ReceivedBytes), s.Name)
	ch <- gauge(c.inFlight, float64(s.InFlightBytes), s.Name)
	if s.Slot == nil {
		return
	}
	ch <- gauge(c.lagBytes, float64(s.Slot.LagBytes), s.Name)
	ch <- gauge(c.lagSeconds, s.Slot.LagSeconds, s.Name)
	ch <- gauge(c.retained, float64(s.Slot.RetainedBytes), s.Name)
	if s.Slot.SafeWALBytes != nil {
		ch <- gauge(c.safe, float64(*s.Slot.SafeWALBytes), s.Name)
	}
	for _, status := range walStatuses() {
		ch <- gauge(c.walStatus, is(s.Slot.WALStatus == status), s.Name, status)
	}
}

func (c *pipeCollector) collectTables(ch chan<- prometheus.Metric, p *Pipe) {
	for _, t := range (served{p}).Tables() {
		for _, phase := range TablePhases() {
			ch <- gauge(c.tablePhase, is(t.Phase == string(phase)), p.name, t.Name, string(phase))
		}
		ch <- counter(c.snapshotRows, float64(t.RowsRead), p.name, t.Name)
		if t.ChunksTotal > 0 {
			ch <- gauge(c.snapshotChunks, float64(t.ChunksDone), p.name, t.Name, "done")
			ch <- gauge(c.snapshotChunks, float64(t.ChunksTotal-t.ChunksDone), p.name, t.Name, "pending")
		}
		for _, op := range []change.Operation{change.Insert, change.Update, change.Delete, change.Truncate} {
			ch <- counter(c.changes, float64(t.Changes[op.String()]), p.name, t.Name, op.String())
		}
	}
}

func is(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func gauge(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, valid(labels)...)
}

func counter(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, valid(labels)...)
}

// valid makes label values what Prometheus takes: a database of encoding
// SQL_ASCII may have table names that are not UTF-8.
func valid(labels []string) []string {
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "\uFFFD")
	}
	return labels
}
