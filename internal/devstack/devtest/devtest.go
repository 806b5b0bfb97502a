// Package devtest gives tests real databases. A test process starts each server at most once, when a test first asks for
// it, and every test gets a database of its own there, so that tests run in parallel and leave nothing behind.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }
package devtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/penstock/penstock/internal/devstack"
)

const (
	// startTimeout leaves room for a first download over a slow line; ready servers start in a tenth of a second.
	startTimeout = 10 * time.Minute
	// cleanTimeout bounds what is done after a test. It has no context of the test: that one has ended by then.
	cleanTimeout = time.Minute
	// firstPoll and lastPoll bound the pauses of Eventually, which doubles them: most conditions are nearly true when
	// asked for, and the others should not keep a core busy.
	firstPoll = 2 * time.Millisecond
	lastPoll  = 100 * time.Millisecond
)

// shared is a server that all tests of a process use.
type shared[S interface{ Stop() error }] struct {
	sync.Mutex
	start   func(context.Context) (S, error)
	started bool
	server  S
	err     error
}

var (
	sharedPostgres = &shared[*devstack.Postgres]{start: func(ctx context.Context) (*devstack.Postgres, error) {
		version, err := postgresVersion()
		if err != nil {
			return nil, err
		}
		return devstack.StartPostgres(ctx, devstack.PostgresOptions{Version: version, Log: os.Stderr})
	}}
	sharedClickHouse = &shared[*devstack.ClickHouse]{start: func(ctx context.Context) (*devstack.ClickHouse, error) {
		return devstack.StartClickHouse(ctx, devstack.ClickHouseOptions{Log: os.Stderr})
	}}
)

// get starts the server for the first test that asks. Where that failed, the others fail at once with the same error.
func (s *shared[S]) get(t testing.TB) S {
	t.Helper()
	s.Lock()
	defer s.Unlock()
	if !s.started {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		s.server, s.err = s.start(ctx)
		s.started = true
	}
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.server
}

func (s *shared[S]) stop() error {
	s.Lock()
	defer s.Unlock()
	if !s.started || s.err != nil {
		return nil
	}
	s.started = false
	return s.server.Stop()
}

// Main runs the tests of a package and stops the servers they used. It returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	for _, stop := range []func() error{sharedPostgres.stop, sharedClickHouse.stop} {
		if err := stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the servers of the tests:", err)
			code = max(code, 1)
		}
	}
	return code
}

// Postgres returns the superuser's DSN of a new database, which is dropped after the test with its sessions and
// replication slots. The server is of the version in PENSTOCK_TEST_POSTGRES, else devstack's default.
func Postgres(t testing.TB) string {
	t.Helper()
	return database(t, sharedPostgres.get(t))
}

// ClickHouse returns the DSN of a new database, which is dropped after the test.
func ClickHouse(t testing.TB) string {
	t.Helper()
	return database(t, sharedClickHouse.get(t))
}

func database(t testing.TB, server interface {
	Database(ctx context.Context, name string) (string, error)
	DropDatabase(ctx context.Context, name string) error
},
) string {
	t.Helper()
	b := make([]byte, 6)
	_, _ = rand.Read(b)
	// Random, because test processes may share a server that was given in the environment.
	name := "penstock_test_" + hex.EncodeToString(b)
	dsn, err := server.Database(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanTimeout)
		defer cancel()
		if err := server.DropDatabase(ctx, name); err != nil {
			t.Errorf("cleaning up after the test: %v", err)
		}
	})
	return dsn
}

// OwnPostgres starts a server for this test alone, which may kill and restart it. It is stopped after the test.
func OwnPostgres(t testing.TB, o devstack.PostgresOptions) *devstack.Postgres {
	t.Helper()
	if o.Version == 0 {
		version, err := postgresVersion()
		if err != nil {
			t.Fatal(err)
		}
		o.Version = version
	}
	o.Own = true
	return own(t, func(ctx context.Context) (*devstack.Postgres, error) { return devstack.StartPostgres(ctx, o) })
}

// OwnClickHouse starts a server for this test alone, which may kill and restart it. It is stopped after the test.
func OwnClickHouse(t testing.TB) *devstack.ClickHouse {
	t.Helper()
	return own(t, func(ctx context.Context) (*devstack.ClickHouse, error) {
		return devstack.StartClickHouse(ctx, devstack.ClickHouseOptions{Own: true})
	})
}

func own[S interface{ Stop() error }](t testing.TB, start func(context.Context) (S, error)) S {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	server, err := start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Errorf("stopping the test's own server: %v", err)
		}
	})
	return server
}

// postgresVersion returns the major version that tests run against, 0 for devstack's choice.
func postgresVersion() (int, error) {
	text := os.Getenv("PENSTOCK_TEST_POSTGRES")
	if text == "" {
		return 0, nil
	}
	version, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("reading PENSTOCK_TEST_POSTGRES: want a major version such as 17, got %q", text)
	}
	return version, nil
}

// Eventually waits until cond is true, and fails the test with what and the last error of cond when it is not within
// the time given. cond is always asked once more at the end, so that a machine that stood still does not fail a test.
func Eventually(t testing.TB, within time.Duration, what string, cond func() (bool, error)) {
	t.Helper()
	deadline := time.Now().Add(within)
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		late := time.Now().After(deadline)
		ok, err := cond()
		if ok && err == nil {
			return
		}
		if late {
			if err != nil {
				t.Fatalf("waiting %s until %s: %v", within, what, err)
			}
			t.Fatalf("waiting %s until %s: it is not so", within, what)
		}
		time.Sleep(pause)
	}
}

// IgnoreServers keeps goleak from reporting the goroutines that wait for running servers to end.
func IgnoreServers() goleak.Option {
	return goleak.IgnoreAnyFunction("github.com/penstock/penstock/internal/devstack.(*process).wait")
}
