package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redpanda-data/benthos/v4/public/service"
)

// The fields keep the names they have in Redpanda Connect's exporter, so that a
// configuration can move between the two.
const (
	promFieldUseHistogram = "use_histogram_timing"
	promFieldBuckets      = "histogram_buckets"
	promFieldProcess      = "add_process_metrics"
	promFieldGo           = "add_go_metrics"
)

// timingBuckets are in seconds, from a block that is encoded in memory to an
// insert that waits for a busy server.
var timingBuckets = []float64{.0001, .0005, .001, .005, .01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

func prometheusSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Stable().
		Summary("Serves metrics in the format of Prometheus at `/metrics` of the service's HTTP server.").
		Description("Metrics keep the names the components give them. Timings are in seconds: `input_latency_ns` of Benthos is served as `input_latency_seconds`.").
		Fields(
			service.NewBoolField(promFieldUseHistogram).
				Description("Serve timings as histograms, which can be added up over several instances; otherwise as summaries with the quantiles 0.5, 0.9 and 0.99.").
				Default(true).Advanced(),
			service.NewFloatListField(promFieldBuckets).
				Description("Upper bounds of the histograms' buckets, in seconds and ascending. Empty chooses bounds from 100 µs to a minute.").
				Default([]any{}).Example([]any{0.01, 0.1, 1, 10}).Advanced(),
			service.NewBoolField(promFieldProcess).
				Description("Serve the process's own memory, CPU time and file descriptors.").
				Default(true).Advanced(),
			service.NewBoolField(promFieldGo).
				Description("Serve the Go runtime's heap, garbage collection and goroutines.").
				Default(true).Advanced(),
		)
}

// registerPrometheus adds the exporter to the components of env. Only the
// program does this: the packages it is made of also live in processes that
// have an exporter of that name already.
func registerPrometheus(env *service.Environment) {
	err := env.RegisterMetricsExporter("prometheus", prometheusSpec(),
		func(conf *service.ParsedConfig, log *service.Logger) (service.MetricsExporter, error) {
			return newPrometheus(conf, log)
		})
	if err != nil {
		panic(err) // the spec above is wrong
	}
}

// promExporter gives each metric name one vector with one list of labels, for
// as long as it lives: Prometheus refuses a page where a name comes with
// different labels.
type promExporter struct {
	log          *service.Logger
	registry     *prometheus.Registry
	useHistogram bool
	buckets      []float64

	mu      sync.Mutex
	metrics map[string]promMetric // by name as served
}

type promMetric struct {
	kind   string
	labels []string
	vec    prometheus.Collector
}

func newPrometheus(conf *service.ParsedConfig, log *service.Logger) (*promExporter, error) {
	p := &promExporter{log: log, registry: prometheus.NewRegistry(), metrics: map[string]promMetric{}}
	var err error
	if p.useHistogram, err = conf.FieldBool(promFieldUseHistogram); err != nil {
		return nil, err
	}
	if p.buckets, err = conf.FieldFloatList(promFieldBuckets); err != nil {
		return nil, err
	}
	if len(p.buckets) == 0 {
		p.buckets = timingBuckets
	}
	for i := 1; i < len(p.buckets); i++ {
		if p.buckets[i] <= p.buckets[i-1] {
			return nil, fmt.Errorf("field %s: bounds must ascend, but %g comes before %g", promFieldBuckets, p.buckets[i-1], p.buckets[i])
		}
	}
	process, err := conf.FieldBool(promFieldProcess)
	if err != nil {
		return nil, err
	}
	if process {
		p.registry.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	runtime, err := conf.FieldBool(promFieldGo)
	if err != nil {
		return nil, err
	}
	if runtime {
		p.registry.MustRegister(collectors.NewGoCollector())
	}
	return p, nil
}

// HandlerFunc serves the metrics; Benthos mounts it at /metrics.
func (p *promExporter) HandlerFunc() http.HandlerFunc {
	return promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{}).ServeHTTP
}

// Close has nothing to flush: Prometheus comes and fetches.
func (p *promExporter) Close(context.Context) error { return nil }

