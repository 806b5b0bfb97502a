// Package scene serves pipes with made-up work, so that the web page can be
// looked at, and clicked through by a browser test, without databases.
package scene

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/penstock/penstock/lifecycle"
	"github.com/penstock/penstock/lifecycle/api"
	"github.com/penstock/penstock/lifecycle/page"
)

// Names lists the scenes: one for each phase, then what else a page may have to
// show.
func Names() []string {
	var names []string
	for _, phase := range lifecycle.Phases() {
		names = append(names, string(phase))
	}
	return append(names, "degraded", "danger", "hostile", "many", "two", "empty")
}

// Stage is one address at which a scene plays until it is closed.
type Stage struct {
	addr  net.Addr
	empty *api.Server // serves the scene without a pipe
	pipes []*pipe
	stop  context.CancelFunc
	work  sync.WaitGroup
}

// Open serves a scene at address, behind a token where there is one.
func Open(ctx context.Context, name, address, token string) (*Stage, error) {
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &Stage{stop: stop}
	if name == "empty" {
		listener, err := api.Listen(address)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.empty, s.addr = serveNone(listener, token), listener.Addr()
		return s, nil
	}
	host := lifecycle.NewHost()
	casts := map[string]string{"shop": name} // by the name of the pipe
	if name == "two" {
		casts["analytics"] = string(lifecycle.Snapshot)
	}
	for called, name := range casts {
		p, err := open(ctx, host, called, name, address, token)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("setting scene %s: %w", name, err), s.Close())
		}
		s.pipes, s.addr = append(s.pipes, p), p.Addr()
		s.work.Go(func() { p.work(working) })
	}
	return s, nil
}

// serveNone serves what is left where the last pipe has gone.
func serveNone(l net.Listener, token string) *api.Server {
	return api.Serve(l, api.Options{
		Pipes:   func() []api.Pipe { return nil },
		Woken:   func() <-chan struct{} { return nil },
		Token:   token,
		Metrics: http.NotFoundHandler(),
		Page:    page.Handler(),
	})
}

// Addr returns where the scene is served.
func (s *Stage) Addr() net.Addr { return s.addr }

// Close ends the scene and frees its port.
func (s *Stage) Close() error {
	s.stop()
	s.work.Wait()
	var err error
	for _, p := range s.pipes {
		err = errors.Join(err, p.Close())
	}
	if s.empty != nil {
		err = errors.Join(err, s.empty.Close())
	}
	return err
}

// memory is a Store that forgets.
type memory struct{ state []byte }

func (m *memory) Load(context.Context) ([]byte, error) { return m.state, nil }

func (m *memory) Save(_ context.Context, state []byte) error {
	m.state = state
	return nil
}
