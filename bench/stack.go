package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/internal/devstack"
)

const (
	publication = "bench"
	// baseSlot stands before the backlog. Every run reads a copy of it.
	baseSlot = "bench_base"
	// destination is the ClickHouse database that a run fills.
	destination = "bench"
)

// stack is the two servers that all contenders use.
type stack struct {
	postgres   *devstack.Postgres
	clickHouse *devstack.ClickHouse
	admin      driver.Conn // for what is not measured
}

// postgresSettings keep what happens by the clock out of the measurement.
// Durability is as PostgreSQL ships it, for everybody.
var postgresSettings = map[string]string{
	"autovacuum":         "off", // the tables are vacuumed when they are made
	"checkpoint_timeout": "1h",  // one is made before each run
	"max_wal_size":       "16GB",
}

// startStack starts both servers. What it returns must be stopped, also after
// an error.
func startStack(ctx context.Context, version int, log io.Writer) (s *stack, err error) {
	s = &stack{}
	// Servers of our own: the settings count, and what is on a user's server is
	// not for a benchmark to drop.
	if s.postgres, err = devstack.StartPostgres(ctx, devstack.PostgresOptions{Own: true, Version: version, Settings: postgresSettings, Log: log}); err != nil {
		return s, err
	}
	if s.clickHouse, err = devstack.StartClickHouse(ctx, devstack.ClickHouseOptions{Own: true, Log: log}); err != nil {
		return s, err
	}
	s.admin, err = openClickHouse(s.clickHouse.DSN())
	return s, err
}

func (s *stack) stop() error {
	var errs []error
	if s.admin != nil {
		errs = append(errs, s.admin.Close())
	}
	if s.postgres != nil {
		errs = append(errs, s.postgres.Stop())
	}
	if s.clickHouse != nil {
		errs = append(errs, s.clickHouse.Stop())
	}
	return errors.Join(errs...)
}

// connect opens a session for what is not measured.
func (s *stack) connect(ctx context.Context, dsn string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	return conn, nil
}

func openClickHouse(dsn string) (driver.Conn, error) {
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("reading the DSN of ClickHouse: %w", err)
	}
	options.ReadTimeout = time.Hour // a contender may be one long statement
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, fmt.Errorf("connecting to ClickHouse: %w", err)
	}
	return conn, nil
}

// arena is a workload made ready: the data at the source, what they sum up to,
// and for a backlog the slot that stands before it.
type arena struct {
	*stack
	workload
	database string // at the source
	dsn      string
	source   *pgx.Conn
	checksum string
	bytes    int64 // as PostgreSQL sends the rows or changes
	// end is the position behind the backlog, and snapshot the name of one from
	// before it, which holder keeps alive.
	end, snapshot string
	holder        *pgx.Conn
}

// prepare makes the data of a workload. What it returns must be closed, also
// after an error.
func (s *stack) prepare(ctx context.Context, w workload) (*arena, error) {
	a := &arena{stack: s, workload: w, database: "bench_" + w.name}
	var err error
	if a.dsn, err = s.postgres.Database(ctx, a.database); err != nil {
		return a, err
	}
	if a.source, err = s.connect(ctx, a.dsn); err != nil {
		return a, err
	}
	// Only making the data is without durability, not what is measured.
	statements := []string{"SET synchronous_commit = off"}
	for _, t := range w.tables {
		statements = append(statements, t.create())
	}
	if err := a.exec(ctx, append(statements, "VACUUM (FREEZE, ANALYZE)")...); err != nil {
		return a, err
	}
	if w.kind != snapshot {
		if err := a.makeSlot(ctx); err != nil {
			return a, err
		}
	}
	if w.changes != "" {
		if err := a.exec(ctx, w.changes, "SELECT pg_switch_wal()"); err != nil {
			return a, err
		}
		if err := a.source.QueryRow(ctx, "SELECT pg_current_wal_lsn()::text").Scan(&a.end); err != nil {
			return a, fmt.Errorf("reading the position of the WAL: %w", err)
		}
	}
	if a.checksum, err = sourceChecksum(ctx, a.source, w); err != nil {
		return a, err
	}
	switch w.kind {
	case snapshot:
		_, a.bytes, err = copyTables(ctx, a.source.PgConn(), w.tables)
	case backlog:
		_, a.bytes, err = peekChanges(ctx, a.source.PgConn(), baseSlot)
	}
	return a, err
}

