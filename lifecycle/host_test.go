package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/lifecycle/api"
)

func TestHostIsSharedThroughTheResources(t *testing.T) {
	mgr := service.MockResources()
	hosts := make([]*Host, 20)
	var all sync.WaitGroup
	for i := range hosts {
		all.Go(func() { hosts[i] = HostOf(mgr) })
	}
	all.Wait()
	for _, h := range hosts {
		if h == nil || h != hosts[0] {
			t.Fatalf("got hosts %v", hosts)
		}
	}
	if HostOf(service.MockResources()) == hosts[0] {
		t.Error("two engines share a host")
	}
}

// call makes a request of its own connection and returns status and body.
func call(t *testing.T, method, url, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func TestPipesOfAProcessShareOneServer(t *testing.T) {
	host := NewHost()
	const address = "127.0.0.1:0"
	shop := mustOpen(t, Options{Name: "shop", Host: host, Address: address})
	other := mustOpen(t, Options{Name: "a/b c", Host: host, Address: address})
	mustBe(t, shop, Running)
	mustBe(t, other, Snapshot)
	if shop.Addr().String() != other.Addr().String() {
		t.Fatalf("served at %s and %s", shop.Addr(), other.Addr())
	}
	url := "http://" + shop.Addr().String()
	for _, tc := range []struct {
		method, path string
		code         int
		contains     string
	}{
		{"GET", "/v1/pipes", 200, `"name":"a/b c"`},
		{"GET", "/readyz", 503, `"shop":"running"`},
		{"GET", "/v1/pipes/a%2Fb%20c", 200, `"phase":"snapshot"`},
		{"POST", "/v1/pipes/shop/pause", 202, `"phase":"pausing"`},
		{"POST", "/v1/pipes/shop/pause", 202, `"phase":"pausing"`},
		{"POST", "/v1/pipes/shop/resume", 409, "still draining"},
		{"POST", "/v1/pipes/a%2Fb%20c/resync", 409, "the first load is not over"},
		{"POST", "/v1/pause", 409, "2 pipes are served here"},
		{"POST", "/v1/pipes/shop/tables/public.nothing/resync", 409, "a paused pipe reads nothing"},
		{"GET", "/metrics", 200, `penstock_phase{phase="pausing",pipe="shop"} 1`},
		{"GET", "/", 200, "<title>Penstock</title>"},
	} {
		if code, body := call(t, tc.method, url+tc.path, ""); code != tc.code || !strings.Contains(body, tc.contains) {
			t.Errorf("%s %s: got %d %.300s, want %d with %s", tc.method, tc.path, code, body, tc.code, tc.contains)
		}
	}
	if err := shop.To(context.Background(), Paused); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		command string
		code    int
	}{{"pause", 200}, {"resume", 202}, {"resume", 200}} {
		if code, body := call(t, "POST", url+"/v1/pipes/shop/"+tc.command, ""); code != tc.code {
			t.Errorf("%s: got %d %s", tc.command, code, body)
		}
	}
	if code, body := call(t, "POST", url+"/v1/pipes/shop/tables/public.nothing/resync", ""); code != 404 || !strings.Contains(body, `no table \"public.nothing\"`) {
		t.Errorf("resync of an unknown table: %d %s", code, body)
	}
	if err := shop.Close(); err != nil {
		t.Fatal(err)
	}
	if code, body := call(t, "GET", url+"/v1/pipes", ""); code != 200 || strings.Contains(body, "shop") {
		t.Errorf("after one was closed: %d %s", code, body)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatalf("the port was not given back: %v", err)
	}
	l.Close()
}

func TestOpenFailsWithTheReason(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	host := NewHost()
	mustOpen(t, Options{Name: "first", Host: host, Address: "127.0.0.1:0", Token: "a"})
	for name, tc := range map[string]struct {
		o      Options
		reason string
	}{
		"port taken":    {Options{Name: "shop", Address: taken.Addr().String()}, "another process has that port"},
		"bad address":   {Options{Name: "shop", Address: "localhost:port"}, "binding lifecycle.address"},
		"same name":     {Options{Name: "first"}, "another input of this process has that name"},
		"another token": {Options{Name: "shop", Address: "127.0.0.1:0", Token: "b"}, "another lifecycle.api_token"},
		"no name":       {Options{}, "set a label"},
		"full disk":     {Options{Name: "shop", Store: &memoryStore{fail: errDiskFull}}, "no space left on device"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.o.Host = host
			if tc.o.Store == nil {
				tc.o.Store = &memoryStore{}
			}
			if _, err := Open(context.Background(), tc.o); err == nil || !strings.Contains(err.Error(), tc.reason) {
				t.Errorf("got %v, want %q", err, tc.reason)
			}
			if got := len(host.all()); got != 1 {
				t.Errorf("%d pipes are left", got)
			}
		})
	}
}

