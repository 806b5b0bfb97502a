package insert

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// maxIdle is how long an unused connection is trusted: well below the minute or so after which load balancers and
// firewalls forget one without a word.
const maxIdle = 30 * time.Second

// connection is one native connection. It serves one insert at a time.
type connection struct {
	*ch.Client
	network net.Conn
	host    int       // index into the DSN's hosts
	idle    time.Time // since when it waits in the pool
	used    bool      // it has served before, so it may have died while it waited
}

// pool hands out connections to the host that works. It is not chpool, because that knows one address only.
type pool struct {
	dsn   *DSN
	slots chan struct{} // one for each connection in use

	mu     sync.Mutex
	idle   []*connection
	host   int // index of the host that is dialled first
	closed bool
}

var errClosed = errors.New("the connection to ClickHouse is closed")

func newPool(dsn *DSN, connections int) *pool {
	return &pool{dsn: dsn, slots: make(chan struct{}, connections)}
}

// get returns a connection, which goes back through put or discard.
func (p *pool) get(ctx context.Context) (*connection, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	c, err := p.reuse()
	if c == nil && err == nil {
		c, err = p.dial(ctx)
	}
	if err != nil {
		<-p.slots
		return nil, err
	}
	return c, nil
}

func (p *pool) reuse() (*connection, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	// The newest first: the others grow old and are closed.
	for len(p.idle) > 0 {
		c := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if time.Since(c.idle) < maxIdle && !c.IsClosed() {
			return c, nil
		}
		_ = c.Close()
	}
	return nil, nil
}

// dial connects to the first host that answers, beginning with the one that worked last.
func (p *pool) dial(ctx context.Context) (*connection, error) {
	p.mu.Lock()
	first := p.host
	p.mu.Unlock()
	var failures []error
	for i := range p.dsn.Hosts {
		host := (first + i) % len(p.dsn.Hosts)
		c, err := p.dialHost(ctx, host)
		if err == nil {
			p.mu.Lock()
			p.host = host
			p.mu.Unlock()
			return c, nil
		}
		failures = append(failures, fmt.Errorf("connecting to %s: %w", p.dsn.Hosts[host], err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(failures...)
}

func (p *pool) dialHost(ctx context.Context, host int) (*connection, error) {
	network, err := p.open(ctx, p.dsn.Hosts[host])
	if err != nil {
		return nil, err
	}
	// The handshake has a timeout of its own, below.
	client, err := ch.Connect(ctx, network, ch.Options{
		Database:         p.dsn.Database,
		User:             p.dsn.User,
		Password:         string(p.dsn.Password),
		ClientName:       clientName,
		Compression:      p.dsn.Compression.native(),
		HandshakeTimeout: p.dsn.DialTimeout,
	})
	if err != nil {
		_ = network.Close()
		return nil, err
	}
	return &connection{Client: client, network: network, host: host}, nil
}

// strategy is dial for clickhouse-go.
func (p *pool) strategy(ctx context.Context, _ int, o *clickhouse.Options, dial clickhouse.Dial) (clickhouse.DialResult, error) {
	p.mu.Lock()
	first := p.host
	p.mu.Unlock()
	var failures []error
	for i := range p.dsn.Hosts {
		address := p.dsn.Hosts[(first+i)%len(p.dsn.Hosts)]
		result, err := dial(ctx, address, o)
		if err == nil {
			return result, nil
		}
		failures = append(failures, fmt.Errorf("connecting to %s: %w", address, err))
	}
	return clickhouse.DialResult{}, errors.Join(failures...)
}

// open connects and, where wanted, encrypts.
func (p *pool) open(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.dsn.DialTimeout)
	defer cancel()
	if p.dsn.TLS == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	return (&tls.Dialer{Config: p.dsn.TLS}).DialContext(ctx, "tcp", address)
}

// put returns a connection whose last insert succeeded.
func (p *pool) put(c *connection) {
	c.idle, c.used = time.Now(), true
	p.mu.Lock()
	if p.closed || c.IsClosed() {
		p.mu.Unlock()
		_ = c.Close()
	} else {
		p.idle = append(p.idle, c)
		p.mu.Unlock()
	}
	<-p.slots
}

// discard closes a connection whose last insert failed: what is still on its way through it is unknown.
func (p *pool) discard(c *connection) {
	_ = c.Close()
	<-p.slots
}

// avoid has the next connection made to the host behind this one, and forgets the idle ones to it.
func (p *pool) avoid(host int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.host == host {
		p.host = (host + 1) % len(p.dsn.Hosts)
	}
	kept := p.idle[:0]
	for _, c := range p.idle {
		if c.host == host {
			_ = c.Close()
		} else {
			kept = append(kept, c)
		}
	}
	p.idle = kept
}

// close closes what is idle now, and what is in use when it comes back.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		_ = c.Close()
	}
	p.idle = nil
}

func (c Compression) native() ch.Compression {
	switch c {
	case CompressionZSTD:
		return ch.CompressionZSTD
	case CompressionNone:
		return ch.CompressionDisabled
	default:
		return ch.CompressionLZ4
	}
}
