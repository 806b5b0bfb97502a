package lifecycle_test

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock/penstock/internal/devstack/devtest"
	"github.com/penstock/penstock/lifecycle"
	"github.com/penstock/penstock/lifecycle/api"
)

// Two pipes in one process are served at one address and do not disturb one
// another.
func TestTwoPipesInOneProcess(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	var pipes []*pipe
	args := []string{"streams", "--no-api", "-o", filepath.Join(t.TempDir(), "process.yaml")}
	if err := os.WriteFile(args[3], []byte(processFields), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		e := newEnds(t)
		e.source(t, `CREATE TABLE items (id bigint PRIMARY KEY, n int)`, `INSERT INTO items SELECT id, 0 FROM generate_series(1, 1000) id`)
		p := e.pipe(t, options{address: address})
		p.write("")
		pipes, args = append(pipes, p), append(args, p.file)
	}
	process := startProcess(t, args...)
	first, second := pipes[0], pipes[1]
	for _, p := range pipes {
		p.process = process
		p.running()
	}

	body, _, err := first.request(http.MethodGet, "/v1/pipes", "")
	var list api.PipeList
	if err != nil || json.Unmarshal(body, &list) != nil || len(list.Pipes) != 2 {
		t.Fatalf("GET /v1/pipes answers %s, %v; want two pipes", body, err)
	}
	if problem := first.post("/v1/pause", "", http.StatusConflict); problem.Fix == "" {
		t.Errorf("a pause that names no pipe is refused without saying what to do: %+v", problem)
	}
	first.command("/pause", http.StatusAccepted)
	first.in(lifecycle.Paused)
	for _, p := range pipes {
		p.e.source(t, `UPDATE items SET n = 1`)
	}
	second.e.equal(t, "items")
	if n := look[uint64](t, first.e, "SELECT countIf(n = 1) FROM public_items"); n != 0 {
		t.Errorf("%d changes have come through a paused pipe", n)
	}
	metrics, _, err := first.request(http.MethodGet, "/metrics", "")
	for p, phase := range map[*pipe]string{first: "paused", second: "running"} {
		want := `penstock_phase{phase="` + phase + `",pipe="` + p.name + `"} 1`
		if err != nil || !strings.Contains(string(metrics), want) {
			t.Errorf("GET /metrics lacks %s, %v", want, err)
		}
	}
	first.command("/resume", http.StatusAccepted)
	first.e.equal(t, "items")
	process.stop()
}

// A port that is taken is an error that says so. The pipe starts when the port
// is free.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	e := newEnds(t)
	e.source(t, `CREATE TABLE items (id bigint PRIMARY KEY)`)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := e.pipe(t, options{address: taken.Addr().String()}).start()
	devtest.Eventually(t, patience, "the log says that the port is taken", func() (bool, error) {
		log := p.process.log.String()
		return strings.Contains(log, "lifecycle.address") && strings.Contains(log, "another process has that port"), nil
	})
	if n := ask[int](t, e, "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"); n != 0 {
		t.Errorf("%d slots were made by a pipe that cannot be seen", n)
	}
	taken.Close()
	p.running()
}