// gathered returns the samples of a metric, keyed by the values of its labels
// but pipe, sorted by label name.
func gathered(t *testing.T, h *Host, name string) map[string]float64 {
	t.Helper()
	families, err := h.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	samples := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				if l.GetName() != "pipe" {
					labels = append(labels, l.GetValue())
				}
			}
			v := m.Gauge.GetValue() + m.Counter.GetValue() // of a nil one, 0
			if m.Histogram != nil {
				v = float64(m.Histogram.GetSampleCount())
			}
			samples[strings.Join(labels, " ")] = v
		}
	}
	return samples
}

// TestOneHotGaugesShowExactlyOne walks a pipe through every phase and looks
// after each step.
func TestOneHotGaugesShowExactlyOne(t *testing.T) {
	for _, phase := range Phases() {
		host := NewHost()
		p := mustOpen(t, Options{Host: host})
		mustBe(t, p, phase)
		p.Slot(SlotStatus{CurrentLSN: 10, WALStatus: "extended"})
		for metric, lit := range map[string]string{"penstock_phase": string(phase), "penstock_slot_wal_status": "extended"} {
			sum := 0.0
			samples := gathered(t, host, metric)
			for _, v := range samples {
				sum += v
			}
			if sum != 1 || samples[lit] != 1 {
				t.Errorf("%s while %s: %v", metric, phase, samples)
			}
		}
		perTable := map[string]float64{}
		for l, v := range gathered(t, host, "penstock_table_phase") {
			table := l[strings.LastIndexByte(l, ' ')+1:] // "phase table"
			perTable[table] += v
		}
		for table, sum := range perTable {
			if sum != 1 {
				t.Errorf("table %s has %v phases", table, sum)
			}
		}
		if phase == Running && len(perTable) != 2 {
			t.Errorf("phases of %d tables", len(perTable))
		}
	}
}

func TestMetricsSayWhatHappened(t *testing.T) {
	host := NewHost()
	p := mustOpen(t, Options{Name: "shop", Stream: "stream", Host: host})
	mustBe(t, p, Running)
	users := p.Table("public.users")
	users.RowsRead(7)
	users.Chunks(3, 10)
	users.Changes(change.Insert, 5)
	users.Changes(change.Delete, 2)
	p.Received(100)
	p.InFlight(42)
	p.UnchangedToast("fetched", 3)
	p.Error("network")
	safe := int64(1000)
	p.Slot(SlotStatus{CurrentLSN: 500, ConfirmedLSN: 300, RestartLSN: 100, SafeWALSize: &safe, WALStatus: "reserved"})
	p.Degrade(errors.New("away"))
	out := host.Output("stream")
	out.Inserted("public.users", 9, time.Second)
	out.Lossy("public.users", "total", "nan", 4)
	out.Visible(time.Now().Add(-time.Second))
	out.Visible(time.Now().Add(time.Hour)) // a clock ahead of ours
	out.Error("too_many_parts")
	out.Degraded(errors.New("down"))
	for metric, want := range map[string]map[string]float64{
		"penstock_phase_transitions_total":   {"provisioning setup": 1, "setup snapshot": 1, "snapshot running": 1},
		"penstock_snapshot_rows_total":       {"public.users": 7, "public.orders": 0},
		"penstock_snapshot_chunks":           {"done public.users": 3, "pending public.users": 7},
		"penstock_received_bytes_total":      {"": 100},
		"penstock_in_flight_bytes":           {"": 42},
		"penstock_slot_lag_bytes":            {"": 200},
		"penstock_slot_retained_bytes":       {"": 400},
		"penstock_slot_safe_wal_bytes":       {"": 1000},
		"penstock_unchanged_toast_total":     {"fetched": 3},
		"penstock_errors_total":              {"network": 1, "too_many_parts": 1},
		"penstock_inserted_rows_total":       {"public.users": 9},
		"penstock_insert_seconds":            {"": 1},
		"penstock_lossy_values_total":        {"total nan public.users": 4},
		"penstock_commit_to_visible_seconds": {"": 2},
		"penstock_degraded":                  {"source": 1, "destination": 1},
	} {
		if got := gathered(t, host, metric); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v", metric, got, want)
		}
	}
	if got := gathered(t, host, "penstock_changes_total")["insert public.users"]; got != 5 {
		t.Errorf("%v inserts", got)
	}
	p.Healthy()
	out.Healthy()
	if got := gathered(t, host, "penstock_degraded"); got["source"]+got["destination"] != 0 {
		t.Errorf("degraded: %v", got)
	}
	if got := gathered(t, host, "go_goroutines"); len(got) != 1 {
		t.Errorf("the process is not measured: %v", got)
	}
}

