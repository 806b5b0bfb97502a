package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
)

func exporter(t *testing.T, yaml string) *promExporter {
	t.Helper()
	conf, err := prometheusSpec().ParseYAML(yaml, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPrometheus(conf, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func page(t *testing.T, handler http.Handler) string {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func wantLines(t *testing.T, page string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+page, "\n"+line+"\n") {
			t.Errorf("the page has no line %q", line)
		}
	}
	if t.Failed() {
		t.Log(page)
	}
}

func TestExporterServesEveryKindOfMetric(t *testing.T) {
	p := exporter(t, "{add_process_metrics: false, add_go_metrics: false, histogram_buckets: [0.5, 1]}")
	p.NewCounterCtor("rows", "table")("a").Incr(2)
	p.NewCounterCtor("rows", "table")("a").(interface{ IncrFloat64(float64) }).IncrFloat64(0.5)
	p.NewCounterCtor("rows", "table")("b").Incr(-1)
	p.NewGaugeCtor("depth")().Set(7)
	p.NewGaugeCtor("share")().(interface{ SetFloat64(float64) }).SetFloat64(0.25)
	p.NewTimerCtor("latency_ns")().Timing(750_000_000)
	p.NewCounterCtor("9 odd.name")().Incr(1)

	wantLines(t, page(t, p.HandlerFunc()),
		`rows{table="a"} 2.5`,
		`rows{table="b"} 0`,
		`depth 7`,
		`share 0.25`,
		`latency_seconds_bucket{le="0.5"} 0`,
		`latency_seconds_bucket{le="1"} 1`,
		`latency_seconds_sum 0.75`,
		`_9_odd_name 1`,
	)
}

func TestExporterServesSummaries(t *testing.T) {
	p := exporter(t, "use_histogram_timing: false")
	p.NewTimerCtor("latency_ns")().Timing(2_000_000_000)
	got := page(t, p.HandlerFunc())
	wantLines(t, got, `latency_seconds{quantile="0.5"} 2`)
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes"} {
		if !strings.Contains(got, "\n"+name+" ") {
			t.Errorf("the page has no %s", name)
		}
	}
}

func TestExporterKeepsOneListOfLabelsPerName(t *testing.T) {
	p := exporter(t, "{add_process_metrics: false, add_go_metrics: false}")
	p.NewCounterCtor("rows", "table", "path")("t", "p").Incr(1)
	p.NewCounterCtor("rows", "path", "table")("p", "t").Incr(1) // another order, the same series
	p.NewCounterCtor("rows", "table")("t").Incr(100)            // lost, but the page lives
	p.NewGaugeCtor("rows", "table", "path")("t", "p").Set(100)
	p.NewTimerCtor("rows", "table", "path")("t", "p").Timing(100)
	wantLines(t, page(t, p.HandlerFunc()), `rows{path="p",table="t"} 2`)
}

func TestExporterRefusesBoundsThatDoNotAscend(t *testing.T) {
	conf, err := prometheusSpec().ParseYAML("histogram_buckets: [1, 1]", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = newPrometheus(conf, nil); err == nil || !strings.Contains(err.Error(), "histogram_buckets") {
		t.Errorf("got %v, want an error that names the field", err)
	}
}

// The engine adds its own labels and calls the exporter from many goroutines.
func TestExporterInAStream(t *testing.T) {
	env := service.NewEnvironment()
	registerPrometheus(env)
	builder := env.NewStreamBuilder()
	mux := http.NewServeMux()
	builder.SetHTTPMux(mux)
	builder.SetPrintLogger(quiet{})
	if err := builder.SetYAML(`
input:
  generate: {count: 10, interval: "", mapping: 'root.id = counter()'}
pipeline:
  threads: 4
  processors:
    - metric: {type: counter, name: mine, labels: {kind: a}}
output: {drop: {}}
metrics: {prometheus: {}}
`); err != nil {
		t.Fatal(err)
	}
	stream, err := builder.Build()
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	wantLines(t, page(t, mux),
		`mine{kind="a",label="",path="root.pipeline.processors.0"} 10`,
		`output_sent{label="",path="root.output"} 10`,
		`output_latency_seconds_count{label="",path="root.output"} 10`,
	)
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}
