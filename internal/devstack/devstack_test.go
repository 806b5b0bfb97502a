package devstack

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

func TestMain(m *testing.M) {
	if os.Getenv(ownerVariable) != "" {
		ownServers()
		return
	}
	os.Exit(m.Run())
}

func TestPostgresKeepsItsDataThroughKillAndRestart(t *testing.T) {
	t.Parallel()
	p := startPostgres(t, PostgresOptions{})
	dsn := p.DSN()
	postgresExec(t, dsn, "CREATE TABLE kept (id int PRIMARY KEY)", "INSERT INTO kept SELECT generate_series(1, 10)")

	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if conn, err := pgx.Connect(t.Context(), dsn); err == nil {
		conn.Close(t.Context())
		t.Fatal("a killed server took a connection")
	}
	for _, want := range []string{"after Kill", "of a running server"} {
		if err := p.Restart(t.Context()); err != nil {
			t.Fatalf("Restart %s: %v", want, err)
		}
		if got := postgresQuery(t, dsn, "SELECT count(*)::text FROM kept"); got != "10" {
			t.Fatalf("Restart %s left %s rows, want 10", want, got)
		}
	}
}

func TestClickHouseKeepsItsDataThroughKillAndRestart(t *testing.T) {
	t.Parallel()
	c := startClickHouse(t)
	dsn := c.DSN()
	clickhouseExec(t, dsn,
		"CREATE TABLE kept (id Int64) ENGINE = MergeTree ORDER BY id",
		"INSERT INTO kept SELECT number FROM numbers(10)")

	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"after Kill", "of a running server"} {
		if err := c.Restart(t.Context()); err != nil {
			t.Fatalf("Restart %s: %v", want, err)
		}
		if got := clickhouseQuery(t, dsn, "SELECT toString(count()) FROM kept"); got != "10" {
			t.Fatalf("Restart %s left %s rows, want 10", want, got)
		}
	}
}

