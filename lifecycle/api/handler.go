package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

//go:embed openapi.json
var openAPI []byte

// route is one path and what answers each method.
type route struct {
	path    string
	methods map[string]http.HandlerFunc
}

type handlers struct{ Options }

// handler returns the API, guarded.
func handler(o Options, loopback bool) http.Handler {
	h := &handlers{o}
	mux := http.NewServeMux()
	for _, r := range h.routes() {
		mux.HandleFunc(r.path, r.serve)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, &Problem{Code: http.StatusNotFound, Message: fmt.Sprintf("there is nothing at %q", r.URL.Path), Fix: "see /v1/openapi.json"})
	})
	return &guard{
		next:     mux,
		token:    sha256.Sum256([]byte(o.Token)),
		hasToken: o.Token != "",
		loopback: loopback,
		origin:   http.NewCrossOriginProtection(),
		// What a probe asks, and the page itself, which shows nothing before
		// it is given the token.
		open: func(path string) bool {
			return path == "/" || path == "/healthz" || path == "/readyz" || path == "/v1/openapi.json"
		},
	}
}

func (h *handlers) routes() []route {
	get := func(path string, f http.HandlerFunc) route {
		return route{path, map[string]http.HandlerFunc{http.MethodGet: f}}
	}
	post := func(path string, f http.HandlerFunc) route {
		return route{path, map[string]http.HandlerFunc{http.MethodPost: f}}
	}
	return []route{
		get("/{$}", h.Page.ServeHTTP),
		get("/healthz", h.healthz),
		get("/readyz", h.readyz),
		get("/metrics", h.Metrics.ServeHTTP),
		get("/v1/openapi.json", h.openapi),
		get("/v1/pipes", h.list),
		get("/v1/events", h.allEvents),
		get("/v1/pipes/{name}", h.detail),
		get("/v1/pipes/{name}/events", h.pipeEvents),
		post("/v1/pipes/{name}/pause", h.named(h.pause)),
		post("/v1/pipes/{name}/resume", h.named(h.resume)),
		post("/v1/pipes/{name}/resync", h.named(h.resync)),
		post("/v1/pipes/{name}/tables/{table}/resync", h.named(h.resyncTable)),
		post("/v1/pause", h.only(h.pause)),
		post("/v1/resume", h.only(h.resume)),
	}
}

func (r route) serve(w http.ResponseWriter, req *http.Request) {
	method := req.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if f := r.methods[method]; f != nil {
		f(w, req)
		return
	}
	var allow []string
	for m := range r.methods {
		allow = append(allow, m)
	}
	w.Header().Set("Allow", strings.Join(allow, ", "))
	fail(w, &Problem{Code: http.StatusMethodNotAllowed, Message: req.Method + " is not allowed here", Fix: "use " + strings.Join(allow, " or ")})
}

func (h *handlers) healthz(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, Health{Status: "ok"})
}

func (h *handlers) readyz(w http.ResponseWriter, _ *http.Request) {
	pipes := h.Pipes()
	ready := Readiness{Ready: len(pipes) > 0, Pipes: map[string]string{}}
	for _, p := range pipes {
		s := p.Status()
		ready.Pipes[s.Name] = s.Phase
		ready.Ready = ready.Ready && s.Ready
	}
	code := http.StatusOK
	if !ready.Ready {
		code = http.StatusServiceUnavailable
	}
	answer(w, code, ready)
}

func (h *handlers) openapi(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI)
}

func (h *handlers) list(w http.ResponseWriter, _ *http.Request) {
	list := PipeList{Pipes: []Status{}}
	for _, p := range h.Pipes() {
		list.Pipes = append(list.Pipes, p.Status())
	}
	answer(w, http.StatusOK, list)
}

func (h *handlers) detail(w http.ResponseWriter, r *http.Request) {
	p, problem := h.find(r.PathValue("name"))
	if problem != nil {
		fail(w, problem)
		return
	}
	answer(w, http.StatusOK, PipeDetail{Status: p.Status(), Tables: p.Tables(), History: p.History()})
}

// command does something with a pipe and says whether it goes on.
type command func(p Pipe, r *http.Request, body []byte) (going bool, err error)

func (h *handlers) pause(p Pipe, r *http.Request, body []byte) (bool, error) {
	if err := object(body, &struct{}{}); err != nil {
		return false, err
	}
	return p.Pause(r.Context())
}

func (h *handlers) resume(p Pipe, r *http.Request, body []byte) (bool, error) {
	if err := object(body, &struct{}{}); err != nil {
		return false, err
	}
	return p.Resume(r.Context())
}

func (h *handlers) resync(p Pipe, r *http.Request, body []byte) (bool, error) {
	var request ResyncRequest
	if err := object(body, &request); err != nil {
		return false, err
	}
	return p.Resync(r.Context(), request.Tables)
}

func (h *handlers) resyncTable(p Pipe, r *http.Request, body []byte) (bool, error) {
	if err := object(body, &struct{}{}); err != nil {
		return false, err
	}
	return p.Resync(r.Context(), []string{r.PathValue("table")})
}

// named runs a command on the pipe that the path names.
func (h *handlers) named(c command) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, problem := h.find(r.PathValue("name"))
		if problem != nil {
			fail(w, problem)
			return
		}
		run(w, r, p, c)
	}
}

// only runs a command on the pipe, where there is one.
func (h *handlers) only(c command) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		pipes := h.Pipes()
		if len(pipes) != 1 {
			fail(w, &Problem{
				Code:    http.StatusConflict,
				Message: fmt.Sprintf("%d pipes are served here, and the request does not name one", len(pipes)),
				Fix:     "use /v1/pipes/{name}/…; GET /v1/pipes lists them",
			})
			return
		}
		run(w, r, pipes[0], c)
	}
}

func run(w http.ResponseWriter, r *http.Request, p Pipe, c command) {
	body, err := read(w, r)
	if err != nil {
		fail(w, err)
		return
	}
	going, err := c(p, r, body)
	if err != nil {
		fail(w, err)
		return
	}
	code := http.StatusOK
	if going {
		code = http.StatusAccepted
	}
	answer(w, code, p.Status())
}

func (h *handlers) find(name string) (Pipe, *Problem) {
	pipes := h.Pipes()
	i := slices.IndexFunc(pipes, func(p Pipe) bool { return p.Name() == name })
	if i < 0 {
		return nil, &Problem{Code: http.StatusNotFound, Message: fmt.Sprintf("there is no pipe %q", name), Fix: "GET /v1/pipes lists them"}
	}
	return pipes[i], nil
}

// maxBody is far more than any request needs: the names of thousands of tables.
const maxBody = 1 << 20

func read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, &Problem{Code: http.StatusRequestEntityTooLarge, Message: fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit)}
	}
	if err != nil {
		return nil, &Problem{Code: http.StatusBadRequest, Message: "the body could not be read"}
	}
	return body, nil
}

// object decodes a body that is missing or one JSON object with known fields.
func object(body []byte, into any) error {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil
	}
	bad := func(reason string) error {
		return &Problem{Code: http.StatusBadRequest, Message: "the body is not what is expected: " + reason, Fix: "send no body, or a JSON object as in /v1/openapi.json"}
	}
	if body[0] != '{' {
		return bad("it is not a JSON object")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return bad(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return bad("something follows the JSON object")
	}
	return nil
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the caller went away
}

func fail(w http.ResponseWriter, err error) {
	var problem *Problem
	if !errors.As(err, &problem) {
		problem = &Problem{Code: http.StatusServiceUnavailable, Message: err.Error(), Fix: "try again; if it persists, see the log"}
	}
	answer(w, problem.Code, problem)
}
