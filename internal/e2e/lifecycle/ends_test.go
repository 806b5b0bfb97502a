package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/internal/devstack/devtest"
	"github.com/penstock/penstock/internal/verify"
)

// patience is how long anything may take. What is healthy takes a second; a
// machine that is busy with other tests may take much longer.
const patience = 90 * time.Second

// ends are the two databases of a test.
type ends struct {
	postgresDSN, clickHouseDSN string
	postgres                   *pgx.Conn
	clickHouse                 driver.Conn
}

func newEnds(t testing.TB) *ends {
	t.Helper()
	return connectEnds(t, devtest.Postgres(t), devtest.ClickHouse(t))
}

// newEndsToKill is for tests that kill the pipe: the ClickHouse of the dev stack
// may have to start anew where a client is gone in the middle of an insert, and
// other tests should not notice.
func newEndsToKill(t testing.TB) *ends {
	t.Helper()
	return connectEnds(t, devtest.Postgres(t), ownClickHouse(t))
}

// ownClickHouse returns the DSN of a database on a server of this test alone.
func ownClickHouse(t testing.TB) string {
	t.Helper()
	dsn, err := devtest.OwnClickHouse(t).Database(t.Context(), "target")
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}

func connectEnds(t testing.TB, postgresDSN, clickHouseDSN string) *ends {
	t.Helper()
	e := &ends{postgresDSN: postgresDSN, clickHouseDSN: clickHouseDSN}
	e.postgres = connectPostgres(t, postgresDSN)
	o, err := clickhouse.ParseDSN(e.clickHouseDSN)
	if err != nil {
		t.Fatal(err)
	}
	if e.clickHouse, err = clickhouse.Open(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.clickHouse.Close() })
	return e
}

func connectPostgres(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// name returns the name of the source database, which pipes and slots of the
// test are named after.
func (e *ends) name() string { return e.postgres.Config().Database }

func (e *ends) slot() string { return "penstock_" + e.name() }

// as returns the DSN of the source for another role.
func (e *ends) as(t testing.TB, user, password string) string {
	t.Helper()
	u, err := url.Parse(e.postgresDSN)
	if err != nil {
		t.Fatal("the DSN of the source is not a URL")
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}

// source runs statements at the source, each in a transaction of its own.
func (e *ends) source(t testing.TB, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := e.postgres.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// destination runs statements at the destination.
func (e *ends) destination(t testing.TB, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if err := e.clickHouse.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// ask returns the one value of a query at the source.
func ask[T any](t testing.TB, e *ends, sql string, args ...any) (v T) {
	t.Helper()
	if err := e.postgres.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// look returns the one value of a query at the destination, once that answers.
func look[T any](t testing.TB, e *ends, sql string) (v T) {
	t.Helper()
	devtest.Eventually(t, patience, "the destination answers", func() (ok bool, err error) {
		v, err = lookup[T](t.Context(), e, sql)
		return err == nil, err
	})
	return v
}

func lookup[T any](ctx context.Context, e *ends, sql string) (v T, err error) {
	if err := e.clickHouse.QueryRow(ctx, sql).Scan(&v); err != nil {
		return v, fmt.Errorf("%s: %w", sql, err)
	}
	return v, nil
}

// arrives waits until a count at the destination is as large as wanted.
func (e *ends) arrives(t testing.TB, what, count string, least uint64) {
	t.Helper()
	devtest.Eventually(t, patience, what, func() (bool, error) {
		n, err := lookup[uint64](t.Context(), e, count)
		if err == nil && n < least {
			err = fmt.Errorf("%d of %d are there", n, least)
		}
		return err == nil, err
	})
}

// equal waits until tables hold the same rows at both ends.
func (e *ends) equal(t testing.TB, tables ...string) {
	t.Helper()
	for _, table := range tables {
		pair := verify.Pair{Schema: "public", Table: table, Destination: "public_" + table}
		devtest.Eventually(t, patience, "the ends are the same", func() (bool, error) {
			r, err := verify.Compare(t.Context(), e.postgres, e.clickHouse, pair, verify.Options{})
			if err == nil && !r.Equal() {
				err = errors.New(r.String())
			}
			return err == nil, err
		})
	}
}

// uuid tells a destination table from another one of the same name.
func (e *ends) uuid(t testing.TB, table string) string {
	t.Helper()
	return look[string](t, e, "SELECT toString(uuid) FROM system.tables WHERE database = currentDatabase() AND name = 'public_"+table+"'")
}

// noShadows checks that nothing is left of the loading of tables again.
func (e *ends) noShadows(t testing.TB) {
	t.Helper()
	if left := look[[]string](t, e, "SELECT groupArray(name) FROM system.tables WHERE database = currentDatabase() AND name LIKE '%\\_\\_%'"); len(left) > 0 {
		t.Errorf("these tables are left: %q", left)
	}
}

// writeEvery is the pause between two transactions of a writer: enough to keep
// a pipe busy, and little enough to leave it the machine.
const writeEvery = 3 * time.Millisecond

// writer writes to the source until it is stopped.
type writer struct {
	stop func() (transactions int)
}

// write runs the statement that next returns, again and again, in a session of
// its own.
func (e *ends) write(t testing.TB, next func(n int) string) *writer {
	t.Helper()
	conn := connectPostgres(t, e.postgresDSN)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	n := 0
	go func() {
		defer close(done)
		tick := time.NewTicker(writeEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			sql := next(n)
			// Not ctx: a statement that was begun is finished.
			if _, err := conn.Exec(context.Background(), sql); err != nil {
				t.Errorf("writing: %s: %v", sql, err)
				return
			}
			n++
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
	w := &writer{stop: func() int {
		cancel()
		<-done
		return n
	}}
	t.Cleanup(func() { w.stop() })
	return w
}