func TestPostgresIsSetUpForReplication(t *testing.T) {
	t.Parallel()
	p := startPostgres(t, PostgresOptions{Settings: map[string]string{"work_mem": "5MB", "max_wal_senders": "7"}})
	for setting, want := range map[string]string{
		"wal_level": "logical", "max_replication_slots": "50", "max_connections": "200", "fsync": "on",
		"synchronous_commit": "on", "full_page_writes": "on", "listen_addresses": "127.0.0.1",
		"server_encoding": "UTF8", "timezone": "UTC", "work_mem": "5MB", "max_wal_senders": "7",
	} {
		if got := postgresQuery(t, p.DSN(), "SHOW "+setting); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
}

func TestPostgresRefusesAWrongPassword(t *testing.T) {
	t.Parallel()
	p := startPostgres(t, PostgresOptions{})
	config, err := pgx.ParseConfig(p.DSN())
	if err != nil {
		t.Fatal(err)
	}
	config.Password = "wrong"
	_, err = pgx.ConnectConfig(t.Context(), config)
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "28P01" {
		t.Fatalf("a wrong password was answered with %v, want SQLSTATE 28P01", err)
	}
}

func TestClickHouseReaderMayOnlyRead(t *testing.T) {
	t.Parallel()
	c := startClickHouse(t)
	clickhouseExec(t, c.DSN(), "CREATE TABLE t (id Int64) ENGINE = MergeTree ORDER BY id")
	reader := c.ReaderDSN("penstock")
	if got := clickhouseQuery(t, reader, "SELECT toString(count()) FROM t"); got != "0" {
		t.Fatalf("the reader saw %s rows, want 0", got)
	}
	var refused *clickhouse.Exception
	err := clickhouseConn(t, reader).Exec(t.Context(), "INSERT INTO t VALUES (1)")
	if !errors.As(err, &refused) || refused.Code != 497 { // ACCESS_DENIED
		t.Errorf("got %v, want code 497", err)
	}
}

func TestClickHouseOutlivesRefusedClients(t *testing.T) {
	t.Parallel()
	c := startClickHouse(t)
	clickhouseExec(t, c.DSN(), "CREATE TABLE kept (id Int64) ENGINE = MergeTree ORDER BY id", "INSERT INTO kept VALUES (1)")
	for name, test := range map[string]struct {
		dsn  string
		code int32
	}{
		"wrong password":   {strings.Replace(c.ReaderDSN("penstock"), c.reader, "wrong", 1), 516}, // AUTHENTICATION_FAILED
		"unknown database": {c.ReaderDSN("nowhere"), 81},                                          // UNKNOWN_DATABASE
	} {
		var refused *clickhouse.Exception
		if err := clickhouseConn(t, test.dsn).Ping(t.Context()); !errors.As(err, &refused) || refused.Code != test.code {
			t.Fatalf("%s: got %v, want code %d", name, err, test.code)
		}
		// The package's server restarts on that, which may be just before or just after the next client comes.
		waitUntil(t, "the server serves its data after a "+name, func() bool {
			return c.exec(t.Context(), "SELECT throwIf(count() != 1) FROM penstock.kept") == nil
		})
	}
}

func TestDatabaseReplacesOneInUse(t *testing.T) {
	t.Parallel()
	p := startPostgres(t, PostgresOptions{})
	dsn, err := p.Database(t.Context(), `odd "name`)
	if err != nil {
		t.Fatal(err)
	}
	// A replication slot in use and an open session each hold a database.
	config, err := pgconn.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["replication"] = "database"
	walsender, err := pgconn.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer walsender.Close(context.Background())
	postgresExec(t, dsn, "CREATE TABLE old ()", "CREATE PUBLICATION p FOR ALL TABLES",
		"SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
	start := `START_REPLICATION SLOT s LOGICAL 0/0 (proto_version '1', publication_names 'p')`
	walsender.Frontend().SendQuery(&pgproto3.Query{String: start})
	if err := walsender.Frontend().Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := walsender.ReceiveMessage(t.Context()); err != nil { // CopyBothResponse: the slot is taken
		t.Fatal(err)
	}

	if dsn, err = p.Database(t.Context(), `odd "name`); err != nil {
		t.Fatal(err)
	}
	if got := postgresQuery(t, dsn, "SELECT count(*)::text FROM pg_class WHERE relname = 'old'"); got != "0" {
		t.Fatal("the new database has a table of the one before it")
	}
	if got := postgresQuery(t, dsn, "SELECT count(*)::text FROM pg_replication_slots"); got != "0" {
		t.Fatal("the slot of the database before outlived it")
	}

	c := startClickHouse(t)
	for range 2 {
		dsn, err := c.Database(t.Context(), "odd `name\\")
		if err != nil {
			t.Fatal(err)
		}
		clickhouseExec(t, dsn, "CREATE TABLE t (id Int64) ENGINE = MergeTree ORDER BY id")
		if got := clickhouseQuery(t, dsn, "SELECT engine FROM system.databases WHERE name = currentDatabase()"); got != "Atomic" {
			t.Fatalf("the database is of engine %s, want Atomic", got)
		}
	}
}

func TestConcurrentStartsShareNoAddress(t *testing.T) {
	t.Parallel()
	const servers = 4
	dsns := make([]string, 2*servers)
	var wg sync.WaitGroup
	for i := range servers {
		wg.Go(func() { dsns[2*i] = startPostgres(t, PostgresOptions{}).DSN() })
		wg.Go(func() { dsns[2*i+1] = startClickHouse(t).DSN() })
	}
	wg.Wait()
	seen := make(map[string]bool)
	for _, dsn := range dsns {
		if dsn == "" || seen[dsn] {
			t.Fatalf("servers share an address: %q", dsns)
		}
		seen[dsn] = true
	}
}

func TestStopRemovesTheRunFolder(t *testing.T) {
	t.Parallel()
	p, c := startPostgres(t, PostgresOptions{}), startClickHouse(t)
	for _, dir := range []string{p.run.dir, c.run.dir} {
		if _, err := os.Stat(filepath.Join(dir, "data")); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if exists(dir) || exists(dir+".lock") {
				t.Errorf("%s is still there after Stop", dir)
			}
		}()
	}
	if err := errors.Join(p.Stop(), c.Stop()); err != nil {
		t.Fatal(err)
	}
}

func TestFailedStartQuotesTheServersLog(t *testing.T) {
	t.Parallel()
	_, err := StartPostgres(t.Context(), PostgresOptions{Own: true, Settings: map[string]string{"no_such_setting": "1"}})
	if err == nil || !strings.Contains(err.Error(), `unrecognized configuration parameter "no_such_setting"`) {
		t.Fatalf("got %v, want what the server said of the setting", err)
	}
}
