package devtest

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	first, second := Postgres(t), Postgres(t)
	for _, dsn := range []string{first, second} {
		conn, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "CREATE TABLE mine ()"); err != nil {
			t.Errorf("the database is not new: %v", err)
		}
		// Left open: the cleanup must cope with the sessions and slots that a failed test leaves.
		if _, err := conn.Exec(t.Context(), "SELECT pg_create_logical_replication_slot(current_database(), 'pgoutput')"); err != nil {
			t.Error(err)
		}
		defer conn.Close(context.Background())
	}
	first, second = ClickHouse(t), ClickHouse(t)
	for _, dsn := range []string{first, second} {
		options, err := clickhouse.ParseDSN(dsn)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := clickhouse.Open(options)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.Exec(t.Context(), "CREATE TABLE mine (id Int64) ENGINE = MergeTree ORDER BY id"); err != nil {
			t.Errorf("the database is not new: %v", err)
		}
	}
}

func TestDatabasesAreGoneAfterTheTest(t *testing.T) {
	var dsn string
	t.Run("user", func(t *testing.T) { dsn = Postgres(t) })
	if conn, err := pgx.Connect(t.Context(), dsn); err == nil {
		conn.Close(t.Context())
		t.Error("the database outlived its test")
	}
}

func TestIgnoreServersHidesRunningServers(t *testing.T) {
	Postgres(t)
	if err := goleak.Find(IgnoreServers()); err != nil {
		t.Error(err)
	}
}

func TestEventuallyAsksUntilItIsSo(t *testing.T) {
	asked := 0
	Eventually(t, time.Minute, "it was asked thrice", func() (bool, error) {
		asked++
		return asked == 3, nil
	})
	if asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
}
