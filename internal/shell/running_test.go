package shell

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/penstock/penstock/internal/devstack/devtest"
)

// One pipe, from its start to its drop, as somebody at a shell would take it there.
func TestLifeOfAPipe(t *testing.T) {
	e := newEnds(t)
	penstock(t, "check", e.file).wants(t, 0, "will be created", "public.orders", "ok", "max_slot_wal_keep_size")
	penstock(t, "verify", e.file, "--timeout", "1s").wants(t, exitRefused, "does not exist")

	stop := e.start()
	e.reaches("running")
	e.api("status").wants(t, 0, "PIPE", e.label, "running", "TABLE", "public.orders", "2,000", "100%", "2 running")
	e.api("status", e.label).wants(t, 0, "public.people")
	penstock(t, "verify", e.file, "--rows").wants(t, 0, "equal", "public_orders", "2,000", "the pipe has confirmed")
	penstock(t, "check", e.file, "--json").wants(t, 0, `"subject":"slot"`, "is there and keeps")
	penstock(t, "drop", e.file, "--yes").wants(t, exitRefused, "stop the pipe first")

	e.api("pause", "--wait").wants(t, 0, e.label+": paused")
	e.api("pause").wants(t, 0, "paused")
	e.api("status").wants(t, 0, "paused (running)")
	e.api("resync").wants(t, exitRefused, "resume it first")
	e.source("INSERT INTO people VALUES (1001, 'late')")
	penstock(t, "verify", e.file, "--timeout", "300ms", "--rows").wants(t, exitLate, "DIFFERENT", "id=1001", "is the pipe running?")
	e.api("resume", e.label, "--wait").wants(t, 0, "running")
	penstock(t, "verify", e.file).wants(t, 0, "501")

	e.api("resync", "public.people", "--wait", "--timeout", "90s").wants(t, 0, e.label+": ")
	e.api("resync", e.label, "--wait", "--timeout", "90s").wants(t, 0)
	e.api("resync", "public.nothing").wants(t, exitUsage, "no table")
	penstock(t, "verify", e.file).wants(t, 0, "equal")

	stop()
	e.api("status").wants(t, exitUnreachable, "cannot reach the API")
	penstock(t, "drop", e.file).wants(t, exitUsage, "--yes")
	penstock(t, "drop", e.file, "--yes").wants(t, 0, "dropped: slot", "publication", "the state of pipe")
	penstock(t, "drop", "--yes", e.file).wants(t, 0, "nothing to drop")
	var left int
	if err := e.postgres.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM pg_replication_slots WHERE database = current_database())
		+ (SELECT count(*) FROM pg_publication)`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d slots and publications are left, %v", left, err)
	}
}

func TestStatusAsJSON(t *testing.T) {
	e := newEnds(t)
	e.start()
	e.reaches("running")
	o := e.api("status", "--json")
	var got struct {
		Pipes []struct {
			Name, Phase string
			Tables      []struct{ Name, Phase string }
		}
	}
	if err := json.Unmarshal([]byte(o.out), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Pipes) != 1 || got.Pipes[0].Name != e.label || len(got.Pipes[0].Tables) != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestWatchPrintsLinesUntilItIsEnded(t *testing.T) {
	e := newEnds(t)
	e.start()
	e.reaches("running")
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	o := penstockIn(ctx, t, "status", "--watch", "--addr", e.address, "--token", token)
	o.wants(t, 0, "running for", "rows/s")
	if n := strings.Count(o.out, "\n"); n < 2 {
		t.Errorf("%d lines:\n%s", n, o.out)
	}
}

func TestErrorsOfTheAPI(t *testing.T) {
	e := newEnds(t)
	e.start()
	e.reaches("running")
	e.api("status", "nobody").wants(t, exitUsage, `no pipe "nobody"`)
	e.api("pause", "nobody").wants(t, exitUsage, `no pipe "nobody"`)
	e.api("status", "a", "b").wants(t, exitUsage, "one pipe")
	e.api("pause", "--nonsense").wants(t, exitUsage, "nonsense")
	e.api("status", e.label, "--nonsense").wants(t, exitUsage, "no flag --nonsense")
	penstock(t, "status", "--addr", e.address, "--token", "wrong").wants(t, exitUnauthorized, "PENSTOCK_API_TOKEN")
	penstock(t, "resync", "--addr", e.address).wants(t, exitUnauthorized, "PENSTOCK_API_TOKEN")
	penstock(t, "status", "--addr", "127.0.0.1:1").wants(t, exitUnreachable, "is the pipe running")
	penstock(t, "status", "--addr", "http://me:hidden@127.0.0.1:1").wants(t, exitUsage, "--addr")
	t.Setenv("PENSTOCK_API_TOKEN", token)
	t.Setenv("PENSTOCK_ADDRESS", e.address)
	penstock(t, "status").wants(t, 0, "running")
}

func TestStatusOfAFailedPipe(t *testing.T) {
	e := newEnds(t)
	e.source("ALTER TABLE orders DROP CONSTRAINT orders_pkey")
	e.start()
	devtest.Eventually(t, patience, "the pipe has failed", func() (bool, error) {
		return e.api("status").code == exitFailed, nil
	})
	e.api("status").wants(t, exitFailed, "replica identity", "fix:")
	e.api("pause").wants(t, exitRefused, "cannot pause")
	e.api("resume", "--wait").wants(t, exitFailed, "replica identity")
}
