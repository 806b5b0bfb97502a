package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakePipe answers what a test told it to.
type fakePipe struct {
	mu     sync.Mutex
	status Status
	tables []Table
	past   History
	going  bool
	err    error
	asked  []string
}

func newFake(name, phase string) *fakePipe {
	return &fakePipe{status: Status{
		Name: name, Phase: phase, Ready: phase == "running" || phase == "paused" || phase == "completed",
		Degraded: []Degraded{}, Resync: []string{}, Commands: []string{}, TableCount: map[string]int{},
	}}
}

func (f *fakePipe) change(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn()
}

func (f *fakePipe) Name() string { return f.Status().Name }

func (f *fakePipe) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

func (f *fakePipe) Tables() []Table {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.tables)
}

func (f *fakePipe) History() History {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.past
}

func (f *fakePipe) command(asked string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, asked)
	return f.going, f.err
}

func (f *fakePipe) Pause(context.Context) (bool, error)  { return f.command("pause") }
func (f *fakePipe) Resume(context.Context) (bool, error) { return f.command("resume") }
func (f *fakePipe) Resync(_ context.Context, tables []string) (bool, error) {
	return f.command(fmt.Sprintf("resync%q", tables))
}

func options(token string, pipes ...*fakePipe) Options {
	all := make([]Pipe, len(pipes))
	for i, p := range pipes {
		all[i] = p
	}
	text := func(s string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) })
	}
	return Options{
		Pipes: func() []Pipe { return all }, Woken: func() <-chan struct{} { return nil },
		Token: token, Metrics: text("the metrics"), Page: text("the page"),
	}
}

func request(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "127.0.0.1:4196"
	return r
}

