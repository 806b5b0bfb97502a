package insert

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/penstock/penstock/internal/devstack/devtest"
)

func TestInsertIsOnePart(t *testing.T) {
	noLeaks(t)
	for _, compress := range []string{"lz4", "zstd", "none"} {
		c := newClient(t, devtest.ClickHouse(t)+"?compress="+compress, nil)
		exec(t, c, "CREATE TABLE t (n Int64) ENGINE = MergeTree ORDER BY n")
		// More than a server collects (min_insert_block_size_rows) or takes apart (max_insert_block_size) by default.
		const rows = 2_500_000
		if err := c.Table("t").Insert(t.Context(), Block{Statement: "INSERT INTO t (n)", Columns: numbers(0, rows), Token: "a"}); err != nil {
			t.Fatal(err)
		}
		if got := count(t, c, "SELECT count() AS n FROM t"); got != rows {
			t.Errorf("compress=%s: %d rows arrived of %d", compress, got, rows)
		}
		if got := count(t, c, "SELECT count() AS n FROM system.parts WHERE database = currentDatabase() AND table = 't' AND level = 0"); got != 1 {
			t.Errorf("compress=%s: the block became %d parts", compress, got)
		}
	}
}

// Rule 16: the same token, the same rows once, where the server deduplicates.
func TestInsertIsDeduplicatedByToken(t *testing.T) {
	c := newClient(t, devtest.ClickHouse(t), nil)
	exec(t, c, "CREATE TABLE t (n Int64) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100")
	for _, token := range []string{"a", "a", "b"} {
		if err := c.Table("t").Insert(t.Context(), Block{Statement: "INSERT INTO t (n)", Columns: numbers(0, 10), Token: token}); err != nil {
			t.Fatal(err)
		}
	}
	if got := count(t, c, "SELECT count() AS n FROM t"); got != 20 {
		t.Errorf("%d rows are there, want those of two tokens, 20", got)
	}
}

func TestInsertFailsForGood(t *testing.T) {
	noLeaks(t)
	for _, test := range []struct {
		name, setup, statement string
		class                  Class
	}{
		{"no table", "SELECT 1", "INSERT INTO nope (n)", ClassMissing},
		{"no column", "CREATE TABLE t (m Int64) ENGINE = Null", "INSERT INTO t (n)", ClassIncompatible},
		{"constraint", "CREATE TABLE t (n Int64, CONSTRAINT c CHECK n < 0) ENGINE = MergeTree ORDER BY n", "INSERT INTO t (n)", ClassIncompatible},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := new(recorder)
			c := newClient(t, devtest.ClickHouse(t), r)
			exec(t, c, test.setup)
			err := c.Table("db.t").Insert(t.Context(), Block{Statement: test.statement, Columns: numbers(0, 1), Token: "a"})
			var failure *Error
			if !errors.As(err, &failure) || failure.Class != test.class || failure.Code == 0 {
				t.Fatalf("got %v, want an error of class %s", err, test.class)
			}
			if failing, _ := r.counts(); failing != 0 {
				t.Errorf("it was repeated")
			}
			// The connection pool is none the worse.
			exec(t, c, "CREATE TABLE fine (n Int64) ENGINE = Null")
			if err := c.Table("fine").Insert(t.Context(), Block{Statement: "INSERT INTO fine (n)", Columns: numbers(0, 1), Token: "b"}); err != nil {
				t.Error(err)
			}
		})
	}
}

