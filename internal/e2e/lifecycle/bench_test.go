package lifecycle_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/penstock/penstock/lifecycle"
	"github.com/penstock/penstock/lifecycle/api"
)

// BenchmarkProvisioning measures the way of a new pipe of ten empty tables from
// the start of the process to phase running.
func BenchmarkProvisioning(b *testing.B) {
	b.ReportAllocs()
	binary(b)
	for b.Loop() {
		b.StopTimer()
		e := newEnds(b)
		for n := range 10 {
			e.source(b, fmt.Sprintf("CREATE TABLE t%d (id bigint PRIMARY KEY, a int, b text, c timestamptz)", n))
		}
		p := e.pipe(b, options{})
		b.StartTimer()
		p.start()
		p.running()
		b.StopTimer()
		p.stop()
		b.StartTimer()
	}
}

// BenchmarkAPIDuringSnapshot measures one request for the detail of a pipe that
// loads as fast as it can.
func BenchmarkAPIDuringSnapshot(b *testing.B) {
	b.ReportAllocs()
	e := newEnds(b)
	e.source(b, `CREATE TABLE events AS SELECT id::bigint, md5(id::text) AS note FROM generate_series(1, 3000000) id`, `ALTER TABLE events ADD PRIMARY KEY (id)`)
	p := e.pipe(b, options{}).start()
	p.in(lifecycle.Snapshot)
	var times []time.Duration
	for b.Loop() {
		began := time.Now()
		d, err := p.detail()
		times = append(times, time.Since(began))
		if err != nil {
			b.Fatal(err)
		}
		if d.Phase != string(lifecycle.Snapshot) && d.Phase != string(lifecycle.Resync) {
			b.StopTimer()
			p.until("it can load again", func(d api.PipeDetail) bool { return d.Phase == string(lifecycle.Running) })
			p.command("/resync", http.StatusAccepted)
			p.in(lifecycle.Resync)
			b.StartTimer()
		}
	}
	slices.Sort(times)
	b.ReportMetric(times[len(times)*99/100].Seconds()*1000, "ms-p99")
	b.ReportMetric(times[len(times)-1].Seconds()*1000, "ms-slowest")
	p.stop()
}
