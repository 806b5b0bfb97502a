package lifecycle_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/penstock/penstock/internal/devstack/devtest"
	"github.com/penstock/penstock/lifecycle"
	"github.com/penstock/penstock/lifecycle/api"
)

// Commands that make no sense are refused in the same way at any time, and
// change nothing.
func TestCommandsThatAreRefused(t *testing.T) {
	t.Parallel()
	const token = "open-sesame"
	e := newEnds(t)
	e.source(t, `CREATE TABLE items (id bigint PRIMARY KEY, note text)`, `INSERT INTO items SELECT id, md5(id::text) FROM generate_series(1, 50000) id`, `VACUUM ANALYZE items`)
	p := e.pipe(t, options{
		lifecycle:  []string{"api_token: " + token},
		input:      []string{"snapshot: {chunk_rows: 1000, parallelism: 1}"},
		processors: slow(500 * time.Millisecond),
		token:      token,
	}).start()
	pause, resume, resync := "/v1/pipes/"+p.name+"/pause", "/v1/pipes/"+p.name+"/resume", "/v1/pipes/"+p.name+"/resync"

	p.until("it loads", func(d api.PipeDetail) bool {
		return d.Phase == string(lifecycle.Snapshot) && d.InFlightBytes > 0 && table(d, "items").ChunksDone > 0
	})
	p.post(pause, "", http.StatusUnauthorized, "Authorization", "")
	p.post(pause, "", http.StatusUnauthorized, "Authorization", "Bearer wrong")
	p.post(pause, "", http.StatusForbidden, "Origin", "https://example.com", "Sec-Fetch-Site", "cross-site")
	p.post("/v1/pipes/nobody/pause", "", http.StatusNotFound)
	p.post("/v1/pipes/"+p.name+"/tables/public.nothing/resync", "", http.StatusConflict)
	p.post(resync, "", http.StatusConflict)
	p.post(resync, `{"tables": ["public.items"]}`, http.StatusConflict)
	p.post(pause, "no JSON", http.StatusBadRequest)
	p.post(resync, `{"table": "public.items"}`, http.StatusBadRequest)
	p.post(resume, "", http.StatusOK)
	if d, err := p.detail(); err != nil || d.Phase != string(lifecycle.Snapshot) {
		t.Fatalf("refused commands have changed the pipe: %v, %s", err, describe(d))
	}

	// A batch is on its way at any time, so draining takes a while.
	p.post(pause, "", http.StatusAccepted)
	if problem := p.post(resume, "", http.StatusConflict); problem.Fix == "" {
		t.Errorf("resume while pausing is refused without saying what to do: %+v", problem)
	}
	p.post(pause, "", http.StatusAccepted)
	p.post(resync, "", http.StatusConflict)
	p.in(lifecycle.Paused)
	p.post(pause, "", http.StatusOK)
	p.post(resync, "", http.StatusConflict)
	p.post(resume, "{}", http.StatusAccepted)
	p.post(resume, "", http.StatusOK)

	p.stop()
	p.processors = "[]"
	p.start()
	p.running()
	p.post("/v1/pipes/"+p.name+"/tables/public.nothing/resync", "", http.StatusNotFound)
	e.equal(t, "items")
}

// A hundred commands at once get answers that fit one order of events, and the
// pipe is what the last of them asked for.
func TestParallelCommands(t *testing.T) {
	t.Parallel()
	const commands = 100
	e := newEnds(t)
	e.source(t, `CREATE TABLE items (id bigint PRIMARY KEY, n int)`, `INSERT INTO items SELECT id, 0 FROM generate_series(1, 5000) id`)
	p := e.pipe(t, options{}).start()
	p.running()
	w := e.write(t, func(n int) string { return fmt.Sprintf("UPDATE items SET n = n + 1 WHERE id = %d", n%5000+1) })

	base := "/v1/pipes/" + p.name
	allowed := map[string][]int{
		base + "/pause":                       {http.StatusOK, http.StatusAccepted},
		base + "/resume":                      {http.StatusOK, http.StatusAccepted, http.StatusConflict},
		base + "/resync":                      {http.StatusAccepted, http.StatusConflict},
		base + "/tables/public.items/resync":  {http.StatusAccepted, http.StatusConflict},
		base + "/tables/public.absent/resync": {http.StatusNotFound, http.StatusConflict},
		"/v1/pipes/nobody/pause":              {http.StatusNotFound},
	}
	paths := make([]string, 0, len(allowed))
	for path := range allowed {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	var group sync.WaitGroup
	for n := range commands {
		group.Go(func() {
			path := paths[n%len(paths)]
			answer, code, err := p.request(http.MethodPost, path, "")
			if err != nil || !slices.Contains(allowed[path], code) {
				t.Errorf("POST %s: %d %s %v, want one of %v", path, code, answer, err, allowed[path])
			}
			d, err := p.detail()
			if err != nil || d.Failure != nil {
				t.Errorf("after POST %s: %v, failure %+v", path, err, d.Failure)
			}
		})
	}
	group.Wait()

	devtest.Eventually(t, patience, "it is resumed", func() (bool, error) {
		_, code, err := p.request(http.MethodPost, base+"/resume", "")
		return code == http.StatusOK, err
	})
	p.command("/pause", http.StatusAccepted)
	p.in(lifecycle.Paused)
	p.command("/resume", http.StatusAccepted)
	p.running()
	w.stop()
	e.equal(t, "items")
	e.noShadows(t)
	p.stop()
}
