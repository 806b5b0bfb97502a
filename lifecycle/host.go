package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/lifecycle/api"
	"github.com/penstock/penstock/lifecycle/page"
)

// Host is what the pipes of a process share: a metrics registry and an HTTP
// server for each address.
type Host struct {
	registry *prometheus.Registry
	meters   *instruments

	joining sync.Mutex // one pipe joins or parts at a time

	mu      sync.RWMutex
	pipes   []*Pipe            // sorted by name
	sites   map[string]*site   // by the address as configured
	woken   chan struct{}      // closed when a page should look again
	sampled context.CancelFunc // ends sampling; nil where there is no pipe
}

// site is one address and the pipes that are served there.
type site struct {
	server *api.Server
	token  string
	pipes  []*Pipe // sorted by name, guarded by Host.mu
}

// NewHost returns a host without pipes. It starts nothing.
func NewHost() *Host {
	h := &Host{registry: prometheus.NewRegistry(), sites: map[string]*site{}, woken: make(chan struct{})}
	h.meters = newInstruments(h.registry)
	h.registry.MustRegister(newPipeCollector(h))
	return h
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

// join takes in a pipe and serves it at address, where there is one.
func (h *Host) join(p *Pipe, address, token string) error {
	h.joining.Lock()
	defer h.joining.Unlock()
	if slices.ContainsFunc(h.all(), func(o *Pipe) bool { return o.name == p.name }) {
		return fmt.Errorf("opening pipe %q: another input of this process has that name: give each a label of its own", p.name)
	}
	at, err := h.site(p, address, token)
	if err != nil {
		return fmt.Errorf("opening pipe %q: %w", p.name, err)
	}
	h.mu.Lock()
	h.pipes = inserted(h.pipes, p)
	if at != nil {
		h.sites[address] = at
		at.pipes = inserted(at.pipes, p)
	}
	if h.sampled == nil {
		ctx, cancel := context.WithCancel(context.Background())
		h.sampled = cancel
		go h.sampleAll(ctx)
	}
	h.mu.Unlock()
	h.wake()
	return nil
}

// site returns the site for an address, bound and serving; nil for "".
func (h *Host) site(p *Pipe, address, token string) (*site, error) {
	if address == "" {
		return nil, nil
	}
	h.mu.RLock()
	at := h.sites[address]
	h.mu.RUnlock()
	if at != nil {
		if at.token != token {
			return nil, fmt.Errorf("serving at lifecycle.address %q: another pipe is served there with another lifecycle.api_token", address)
		}
		return at, nil
	}
	listener, err := api.Listen(address)
	if err != nil {
		return nil, err
	}
	at = &site{token: token}
	at.server = api.Serve(listener, api.Options{
		Pipes:   func() []api.Pipe { return h.servedAt(at) },
		Woken:   h.wakeup,
		Token:   token,
		Metrics: promhttp.HandlerFor(h.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}),
		Page:    page.Handler(),
	})
	if !at.server.Loopback() && token == "" {
		p.log.With("address", at.server.Addr().String()).Warn("Other machines can reach lifecycle.address and lifecycle.api_token is empty: anyone there can command the pipe")
	}
	return at, nil
}

// part undoes join; a pipe that is not there is no error.
func (h *Host) part(p *Pipe) error {
	h.joining.Lock()
	defer h.joining.Unlock()
	isPipe := func(o *Pipe) bool { return o == p }
	h.mu.Lock()
	h.pipes = slices.DeleteFunc(slices.Clone(h.pipes), isPipe)
	var empty []*api.Server
	for address, at := range h.sites {
		at.pipes = slices.DeleteFunc(slices.Clone(at.pipes), isPipe)
		if len(at.pipes) == 0 {
			delete(h.sites, address)
			empty = append(empty, at.server)
		}
	}
	if len(h.pipes) == 0 && h.sampled != nil {
		h.sampled()
		h.sampled = nil
	}
	h.mu.Unlock()
	h.wake()
	var err error
	for _, server := range empty {
		err = errors.Join(err, server.Close())
	}
	return err
}

func inserted(pipes []*Pipe, p *Pipe) []*Pipe {
	at, _ := slices.BinarySearchFunc(pipes, p.name, func(o *Pipe, name string) int { return strings.Compare(o.name, name) })
	return slices.Insert(slices.Clone(pipes), at, p)
}

// all returns the pipes, sorted by name. The slice is never changed in place.
func (h *Host) all() []*Pipe {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.pipes
}

func (h *Host) servedAt(at *site) []api.Pipe {
	h.mu.RLock()
	defer h.mu.RUnlock()
	pipes := make([]api.Pipe, len(at.pipes))
	for i, p := range at.pipes {
		pipes[i] = served{p}
	}
	return pipes
}

// ofStream returns the pipes of a stream.
func (h *Host) ofStream(stream string) []*Pipe {
	var of []*Pipe
	for _, p := range h.all() {
		if p.stream == stream {
			of = append(of, p)
		}
	}
	return of
}

// addressOf returns where a pipe is served, nil where it is not.
func (h *Host) addressOf(p *Pipe) net.Addr {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, at := range h.sites {
		if slices.Contains(at.pipes, p) {
			return at.server.Addr()
		}
	}
	return nil
}

func (h *Host) wakeup() <-chan struct{} {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.woken
}

// wake has pages look again at once.
func (h *Host) wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.woken)
	h.woken = make(chan struct{})
}