func TestOutputFindsItsPipe(t *testing.T) {
	host := NewHost()
	out := host.Output("s")
	if got := out.pipe("public.users"); got != "s" {
		t.Errorf("without a pipe: %q", got)
	}
	a := mustOpen(t, Options{Name: "a", Stream: "s", Host: host})
	if got := out.pipe("public.users"); got != "a" {
		t.Errorf("with one pipe: %q", got)
	}
	b := mustOpen(t, Options{Name: "b", Stream: "s", Host: host})
	mustBe(t, b, Running)
	mustOpen(t, Options{Name: "c", Stream: "t", Host: host})
	if got := out.pipe("public.users"); got != "b" {
		t.Errorf("with two pipes: %q", got)
	}
	if got := out.pipe("public.nothing"); got != "a" {
		t.Errorf("a table nobody has: %q", got)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if got := out.pipe("public.nothing"); got != "b" {
		t.Errorf("after one was closed: %q", got)
	}
	var none *OutputMetrics
	none.Inserted("", 1, 0)
	none.Lossy("", "", "", 1)
	none.Visible(time.Now())
	none.Error("")
	none.Degraded(nil)
	none.Healthy()
}

func TestLiveProgressFollowsTheDurableState(t *testing.T) {
	ctx := context.Background()
	p := mustOpen(t, Options{})
	update := func(fn func(*State)) {
		t.Helper()
		if err := p.Update(ctx, func(s *State) error { fn(s); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	only := func() api.Table {
		t.Helper()
		tables := served{p}.Tables()
		if len(tables) != 1 {
			t.Fatalf("%d tables", len(tables))
		}
		return tables[0]
	}
	update(func(s *State) {
		s.Tables["t"] = &TableState{Phase: TableSnapshot, Load: Load{Rows: 50, Parts: []LoadPart{{Relation: "t", Blocks: 10, ChunkBlocks: 3, Done: Chunks{0}}}}}
	})
	if got := only(); got.Phase != "snapshot" || got.ChunksDone != 1 || got.ChunksTotal != 4 || got.Rows != 50 || got.RowsRead != 0 {
		t.Errorf("got %+v", got)
	}
	p.Table("t").RowsRead(30)
	if got := only(); got.Rows != 80 || got.RowsRead != 30 {
		t.Errorf("while loading: %+v", got)
	}
	p.Table("t").SetFailed(&Failure{Class: "value", Reason: "NaN"})
	if got := only(); got.Phase != "failed" || got.Failure == nil {
		t.Errorf("failed: %+v", got)
	}
	update(func(s *State) { s.Tables["t"].Phase = TableRunning })
	if got := only(); got.Phase != "running" || got.Failure != nil {
		t.Errorf("running: %+v", got)
	}
	update(func(s *State) { delete(s.Tables, "t") })
	if got := len(served{p}.Tables()); got != 0 {
		t.Errorf("%d tables are left", got)
	}
}

func TestStatusIsJSONWithoutNulls(t *testing.T) {
	p := mustOpen(t, Options{})
	body, err := json.Marshal(api.PipeDetail{Status: p.Status(), Tables: served{p}.Tables(), History: served{p}.History()})
	if err != nil || strings.Contains(string(body), "null") {
		t.Errorf("%s %v", body, err)
	}
}

// TestEveryMetricIsDocumented, and nothing that is not there.
func TestEveryMetricIsDocumented(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("\\| `(penstock_[a-z_]+)").FindAllSubmatch(doc, -1) {
		documented[string(m[1])] = true
	}
	described := make(chan *prometheus.Desc, 100)
	host := NewHost()
	newPipeCollector(host).Describe(described)
	for _, c := range []prometheus.Collector{
		host.meters.transitions, host.meters.errors, host.meters.toast, host.meters.lossy, host.meters.inserted, host.meters.insert, host.meters.visible,
	} {
		c.Describe(described)
	}
	close(described)
	for d := range described {
		name := regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(d.String())[1]
		if !documented[name] {
			t.Errorf("docs/metrics.md does not tell how to read %s", name)
		}
		delete(documented, name)
	}
	for name := range documented {
		t.Errorf("docs/metrics.md tells of %s, which is not there", name)
	}
}
