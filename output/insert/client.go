// Package insert talks to ClickHouse: it keeps connections, inserts blocks, runs statements, and repeats what failed for
// a reason that passes. Blocks go through ch-go, one native block per INSERT; everything else through clickhouse-go.
//
// An INSERT that failed on its way has an unknown outcome. The same block is sent again with the same deduplication
// token, and where the server does not deduplicate, the versions of the rows make the repetition harmless.
package insert

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// clientName shows in system.query_log and system.processes.
const clientName = "penstock"

// Options of a Client.
type Options struct {
	DSN *DSN
	// Connections is the most inserts that run at once.
	Connections int
	// Timeout of one attempt; what takes longer is given up and repeated. Zero is none.
	Timeout time.Duration
	// Settings are sent with each INSERT, over those that Penstock sends itself.
	Settings map[string]string
	// Failing is called at the first failure of a series of attempts, Settled at the end of such a series: err is nil where
	// the last attempt succeeded. Both may be called from several goroutines at once, and may be nil.
	Failing func(*Error)
	Settled func(s Series)
}

// Series is a series of attempts of which the first failed.
type Series struct {
	Table    string
	Attempts int
	Took     time.Duration
	Err      error
}

// Client runs inserts and statements. It is safe for concurrent use.
type Client struct {
	dsn      *DSN
	timeout  time.Duration
	settings []ch.Setting
	failing  func(*Error)
	settled  func(Series)
	pool     *pool
	queries  driver.Conn
	closed   atomic.Bool
}

// NewClient returns a client that has not connected yet.
func NewClient(o Options) (*Client, error) {
	c := &Client{
		dsn: o.DSN, timeout: o.Timeout, failing: o.Failing, settled: o.Settled,
		settings: insertSettings(o.Settings),
		pool:     newPool(o.DSN, max(o.Connections, 1)),
	}
	if c.failing == nil {
		c.failing = func(*Error) {}
	}
	if c.settled == nil {
		c.settled = func(Series) {}
	}
	var err error
	if c.queries, err = c.open(o.DSN.Database); err != nil {
		return nil, err
	}
	return c, nil
}

// open returns a connection for queries, which is made when it is first used.
func (c *Client) open(database string) (driver.Conn, error) {
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr:         c.dsn.Hosts,
		DialContext:  c.pool.open,
		DialStrategy: c.pool.strategy,
		Auth:         clickhouse.Auth{Database: database, Username: c.dsn.User, Password: string(c.dsn.Password)},
		// Theirs is for all hosts together, ours for each.
		DialTimeout: c.dsn.DialTimeout * time.Duration(len(c.dsn.Hosts)),
		ReadTimeout: c.timeout,
		// Statements are rare: a few at start, then one per schema change.
		MaxOpenConns:    4,
		MaxIdleConns:    1,
		ConnMaxLifetime: maxIdle,
		ClientInfo:      clickhouse.ClientInfo{Products: []struct{ Name, Version string }{{Name: clientName}}},
	})
	if err != nil {
		return nil, c.classify("", fmt.Errorf("preparing the connection to %s: %w", c.dsn, err))
	}
	return conn, nil
}

// insertSettings returns what is sent with each INSERT. Settings that a server does not know are ignored, except where
// data would be at risk.
func insertSettings(custom map[string]string) []ch.Setting {
	settings := []ch.Setting{
		// An acknowledged INSERT is on disk, not in a buffer.
		{Key: "async_insert", Value: "0", Important: true},
		// One block in is one part out: it is neither collected with others nor cut.
		{Key: "min_insert_block_size_rows", Value: "0"},
		{Key: "min_insert_block_size_bytes", Value: "0"},
		{Key: "max_insert_block_size", Value: strconv.Itoa(1 << 30)},
		// The default, 100, fails a first load into a table with many partitions, each time anew.
		{Key: "max_partitions_per_insert_block", Value: "0"},
	}
	for key, value := range custom {
		settings = append(settings, ch.Setting{Key: key, Value: value, Important: true})
	}
	return settings
}

// Close closes the connections. Inserts that run are not waited for. It may be called again.
func (c *Client) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.pool.close()
	return c.queries.Close()
}

// Server is what a server says about itself.
type Server struct {
	Version  string
	Timezone string
	// Major and Minor are of Version: 23 and 3 of 23.3.1.2823.
	Major, Minor uint64
}

// AtLeast says whether the server is of this release or a later one.
func (s Server) AtLeast(major, minor uint64) bool {
	return s.Major > major || s.Major == major && s.Minor >= minor
}

// UTC says whether the server's time zone is UTC, under one of its names.
func (s Server) UTC() bool {
	switch s.Timezone {
	case "UTC", "Etc/UTC", "UCT", "Etc/UCT", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal", "GMT", "Etc/GMT":
		return true
	}
	return false
}

