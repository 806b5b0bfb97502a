package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// DefaultPostgres is the major version that is started where none is asked for.
const DefaultPostgres = 17

// maxSocketPath is what the kernel allows a Unix socket's address, less the name that Postgres gives the socket.
const maxSocketPath = 107 - len("/.s.PGSQL.65535.lock")

// PostgresOptions say which Postgres is wanted.
type PostgresOptions struct {
	// Version is the major version, 14 to 18; 0 means DefaultPostgres, or whatever POSTGRES_DSN names.
	Version int
	// Settings are lines of postgresql.conf that win over the ones below. Durability is as Postgres ships it.
	Settings map[string]string
	// Log receives one sentence for each thing that takes long, such as a download. Nil is silence.
	Log io.Writer
	// Own ignores POSTGRES_DSN: the caller depends on Settings, or stops and kills the server.
	Own bool
}

// postgresSettings suit logical replication by many pipes at once; they leave durability alone.
var postgresSettings = map[string]string{
	"listen_addresses":      "127.0.0.1",
	"wal_level":             "logical",
	"max_replication_slots": "50",
	"max_wal_senders":       "50",
	"max_connections":       "200",
	"shared_buffers":        "512MB",
	"max_wal_size":          "4GB", // with the default of 1GB, loading sample data is mostly checkpoints
	"logging_collector":     "off",
	"timezone":              "UTC", // tests must not depend on where they run
	"log_timezone":          "UTC",
}

// Postgres is a running PostgreSQL server. Its methods are not safe for concurrent use, except DSN and Database.
type Postgres struct {
	dsn     string
	program *postgresProgram // nil for a server named by POSTGRES_DSN
	major   int
	run     *runFolder
	port    *port
	as      *account
	process *process
}

// StartPostgres starts a PostgreSQL server with an empty database cluster. Unless stopped before, it ends with this process.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	if dsn := os.Getenv("POSTGRES_DSN"); dsn != "" && !o.Own {
		return givenPostgres(ctx, dsn, o.Version)
	}
	p := &Postgres{major: o.Version}
	if p.major == 0 {
		p.major = DefaultPostgres
	}
	if err := p.start(ctx, o); err != nil {
		_ = p.Stop()
		return nil, fmt.Errorf("starting PostgreSQL %d: %w", p.major, err)
	}
	return p, nil
}

// givenPostgres takes the server that POSTGRES_DSN names.
func givenPostgres(ctx context.Context, dsn string, major int) (*Postgres, error) {
	p := &Postgres{dsn: dsn, major: major}
	var version string
	err := p.withConn(ctx, func(conn *pgx.Conn) error {
		version = conn.PgConn().ParameterStatus("server_version")
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to the server that POSTGRES_DSN names: %w", err)
	}
	if major != 0 && !strings.HasPrefix(version, strconv.Itoa(major)) {
		return nil, fmt.Errorf("using the server that POSTGRES_DSN names: it is PostgreSQL %s, wanted is %d", version, major)
	}
	return p, nil
}

func (p *Postgres) start(ctx context.Context, o PostgresOptions) (err error) {
	if p.as, err = serverAccount(); err != nil {
		return err
	}
	if p.program, err = findPostgres(ctx, p.major, o.Log); err != nil {
		return err
	}
	template, err := p.program.template(ctx, p.major, p.as, o.Log)
	if err != nil {
		return err
	}
	password, err := template.password()
	if err != nil {
		return err
	}
	if p.run, err = newRunFolder(fmt.Sprintf("postgres-%d", p.major)); err != nil {
		return err
	}
	if p.port, err = reservePort(); err != nil {
		return err
	}
	if err := os.CopyFS(p.run.data(), os.DirFS(template.data())); err != nil {
		return fmt.Errorf("copying the data folder: %w", err)
	}
	// CopyFS is generous with permissions; Postgres insists on being alone in its folder, and that covers what is below.
	if err := os.Chmod(p.run.data(), 0o700); err != nil {
		return fmt.Errorf("closing the data folder to others: %w", err)
	}
	if err := p.configure(o.Settings); err != nil {
		return err
	}
	if err := p.as.own(p.run.data()); err != nil {
		return fmt.Errorf("giving the data folder to the server's user: %w", err)
	}
	p.dsn = (&url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword("postgres", password),
		Host:     fmt.Sprintf("127.0.0.1:%d", p.port.number),
		Path:     "/postgres",
		RawQuery: "sslmode=disable",
	}).String()
	return p.launch(ctx)
}