func do(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestRequests(t *testing.T) {
	long := `{"tables":["` + strings.Repeat("x", maxBody) + `"]}`
	for _, tc := range []struct {
		name, method, path, body string
		going                    bool
		err                      error
		code                     int
		contains, asked          string
	}{
		{name: "page", method: "GET", path: "/", code: 200, contains: "the page"},
		{name: "metrics", method: "GET", path: "/metrics", code: 200, contains: "the metrics"},
		{name: "health", method: "GET", path: "/healthz", code: 200, contains: `"ok"`},
		{name: "health by HEAD", method: "HEAD", path: "/healthz", code: 200},
		{name: "list", method: "GET", path: "/v1/pipes", code: 200, contains: `{"pipes":[{"name":"shop","phase":"running"`},
		{name: "one", method: "GET", path: "/v1/pipes/shop", code: 200, contains: `"tables":`},
		{name: "unknown pipe", method: "GET", path: "/v1/pipes/nothing", code: 404, contains: `"error":"there is no pipe \"nothing\""`},
		{name: "unknown pipe's events", method: "GET", path: "/v1/pipes/nothing/events", code: 404, contains: "there is no pipe"},
		{name: "unknown path", method: "GET", path: "/v2", code: 404, contains: `there is nothing at \"/v2\"`},
		{name: "wrong method", method: "GET", path: "/v1/pipes/shop/pause", code: 405, contains: "GET is not allowed here"},
		{name: "wrong method for a list", method: "DELETE", path: "/v1/pipes", code: 405, contains: "use GET"},
		{name: "pause", method: "POST", path: "/v1/pipes/shop/pause", going: true, code: 202, asked: "pause", contains: `"name":"shop"`},
		{name: "pause when paused", method: "POST", path: "/v1/pipes/shop/pause", code: 200, asked: "pause"},
		{name: "pause an unknown pipe", method: "POST", path: "/v1/pipes/nothing/pause", code: 404, contains: "there is no pipe"},
		{name: "pause in short", method: "POST", path: "/v1/pause", going: true, code: 202, asked: "pause"},
		{name: "pause with an empty object", method: "POST", path: "/v1/pause", body: " {} ", code: 200, asked: "pause"},
		{name: "pause with nonsense", method: "POST", path: "/v1/pause", body: "now!", code: 400, contains: "it is not a JSON object"},
		{name: "pause with a field", method: "POST", path: "/v1/pause", body: `{"when":"now"}`, code: 400, contains: `unknown field \"when\"`},
		{name: "resume", method: "POST", path: "/v1/pipes/shop/resume", going: true, code: 202, asked: "resume"},
		{name: "resume in short", method: "POST", path: "/v1/resume", code: 200, asked: "resume"},
		{
			name: "conflict", method: "POST", path: "/v1/resume", code: 409, contains: `{"error":"still draining","fix":"wait"}`,
			err: &Problem{Code: 409, Message: "still draining", Fix: "wait"}, asked: "resume",
		},
		{name: "not durable", method: "POST", path: "/v1/pause", err: errors.New("no space left"), code: 503, contains: `"error":"no space left"`, asked: "pause"},
		{name: "resync", method: "POST", path: "/v1/pipes/shop/resync", going: true, code: 202, asked: "resync[]"},
		{name: "resync two", method: "POST", path: "/v1/pipes/shop/resync", body: `{"tables":["a.b","c.d"]}`, going: true, code: 202, asked: `resync["a.b" "c.d"]`},
		{name: "resync null", method: "POST", path: "/v1/pipes/shop/resync", body: `null`, code: 400, contains: "it is not a JSON object"},
		{name: "resync cut", method: "POST", path: "/v1/pipes/shop/resync", body: `{"tables":`, code: 400, contains: "unexpected EOF"},
		{name: "resync numbers", method: "POST", path: "/v1/pipes/shop/resync", body: `{"tables":[1]}`, code: 400, contains: "cannot unmarshal number"},
		{name: "resync twice", method: "POST", path: "/v1/pipes/shop/resync", body: `{}{}`, code: 400, contains: "something follows"},
		{name: "resync with too much", method: "POST", path: "/v1/pipes/shop/resync", body: long, code: 413, contains: "the body is larger than"},
		{name: "resync a table", method: "POST", path: "/v1/pipes/shop/tables/public.orders/resync", going: true, code: 202, asked: `resync["public.orders"]`},
		{name: "resync an odd table", method: "POST", path: "/v1/pipes/shop/tables/a%2Fb%3F.%22c%20d/resync", going: true, code: 202, asked: `resync["a/b?.\"c d"]`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newFake("shop", "running")
			p.going, p.err = tc.going, tc.err
			w := do(handler(options("", p), true), request(tc.method, tc.path, tc.body))
			if w.Code != tc.code || !strings.Contains(w.Body.String(), tc.contains) {
				t.Errorf("got %d %s, want %d with %s", w.Code, w.Body, tc.code, tc.contains)
			}
			if got := strings.Join(p.asked, " "); got != tc.asked {
				t.Errorf("asked the pipe to %q, want %q", got, tc.asked)
			}
			if w.Code >= 400 && tc.method != "HEAD" {
				var body map[string]string
				if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || len(body) != 2 || body["error"] == "" {
					t.Errorf("the error is %s", w.Body)
				}
			}
		})
	}
}

func TestShortFormsNeedOnePipe(t *testing.T) {
	for n, pipes := range [][]*fakePipe{{}, {newFake("a", "running"), newFake("b", "running")}} {
		w := do(handler(options("", pipes...), true), request("POST", "/v1/pause", ""))
		if w.Code != 409 || !strings.Contains(w.Body.String(), "/v1/pipes/{name}/") {
			t.Errorf("%d pipes: got %d %s", n, w.Code, w.Body)
		}
	}
}

func TestReadinessTellsTheTruth(t *testing.T) {
	for _, tc := range []struct {
		phases []string
		code   int
	}{
		{nil, 503},
		{[]string{"running"}, 200},
		{[]string{"paused"}, 200},
		{[]string{"completed"}, 200},
		{[]string{"provisioning"}, 503},
		{[]string{"snapshot"}, 503},
		{[]string{"pausing"}, 503},
		{[]string{"failed"}, 503},
		{[]string{"running", "failed"}, 503},
		{[]string{"running", "paused"}, 200},
	} {
		var pipes []*fakePipe
		for i, phase := range tc.phases {
			pipes = append(pipes, newFake(fmt.Sprint(i), phase))
		}
		w := do(handler(options("", pipes...), true), request("GET", "/readyz", ""))
		var r Readiness
		if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if w.Code != tc.code || r.Ready != (tc.code == 200) || len(r.Pipes) != len(tc.phases) {
			t.Errorf("%v: got %d %s", tc.phases, w.Code, w.Body)
		}
	}
}

