package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// defaultDatabase is the database of a new ClickHouse. The server's own database "default" will not do: in a server from
// the package it is of engine Overlay, which is not what production runs.
const defaultDatabase = "penstock"

// ClickHouseOptions say which ClickHouse is wanted.
type ClickHouseOptions struct {
	// Log receives one sentence for each thing that takes long, such as a download. Nil is silence.
	Log io.Writer
	// Own ignores CLICKHOUSE_DSN: the caller stops and kills the server.
	Own bool
}

// ClickHouse is a running ClickHouse server. Its methods are not safe for concurrent use, except DSN and Database.
type ClickHouse struct {
	dsn     string
	program *clickhouseProgram // nil for a server named by CLICKHOUSE_DSN
	run     *runFolder
	reader  string // password of readerUser
	native  *port
	http    *port
	as      *account
	process *process
}

// StartClickHouse starts a ClickHouse server with one empty database. Unless stopped before, it ends with this process.
func StartClickHouse(ctx context.Context, o ClickHouseOptions) (*ClickHouse, error) {
	if dsn := os.Getenv("CLICKHOUSE_DSN"); dsn != "" && !o.Own {
		c := &ClickHouse{dsn: dsn}
		if err := c.exec(ctx, "SELECT 1"); err != nil {
			return nil, fmt.Errorf("connecting to the server that CLICKHOUSE_DSN names: %w", err)
		}
		return c, nil
	}
	c := new(ClickHouse)
	if err := c.start(ctx, o); err != nil {
		_ = c.Stop()
		return nil, fmt.Errorf("starting ClickHouse: %w", err)
	}
	return c, nil
}

func (c *ClickHouse) start(ctx context.Context, o ClickHouseOptions) (err error) {
	if c.as, err = serverAccount(); err != nil {
		return err
	}
	if c.program, err = findClickHouse(ctx, o.Log); err != nil {
		return err
	}
	if c.run, err = newRunFolder("clickhouse"); err != nil {
		return err
	}
	if c.native, err = reservePort(); err != nil {
		return err
	}
	if c.http, err = reservePort(); err != nil {
		return err
	}
	if err := os.Mkdir(c.run.data(), 0o755); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	if err := c.as.own(c.run.data()); err != nil {
		return fmt.Errorf("giving the data folder to the server's user: %w", err)
	}
	if c.reader, err = writeClickHouseConfig(c.run.dir); err != nil {
		return err
	}
	if err := c.launch(ctx); err != nil {
		return err
	}
	c.dsn, err = c.Database(ctx, defaultDatabase)
	return err
}

func (c *ClickHouse) launch(ctx context.Context) (err error) {
	server := c.program.command(c.run, c.native.number, c.http.number)
	// The watchdog of an installed server would be one more process between us and it.
	if c.process, err = startProcess(server, c.run.data(), c.run.log(), c.as, "CLICKHOUSE_WATCHDOG_ENABLE=0"); err != nil {
		return err
	}
	return c.process.waitReady(ctx, c.run.log(), func(ctx context.Context) error {
		return c.exec(ctx, "SELECT 1")
	})
}

// serverDSN names the server without a database of ours, which may not exist yet.
func (c *ClickHouse) serverDSN() string {
	if c.program == nil {
		return c.dsn
	}
	return fmt.Sprintf("clickhouse://default:@127.0.0.1:%d/", c.native.number)
}

// DSN returns the DSN of the native protocol and of a database of engine Atomic.
func (c *ClickHouse) DSN() string { return c.dsn }

// ReaderDSN returns the DSN of a user with a password who may read everything and write nothing, for tests of refused
// passwords and missing grants. A server from the package restarts, in a tenth of a second, whenever the native protocol
// refuses a client at its greeting (see chdbhost): such a test wants a server of its own. It is "" for a server named by CLICKHOUSE_DSN.
func (c *ClickHouse) ReaderDSN(database string) string {
	if c.program == nil {
		return ""
	}
	return (&url.URL{
		Scheme: "clickhouse",
		User:   url.UserPassword(readerUser, c.reader),
		Host:   fmt.Sprintf("127.0.0.1:%d", c.native.number),
		Path:   "/" + database,
	}).String()
}

// HTTPURL returns the address of the HTTP interface, "" for a server named by CLICKHOUSE_DSN.
func (c *ClickHouse) HTTPURL() string {
	if c.http == nil {
		return ""
	}
	return fmt.Sprintf("http://127.0.0.1:%d", c.http.number)
}

// Database creates the database name, dropping what had that name before, and returns its DSN.
func (c *ClickHouse) Database(ctx context.Context, name string) (string, error) {
	if err := c.DropDatabase(ctx, name); err != nil {
		return "", err
	}
	if err := c.exec(ctx, "CREATE DATABASE "+quoteClickHouse(name)+" ENGINE = Atomic"); err != nil {
		return "", fmt.Errorf("creating database %s: %w", name, err)
	}
	dsn, err := withDatabase(c.serverDSN(), name)
	if err != nil {
		return "", fmt.Errorf("creating database %s: %w", name, err)
	}
	return dsn, nil
}

// DropDatabase drops the database name if it exists, and its data with it.
func (c *ClickHouse) DropDatabase(ctx context.Context, name string) error {
	if err := c.exec(ctx, "DROP DATABASE IF EXISTS "+quoteClickHouse(name)+" SYNC"); err != nil {
		return fmt.Errorf("dropping database %s: %w", name, err)
	}
	return nil
}

// Kill ends the server as a power loss would. Restart brings it back.
func (c *ClickHouse) Kill() error {
	if c.program == nil {
		return fmt.Errorf("killing ClickHouse: %w", ErrNotOurs)
	}
	return c.process.kill()
}

// Restart kills the server, if it runs, and starts it with the same data on the same ports. ClickHouse makes no
// difference between a kill and an orderly end: what it answered for is on disk.
func (c *ClickHouse) Restart(ctx context.Context) error {
	if err := c.Kill(); err != nil {
		return err
	}
	if err := c.launch(ctx); err != nil {
		return fmt.Errorf("restarting ClickHouse: %w", err)
	}
	return nil
}

// Stop ends the server and removes its data. It does nothing to a server named by CLICKHOUSE_DSN.
func (c *ClickHouse) Stop() error {
	if c.process != nil {
		c.process.stop()
	}
	for _, port := range []*port{c.native, c.http} {
		if port != nil {
			port.close()
		}
	}
	if c.run == nil {
		return nil
	}
	run := c.run
	c.run = nil
	return run.remove()
}

func (c *ClickHouse) exec(ctx context.Context, query string) (err error) {
	options, err := clickhouse.ParseDSN(c.serverDSN())
	if err != nil {
		return errors.New("reading the DSN: it must have the form clickhouse://user:password@host:port/database")
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return conn.Exec(ctx, query)
}

// quoteClickHouse quotes an identifier.
func quoteClickHouse(name string) string {
	quoted := make([]byte, 0, len(name)+2)
	quoted = append(quoted, '`')
	for _, b := range []byte(name) {
		if b == '`' || b == '\\' {
			quoted = append(quoted, '\\')
		}
		quoted = append(quoted, b)
	}
	return string(append(quoted, '`'))
}
