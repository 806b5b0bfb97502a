package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redpanda-data/benthos/v4/public/service"
)

// Host is what the pipes of a process share: a metrics registry and an HTTP
// server for each address.
type Host struct {
	registry *prometheus.Registry
	meters   *instruments

	mu    sync.RWMutex
	pipes []*Pipe // sorted by name
}

// NewHost returns a host without pipes. It starts nothing.
func NewHost() *Host {
	r := prometheus.NewRegistry()
	return &Host{registry: r, meters: newInstruments(r)}
}

type hostKey struct{}

// HostOf returns the host of an engine's resources. The engine keeps one set of
// generic values for the whole process, also in `streams` mode, where each
// stream's manager is a copy that shares them: so all streams share one host.
func HostOf(mgr *service.Resources) *Host {
	if h, ok := mgr.GetGeneric(hostKey{}); ok {
		return h.(*Host)
	}
	h, _ := mgr.GetOrSetGeneric(hostKey{}, NewHost())
	return h.(*Host)
}

// Gatherer returns the host's metrics.
func (h *Host) Gatherer() prometheus.Gatherer { return h.registry }

// join takes in a pipe and serves it at address. leave undoes it.
func (h *Host) join(p *Pipe, address, token string) (leave func() error, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, found := slices.BinarySearchFunc(h.pipes, p.name, func(o *Pipe, name string) int { return strings.Compare(o.name, name) })
	if found {
		return nil, fmt.Errorf("opening pipe %q: another input of this process has that name: give each a label of its own", p.name)
	}
	h.pipes = slices.Insert(h.pipes, at, p)
	return func() error { return h.part(p) }, nil
}

func (h *Host) part(p *Pipe) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pipes = slices.DeleteFunc(h.pipes, func(o *Pipe) bool { return o == p })
	return nil
}

// ofStream returns the pipes of a stream.
func (h *Host) ofStream(stream string) []*Pipe {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var of []*Pipe
	for _, p := range h.pipes {
		if p.stream == stream {
			of = append(of, p)
		}
	}
	return of
}