func TestToken(t *testing.T) {
	const token = "open sesame"
	for _, tc := range []struct {
		path, authorization string
		code                int
	}{
		{"/v1/pipes", "", 401},
		{"/v1/pipes", "Bearer", 401},
		{"/v1/pipes", "Bearer ", 401},
		{"/v1/pipes", "Bearer open", 401},
		{"/v1/pipes", "Bearer open sesame!", 401},
		{"/v1/pipes", "Basic open sesame", 401},
		{"/v1/pipes", "open sesame", 401},
		{"/v1/pipes", "Bearer open sesame", 200},
		{"/v1/pipes", "bearer open sesame", 200},
		{"/v1/pipes/shop", "", 401},
		{"/v1/pipes/nothing", "", 401}, // who may not ask is not told what exists
		{"/v1/nothing", "", 401},
		{"/v1/pipes/shop/events", "", 401},
		{"/v1/events", "Bearer x", 401},
		{"/metrics", "", 401},
		{"/metrics", "Bearer open sesame", 200},
		{"/", "", 200},
		{"/healthz", "", 200},
		{"/readyz", "", 200},
		{"/v1/openapi.json", "", 200},
	} {
		r := request("GET", tc.path, "")
		if tc.authorization != "" {
			r.Header.Set("Authorization", tc.authorization)
		}
		w := do(handler(options(token, newFake("shop", "running")), true), r)
		if w.Code != tc.code {
			t.Errorf("%s with %q: got %d, want %d", tc.path, tc.authorization, w.Code, tc.code)
		}
		if tc.code == 401 && w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", tc.path)
		}
		if strings.Contains(w.Body.String(), token) {
			t.Errorf("%s gives the token away", tc.path)
		}
	}
	p := newFake("shop", "running")
	if w := do(handler(options(token, p), true), request("POST", "/v1/pause", "")); w.Code != 401 || len(p.asked) > 0 {
		t.Errorf("pausing without the token: %d, %v", w.Code, p.asked)
	}
}

func TestOtherOriginsCannotCommand(t *testing.T) {
	for name, tc := range map[string]struct {
		headers map[string]string
		code    int
	}{
		"curl":                  {nil, 200},
		"our page":              {map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:4196"}, 200},
		"our page, old browser": {map[string]string{"Origin": "http://127.0.0.1:4196"}, 200},
		"typed by hand":         {map[string]string{"Sec-Fetch-Site": "none"}, 200},
		"another site":          {map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403},
		"another port":          {map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:8080"}, 403},
		"old browser":           {map[string]string{"Origin": "https://evil.example"}, 403},
		"sandboxed frame":       {map[string]string{"Origin": "null"}, 403},
	} {
		for _, token := range []string{"", "secret"} {
			p := newFake("shop", "running")
			r := request("POST", "/v1/pause", "")
			r.Header.Set("Authorization", "Bearer secret")
			for k, v := range tc.headers {
				r.Header.Set(k, v)
			}
			w := do(handler(options(token, p), true), r)
			if w.Code != tc.code || (len(p.asked) > 0) != (tc.code == 200) {
				t.Errorf("%s, token %q: got %d, asked %v", name, token, w.Code, p.asked)
			}
		}
	}
}

func TestReboundNamesAreRefused(t *testing.T) {
	for _, tc := range []struct {
		host     string
		loopback bool
		token    string
		code     int
	}{
		{"127.0.0.1:4196", true, "", 200},
		{"localhost:4196", true, "", 200},
		{"LOCALHOST", true, "", 200},
		{"shop.localhost:4196", true, "", 200},
		{"[::1]:4196", true, "", 200},
		{"127.8.9.1:4196", true, "", 200},
		{"evil.example:4196", true, "", 421},
		{"localhost.evil.example", true, "", 421},
		{"10.0.0.1:4196", true, "", 421},
		{"", true, "", 421},
		{"status.example.com", true, "secret", 200},
		{"status.example.com", false, "", 200},
	} {
		r := request("GET", "/v1/pipes", "")
		r.Host = tc.host
		r.Header.Set("Authorization", "Bearer secret")
		if w := do(handler(options(tc.token, newFake("shop", "running")), tc.loopback), r); w.Code != tc.code {
			t.Errorf("%+v: got %d", tc, w.Code)
		}
	}
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Listen(l.Addr().String())
	if err == nil || !strings.Contains(err.Error(), "lifecycle.address") || !strings.Contains(err.Error(), "another process has that port") {
		t.Errorf("got %v", err)
	}
	if _, err := Listen("nonsense"); err == nil || !strings.Contains(err.Error(), "lifecycle.address") {
		t.Errorf("got %v", err)
	}
}

// events reads events from a stream until fn has seen enough.
func events(t *testing.T, body io.Reader, fn func(name, data string) bool) {
	t.Helper()
	lines, name := bufio.NewScanner(body), ""
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if s, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			name = s
		}
		if s, ok := strings.CutPrefix(lines.Text(), "data: "); ok && fn(name, s) {
			return
		}
	}
	t.Fatal("the stream ended too early: ", lines.Err())
}

