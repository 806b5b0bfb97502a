package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Options of a [Server].
type Options struct {
	// Pipes returns the pipes to serve, sorted by name. Called for each request.
	Pipes func() []Pipe
	// Woken returns a channel that is closed when a pipe has something new to
	// show that should not wait for the next tick.
	Woken func() <-chan struct{}
	// Token that callers must present, "" for none.
	Token string
	// Metrics answers /metrics, Page answers /.
	Metrics, Page http.Handler
}

// Pipe is what the API needs of a pipe. Commands return once the wish is
// durable; their errors may be a [*Problem], every other one means that the
// wish could not be recorded.
type Pipe interface {
	Name() string
	Status() Status
	Tables() []Table
	History() History
	// Pause, Resume and Resync say whether something is going on now that was
	// asked for (202) or all is as wanted (200).
	Pause(ctx context.Context) (going bool, err error)
	Resume(ctx context.Context) (going bool, err error)
	Resync(ctx context.Context, tables []string) (going bool, err error)
}

// Server serves pipes at one address.
type Server struct {
	listener net.Listener
	server   *http.Server
	stop     context.CancelFunc // ends event streams
	served   chan struct{}
}

// A request's head and body come at once or not at all; an answer is written
// in one go. Event streams move their own deadline.
const (
	readTimeout  = 10 * time.Second
	writeTimeout = 30 * time.Second
	idleTimeout  = 2 * time.Minute
)

// Listen binds address. It serves nothing yet, so that a taken port is an error
// at start and not a line in the log.
func Listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("binding lifecycle.address %q: another process has that port: choose a free one, or \"\" to serve no API: %w", address, err)
	}
	if err != nil {
		return nil, fmt.Errorf("binding lifecycle.address %q: %w", address, err)
	}
	return l, nil
}

// Serve answers requests at l until Close.
func Serve(l net.Listener, o Options) *Server {
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		listener: l,
		stop:     stop,
		served:   make(chan struct{}),
		server: &http.Server{
			Handler:           handler(o, loopback(l.Addr())),
			ReadHeaderTimeout: readTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    64 << 10,
			BaseContext:       func(net.Listener) context.Context { return ctx },
		},
	}
	go func() {
		defer close(s.served)
		_ = s.server.Serve(l) // ends by Close only
	}()
	return s
}

// Addr returns the address that is served.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Loopback says that only this machine reaches the address.
func (s *Server) Loopback() bool { return loopback(s.Addr()) }

func loopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// closeTimeout is what an answer under way has left when the server closes.
const closeTimeout = 500 * time.Millisecond

// Close ends event streams, lets answers under way end, and frees the port.
func (s *Server) Close() error {
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.server.Close()
	}
	<-s.served
	return err
}