// NewCounterCtor implements service.MetricsExporter.
func (p *promExporter) NewCounterCtor(name string, labels ...string) service.MetricsExporterCounterCtor {
	vec, order := register(p, "counter", promName(name), labels, func(name string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: "Benthos counter " + name}, labels)
	})
	return func(values ...string) service.MetricsExporterCounter {
		if vec == nil {
			return promNothing{}
		}
		return promCounter{vec.WithLabelValues(arrange(values, order)...)}
	}
}

// NewTimerCtor implements service.MetricsExporter.
func (p *promExporter) NewTimerCtor(name string, labels ...string) service.MetricsExporterTimerCtor {
	name = promName(name)
	if base, ok := strings.CutSuffix(name, "_ns"); ok {
		name = base + "_seconds"
	}
	vec, order := register(p, "timer", name, labels, func(name string) prometheus.ObserverVec {
		help := "Benthos timer " + name
		if p.useHistogram {
			return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: p.buckets}, labels)
		}
		return prometheus.NewSummaryVec(prometheus.SummaryOpts{
			Name: name, Help: help, Objectives: map[float64]float64{0.5: 0.05, 0.9: 0.01, 0.99: 0.001},
		}, labels)
	})
	return func(values ...string) service.MetricsExporterTimer {
		if vec == nil {
			return promNothing{}
		}
		return promTimer{vec.WithLabelValues(arrange(values, order)...)}
	}
}

// NewGaugeCtor implements service.MetricsExporter.
func (p *promExporter) NewGaugeCtor(name string, labels ...string) service.MetricsExporterGaugeCtor {
	vec, order := register(p, "gauge", promName(name), labels, func(name string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: "Benthos gauge " + name}, labels)
	})
	return func(values ...string) service.MetricsExporterGauge {
		if vec == nil {
			return promNothing{}
		}
		return promGauge{vec.WithLabelValues(arrange(values, order)...)}
	}
}

// register returns the vector of that name, made by create the first time, and
// where each of its labels is in the caller's list. A name that has another
// kind or other labels already yields the zero V: one metric is lost then, and
// said so, where otherwise the whole page would be.
func register[V prometheus.Collector](p *promExporter, kind, name string, labels []string, create func(string) V) (V, []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var none V
	known, ok := p.metrics[name]
	if !ok {
		vec := create(name)
		if err := p.registry.Register(vec); err != nil {
			p.log.Errorf("metric %s is not served: %v", name, err)
			return none, nil
		}
		known = promMetric{kind: kind, labels: slices.Clone(labels), vec: vec}
		p.metrics[name] = known
	}
	order := make([]int, len(known.labels))
	for i, label := range known.labels {
		order[i] = slices.Index(labels, label)
	}
	if known.kind != kind || len(known.labels) != len(labels) || slices.Contains(order, -1) {
		p.log.Errorf("metric %s is not served as %s with labels %v: it is a %s with labels %v already",
			name, kind, labels, known.kind, known.labels)
		return none, nil
	}
	return known.vec.(V), order
}

// arrange puts label values into the order in which the vector was made.
func arrange(values []string, order []int) []string {
	arranged := make([]string, len(order))
	for i, from := range order {
		if from < len(values) {
			arranged[i] = values[from]
		}
	}
	return arranged
}

// promName turns a name of any component into one that Prometheus accepts.
func promName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '_' || r == ':' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "_" + name
	}
	return name
}

type promCounter struct{ c prometheus.Counter }

func (c promCounter) Incr(n int64) { c.IncrFloat64(float64(n)) }

// IncrFloat64 ignores a negative n, on which a Prometheus counter panics.
func (c promCounter) IncrFloat64(n float64) {
	if n >= 0 {
		c.c.Add(n)
	}
}

type promTimer struct{ o prometheus.Observer }

func (t promTimer) Timing(nanoseconds int64) { t.o.Observe(time.Duration(nanoseconds).Seconds()) }

type promGauge struct{ g prometheus.Gauge }

func (g promGauge) Set(v int64)          { g.g.Set(float64(v)) }
func (g promGauge) SetFloat64(v float64) { g.g.Set(v) }

// promNothing stands in for a metric that cannot be served.
type promNothing struct{}

func (promNothing) Incr(int64)          {}
func (promNothing) IncrFloat64(float64) {}
func (promNothing) Timing(int64)        {}
func (promNothing) Set(int64)           {}
func (promNothing) SetFloat64(float64)  {}