// ErrNoDatabase says that the database is not there, or that the user has no grant on it and so does not see it.
var ErrNoDatabase = errors.New("the database doesn't exist")

// Ping connects once, without retrying, and asks the server who it is and whether it has the database ([ErrNoDatabase]).
func (c *Client) Ping(ctx context.Context) (s Server, err error) {
	if c.closed.Load() {
		return s, errClosed
	}
	// Not the database of the DSN: a session that begins in one that is missing ends before it can be asked anything.
	conn, err := c.open("")
	if err != nil {
		return s, err
	}
	defer func() { _ = conn.Close() }()
	var databases uint64
	row := conn.QueryRow(ctx, "SELECT version(), timezone(), (SELECT count() FROM system.databases WHERE name = ?)", c.dsn.Database)
	if err := row.Scan(&s.Version, &s.Timezone, &databases); err != nil {
		return s, c.classify("", fmt.Errorf("connecting to %s: %w", c.dsn, err))
	}
	if n, err := fmt.Sscanf(s.Version, "%d.%d", &s.Major, &s.Minor); n < 2 {
		return s, fmt.Errorf("reading the server's version %q: %w", s.Version, err)
	}
	if databases == 0 {
		return s, &Error{Class: ClassMissing, Hint: policies[ClassMissing].Hint, err: fmt.Errorf("connecting to %s: %w", c.dsn, ErrNoDatabase)}
	}
	return s, nil
}

// Table returns the client as seen by the work on one destination table, which errors then name.
func (c *Client) Table(name string) *Table { return &Table{client: c, name: name} }

// Table runs inserts and statements for one destination table.
type Table struct {
	client *Client
	name   string
}

// Exec runs a statement until it succeeds, fails for good, or ctx ends. The statement must bear repetition.
func (t *Table) Exec(ctx context.Context, statement string, args ...any) error {
	return t.Retry(ctx, func(ctx context.Context, once Queries) error { return once.Exec(ctx, statement, args...) })
}

// Select runs a query as Exec does, and appends its rows to dest, a pointer to a slice of structs with `ch` tags.
func (t *Table) Select(ctx context.Context, dest any, query string, args ...any) error {
	return t.Retry(ctx, func(ctx context.Context, once Queries) error { return once.Select(ctx, dest, query, args...) })
}

// Queries run once, whatever becomes of them.
type Queries interface {
	Exec(ctx context.Context, statement string, args ...any) error
	Select(ctx context.Context, dest any, query string, args ...any) error
}

// Retry repeats attempt until it succeeds, fails for good, or ctx ends: for what does not bear repetition unless it is
// looked first whether it has been done.
func (t *Table) Retry(ctx context.Context, attempt func(ctx context.Context, once Queries) error) error {
	return t.client.retry(ctx, t.name, func(ctx context.Context) error { return attempt(ctx, t.client.queries) })
}

// Block is one INSERT.
type Block struct {
	// Statement is the INSERT without its end: "INSERT INTO db.table (columns)".
	Statement string
	Columns   proto.Input
	// Token is the same for the same rows, see [Token].
	Token string
	// Distinct says that no two rows of the block have the same key, so that the server need not look for such: it then
	// takes a fifth more rows.
	Distinct bool
}

// Insert sends a block as one native block until it is stored, fails for good, or ctx ends.
func (t *Table) Insert(ctx context.Context, b Block) error {
	settings := make([]ch.Setting, 0, len(t.client.settings)+2)
	if b.Distinct {
		settings = append(settings, ch.Setting{Key: "optimize_on_insert", Value: "0"})
	}
	settings = append(settings, t.client.settings...)
	query := ch.Query{
		Body:     b.Statement + " FORMAT Native",
		Input:    b.Columns,
		Settings: append(settings, ch.Setting{Key: "insert_deduplication_token", Value: b.Token, Important: true}),
	}
	return t.client.retry(ctx, t.name, func(ctx context.Context) error {
		return t.client.insertOnce(ctx, query)
	})
}

func (c *Client) insertOnce(ctx context.Context, query ch.Query) error {
	for {
		conn, err := c.pool.get(ctx)
		if err != nil {
			return err
		}
		// The reader of a packet does not see ctx end: closing the connection wakes it.
		stop := context.AfterFunc(ctx, func() { _ = conn.network.Close() })
		err = conn.Do(ctx, query)
		if stop() && err == nil {
			c.pool.put(conn)
			return nil
		}
		c.pool.discard(conn)
		if err == nil {
			return nil
		}
		class, _ := classOf(err)
		if class == ClassNetwork {
			c.pool.avoid(conn.host)
		}
		if class == ClassNetwork && conn.used && ctx.Err() == nil {
			continue // it had died while it waited in the pool, which says nothing about the server
		}
		return fmt.Errorf("inserting at %s: %w", c.dsn.Hosts[conn.host], err)
	}
}