// configure appends our settings and then the caller's: of two lines for one setting, Postgres takes the last.
func (p *Postgres) configure(callers map[string]string) error {
	conf, err := os.OpenFile(filepath.Join(p.run.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("opening postgresql.conf: %w", err)
	}
	defer conf.Close()
	ours := maps.Clone(postgresSettings)
	ours["port"] = strconv.Itoa(p.port.number)
	ours["unix_socket_directories"] = p.SocketDir()
	for _, settings := range []map[string]string{ours, callers} {
		for _, name := range slices.Sorted(maps.Keys(settings)) {
			if _, err := fmt.Fprintf(conf, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''")); err != nil {
				return fmt.Errorf("writing postgresql.conf: %w", err)
			}
		}
	}
	return nil
}

func (p *Postgres) launch(ctx context.Context) (err error) {
	server := watch("QUIT", p.run.data(), filepath.Join(p.program.bin, "postgres"), "-D", p.run.data())
	if p.process, err = startProcess(server, p.run.data(), p.run.log(), p.as); err != nil {
		return err
	}
	return p.process.waitReady(ctx, p.run.log(), func(ctx context.Context) error {
		return p.withConn(ctx, func(conn *pgx.Conn) error { return conn.Ping(ctx) })
	})
}

// DSN returns the superuser's DSN of the default database.
func (p *Postgres) DSN() string { return p.dsn }

// BinDir returns the folder of the server's programs, "" for a server named by POSTGRES_DSN. A server from a package has
// only postgres, initdb and pg_ctl there.
func (p *Postgres) BinDir() string {
	if p.program == nil {
		return ""
	}
	return p.program.bin
}

// SocketDir returns the folder of the server's Unix socket, "" where it has none.
func (p *Postgres) SocketDir() string {
	if p.run == nil || len(p.run.data()) > maxSocketPath {
		return ""
	}
	return p.run.data()
}

// Kill ends the server as a power loss would: nothing is told to clients and nothing is written. Restart brings it back.
func (p *Postgres) Kill() error {
	if p.program == nil {
		return fmt.Errorf("killing PostgreSQL: %w", ErrNotOurs)
	}
	return p.process.kill()
}

// Restart stops the server in good order, unless it was killed, and starts it with the same data on the same port.
func (p *Postgres) Restart(ctx context.Context) error {
	if p.program == nil {
		return fmt.Errorf("restarting PostgreSQL: %w", ErrNotOurs)
	}
	if err := p.shutDown(ctx); err != nil {
		return fmt.Errorf("stopping PostgreSQL %d: %w", p.major, err)
	}
	if err := p.launch(ctx); err != nil {
		return fmt.Errorf("restarting PostgreSQL %d: %w", p.major, err)
	}
	return nil
}

// shutDown is Postgres's fast shutdown, with an end: a walsender whose client does not answer holds it up forever.
func (p *Postgres) shutDown(ctx context.Context) error {
	select {
	case <-p.process.ended:
		return nil
	default:
	}
	pid, err := postmasterPID(p.run.data())
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil {
		return fmt.Errorf("signalling process %d: %w", pid, err)
	}
	select {
	case <-p.process.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(stopTimeout):
		return p.process.kill()
	}
}

// Stop ends the server and removes its data. It does nothing to a server named by POSTGRES_DSN.
func (p *Postgres) Stop() error {
	if p.process != nil {
		p.process.stop()
	}
	if p.port != nil {
		p.port.close()
	}
	if p.run == nil {
		return nil
	}
	run := p.run
	p.run = nil
	return run.remove()
}

func (p *Postgres) withConn(ctx context.Context, do func(*pgx.Conn) error) (err error) {
	conn, err := pgx.Connect(ctx, p.dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	return do(conn)
}

// postmasterPID reads the server's process number from the first line of postmaster.pid.
func postmasterPID(data string) (int, error) {
	content, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return 0, fmt.Errorf("finding the postmaster: %w", err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0, fmt.Errorf("finding the postmaster: %w", err)
	}
	return pid, nil
}