func TestEvents(t *testing.T) {
	p, other := newFake("shop", "running"), newFake("other", "running")
	p.tables = []Table{{Name: "public.a", Changes: map[string]uint64{}}, {Name: "public.b", Changes: map[string]uint64{}}}
	p.past = History{Samples: 7, RowsPerSecond: []float64{1}, ReceivedPerSecond: []float64{2}, LagBytes: []float64{3}, LagSeconds: []float64{4}, RetainedBytes: []float64{5}}
	var mu sync.Mutex
	wake := make(chan struct{})
	woken := func() <-chan struct{} { mu.Lock(); defer mu.Unlock(); return wake }
	poke := func() { mu.Lock(); defer mu.Unlock(); close(wake); wake = make(chan struct{}) }
	o := options("", p, other)
	o.Woken = woken
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, o)
	defer s.Close()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + s.Addr().String() + "/v1/pipes/shop/events")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if got := answer.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type is %q", got)
	}
	var got []string
	events(t, answer.Body, func(name, data string) bool {
		got = append(got, name)
		if strings.Contains(data, "other") {
			t.Errorf("an event of another pipe: %s %s", name, data)
		}
		return name == EventHistory
	})
	if want := "[pipes status tables history]"; fmt.Sprint(got) != want {
		t.Errorf("first came %v, want %s", got, want)
	}
	// A change of phase comes at once, and only what has changed.
	p.change(func() {
		p.status.Phase = "pausing"
		p.tables = []Table{{Name: "public.b", Phase: "failed", Changes: map[string]uint64{}}}
		p.past.Samples++
		p.past.LagBytes[0] = 42
	})
	poke()
	got = nil
	events(t, answer.Body, func(name, data string) bool {
		got = append(got, name)
		switch name {
		case EventStatus:
			if !strings.Contains(data, `"phase":"pausing"`) {
				t.Errorf("status is %s", data)
			}
		case EventTables:
			var e TablesEvent
			if err := json.Unmarshal([]byte(data), &e); err != nil || len(e.Tables) != 1 || e.Tables[0].Phase != "failed" || fmt.Sprint(e.Gone) != "[public.a]" {
				t.Errorf("tables are %s, %v", data, err)
			}
		case EventSample:
			if !strings.Contains(data, `"lag_bytes":42`) {
				t.Errorf("sample is %s", data)
			}
		}
		return name == EventSample
	})
	if want := "[status tables sample]"; fmt.Sprint(got) != want {
		t.Errorf("then came %v, want %s", got, want)
	}
	// Closing the server ends the stream.
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}