// makeSlot makes the publications and the slot before the backlog, and exports
// a snapshot for MaterializedPostgreSQL, which wants one beside a slot that it
// did not make itself. Its publication has to be there before the changes are.
func (a *arena) makeSlot(ctx context.Context) (err error) {
	names := make([]string, len(a.tables))
	for i, t := range a.tables {
		names[i] = t.name
	}
	tables := strings.Join(names, ", ")
	err = a.exec(ctx,
		"CREATE PUBLICATION "+publication+" FOR TABLE "+tables,
		"CREATE PUBLICATION "+materializedPublication(a.database)+" FOR TABLE "+tables)
	if err != nil || a.kind == steady {
		return err // every run of a steady load has a slot of its own
	}
	if err := a.exec(ctx, "SELECT pg_create_logical_replication_slot('"+baseSlot+"', 'pgoutput')"); err != nil {
		return err
	}
	if a.holder, err = a.connect(ctx, a.dsn); err != nil {
		return err
	}
	if _, err := a.holder.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return fmt.Errorf("exporting a snapshot: %w", err)
	}
	if err := a.holder.QueryRow(ctx, "SELECT pg_export_snapshot()").Scan(&a.snapshot); err != nil {
		return fmt.Errorf("exporting a snapshot: %w", err)
	}
	return nil
}

// exec runs statements, each of which may be several.
func (a *arena) exec(ctx context.Context, statements ...string) error {
	for _, sql := range statements {
		if _, err := a.source.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			return fmt.Errorf("running %.200s: %w", sql, err)
		}
	}
	return nil
}

// reset makes both sides as they were before the first run, and returns the DSN
// of an empty destination.
func (a *arena) reset(ctx context.Context) (dsn string, err error) {
	if err := a.dropMaterialized(ctx); err != nil {
		return "", err
	}
	if dsn, err = a.clickHouse.Database(ctx, destination); err != nil {
		return "", err
	}
	if err := a.dropSlots(ctx); err != nil {
		return "", err
	}
	return dsn, a.exec(ctx, "CHECKPOINT")
}

// dropSlots drops what runs have made. A walsender may still be about to leave.
func (a *arena) dropSlots(ctx context.Context) error {
	for {
		var active int
		err := a.source.QueryRow(ctx, `SELECT count(*) FROM pg_replication_slots WHERE database = $1 AND slot_name <> $2 AND active`, a.database, baseSlot).Scan(&active)
		if err != nil {
			return fmt.Errorf("looking at the replication slots: %w", err)
		}
		if active == 0 {
			break
		}
		if err := pause(ctx, pollInterval); err != nil {
			return err
		}
	}
	_, err := a.source.Exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1 AND slot_name <> $2`, a.database, baseSlot)
	if err != nil {
		return fmt.Errorf("dropping replication slots: %w", err)
	}
	return nil
}

// copySlot makes a slot that stands before the backlog.
func (a *arena) copySlot(ctx context.Context, name string) error {
	if _, err := a.source.Exec(ctx, "SELECT pg_copy_logical_replication_slot($1, $2)", baseSlot, name); err != nil {
		return fmt.Errorf("copying the slot before the backlog: %w", err)
	}
	return nil
}

func (a *arena) close() error {
	var errs []error
	for _, conn := range []*pgx.Conn{a.holder, a.source} {
		if conn != nil {
			errs = append(errs, conn.Close(context.Background()))
		}
	}
	return errors.Join(append(errs, a.postgres.DropDatabase(context.Background(), a.database))...)
}

// login takes the source's DSN apart, for programs that want its pieces.
func (a *arena) login() (host, port, user, password string, err error) {
	u, err := url.Parse(a.dsn)
	if err != nil {
		return "", "", "", "", errors.New("reading the DSN of PostgreSQL")
	}
	password, _ = u.User.Password()
	return u.Hostname(), u.Port(), u.User.Username(), password, nil
}

// pollInterval is how often it is looked whether something has happened, and
// so what a measured time may be off by.
const pollInterval = 20 * time.Millisecond

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