// A server that comes back in the middle gets every row, and each series of failures is told of once.
func TestInsertSurvivesARestart(t *testing.T) {
	noLeaks(t)
	server := devtest.OwnClickHouse(t)
	r := new(recorder)
	c := newClient(t, server.DSN(), r)
	exec(t, c, "CREATE TABLE t (n Int64) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")

	const writers, blocks, rows = 3, 60, 1000
	var group errgroup.Group
	started := make(chan struct{}, writers*blocks)
	for w := range writers {
		group.Go(func() error {
			for b := range blocks {
				started <- struct{}{}
				first := (w*blocks + b) * rows
				token := Token{}
				token.Reset("t")
				if err := c.Table("db.t").Insert(t.Context(), Block{Statement: "INSERT INTO t (n)", Columns: numbers(first, rows), Token: token.String() + string(rune('A'+w)) + string(rune('A'+b))}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for range 3 {
		<-started
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := count(t, c, "SELECT uniqExact(n) AS n FROM t"); got != writers*blocks*rows {
		t.Errorf("%d rows of %d are there", got, writers*blocks*rows)
	}
	failing, settled := r.counts()
	if failing == 0 || failing > writers {
		t.Errorf("%d series of failures were told of, want one per writer at most and one at least", failing)
	}
	if failing != settled {
		t.Errorf("%d series began and %d ended", failing, settled)
	}
}

func TestInsertEndsWithItsContext(t *testing.T) {
	noLeaks(t)
	server := devtest.OwnClickHouse(t)
	r := new(recorder)
	c := newClient(t, server.DSN(), r)
	exec(t, c, "CREATE TABLE t (n Int64) ENGINE = Null")
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- c.Table("db.t").Insert(ctx, Block{Statement: "INSERT INTO t (n)", Columns: numbers(0, 1), Token: "a"})
	}()
	devtest.Eventually(t, 10*time.Second, "the insert is repeated", func() (bool, error) {
		failing, _ := r.counts()
		return failing == 1, nil
	})
	cancel()
	err := <-done
	var failure *Error
	if !errors.Is(err, context.Canceled) || !errors.As(err, &failure) || failure.Class != ClassNetwork {
		t.Errorf("got %v, want both the end of the context and the last failure", err)
	}
}

// An answer that never comes does not hold the program up when it is told to stop.
func TestInsertEndsWithItsContextWhileTheServerIsSilent(t *testing.T) {
	noLeaks(t)
	c := newClient(t, devtest.ClickHouse(t), nil)
	exec(t, c, "CREATE TABLE source (n Int64) ENGINE = Null")
	exec(t, c, "CREATE TABLE sink (n Int64) ENGINE = Null")
	exec(t, c, "CREATE MATERIALIZED VIEW slow TO sink AS SELECT n + sleepEachRow(1) AS n FROM source")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := c.Table("db.source").Insert(ctx, Block{Statement: "INSERT INTO source (n)", Columns: numbers(0, 3), Token: "a"})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestSeveralHosts(t *testing.T) {
	noLeaks(t)
	dsn := devtest.ClickHouse(t)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := dead.Addr().String()
	dead.Close()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	r := new(recorder)
	c := newClient(t, strings.Replace(dsn, u.Host, address+","+u.Host, 1), r)
	if _, err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	exec(t, c, "CREATE TABLE t (n Int64) ENGINE = MergeTree ORDER BY n")
	if err := c.Table("t").Insert(t.Context(), Block{Statement: "INSERT INTO t (n)", Columns: numbers(0, 5), Token: "a"}); err != nil {
		t.Fatal(err)
	}
	if got := count(t, c, "SELECT count() AS n FROM t"); got != 5 {
		t.Errorf("%d rows of 5 are there", got)
	}
	if failing, _ := r.counts(); failing != 0 {
		t.Errorf("a dead host beside a living one was reported as a failure: %v", r.failing[0])
	}
}

func TestPing(t *testing.T) {
	noLeaks(t)
	s, err := newClient(t, devtest.ClickHouse(t), nil).Ping(t.Context())
	if err != nil || s.Major < 23 || s.Timezone == "" {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestPingFails(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*url.URL)
		class  Class
	}{
		{"wrong password", func(u *url.URL) { u.User = url.UserPassword("reader", "wrong-hunter2") }, ClassAuthentication},
		{"wrong user", func(u *url.URL) { u.User = url.UserPassword("nobody", "wrong-hunter2") }, ClassAuthentication},
		{"no such database", func(u *url.URL) { u.Path = "/nope" }, ClassMissing},
		{"nobody listens", func(u *url.URL) { u.Host = "127.0.0.1:1" }, ClassNetwork},
		{"no such host", func(u *url.URL) { u.Host = "no-such-host.invalid:9000" }, ClassNetwork},
		{"no TLS there", func(u *url.URL) { u.RawQuery = "secure=true&skip_verify=true" }, ClassTLS},
	} {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			// A server of its own for each: the one from the package does not survive a handshake that it refuses.
			u, err := url.Parse(devtest.OwnClickHouse(t).ReaderDSN("penstock"))
			if err != nil {
				t.Fatal(err)
			}
			password, _ := u.User.Password()
			test.change(u)
			_, err = newClient(t, u.String(), nil).Ping(t.Context())
			var failure *Error
			if !errors.As(err, &failure) || failure.Class != test.class {
				t.Fatalf("got %v, want an error of class %s", err, test.class)
			}
			if missing := test.class == ClassMissing; missing != errors.Is(err, ErrNoDatabase) {
				t.Errorf("got %v, is it ErrNoDatabase: %v", err, !missing)
			}
			for _, secret := range []string{password, "wrong-hunter2"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error tells the password: %v", err)
				}
			}
		})
	}
}

func TestAccess(t *testing.T) {
	server := devtest.OwnClickHouse(t)
	exec(t, newClient(t, server.DSN(), nil), "CREATE TABLE t (n Int64) ENGINE = Null")
	c := newClient(t, server.ReaderDSN("penstock"), nil)
	var failure *Error
	err := c.Table("db.t").Insert(t.Context(), Block{Statement: "INSERT INTO t (n)", Columns: numbers(0, 1), Token: "a"})
	if !errors.As(err, &failure) || failure.Class != ClassAccess || !strings.Contains(failure.Hint, "GRANT") {
		t.Errorf("got %v, want a hint at the grants", err)
	}
	if err := c.Table("db.t").Exec(t.Context(), "CREATE TABLE u (n Int64) ENGINE = Null"); !errors.As(err, &failure) || failure.Class != ClassAccess {
		t.Errorf("got %v, want class %s", err, ClassAccess)
	}
}

func TestCloseTwice(t *testing.T) {
	noLeaks(t)
	c := newClient(t, devtest.ClickHouse(t), nil)
	exec(t, c, "CREATE TABLE t (n Int64) ENGINE = Null")
	if err := c.Table("t").Insert(t.Context(), Block{Statement: "INSERT INTO t (n)", Columns: numbers(0, 1), Token: "a"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := c.Table("t").Insert(t.Context(), Block{Statement: "INSERT INTO t (n)", Columns: numbers(0, 1), Token: "a"}); !errors.Is(err, errClosed) {
		t.Errorf("got %v", err)
	}
}
