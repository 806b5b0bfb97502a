package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// The events of a stream. All but EventPipes carry the name of their pipe.
const (
	// EventPipes lists the pipes, at the start and when that changes.
	EventPipes = "pipes"
	// EventHistory is sent once for each pipe.
	EventHistory = "history"
	// EventStatus is sent when anything in the status has changed.
	EventStatus = "status"
	// EventTables holds the tables that have changed, and the names of those
	// that are gone; all tables the first time.
	EventTables = "tables"
	// EventSample is one more value for each row of the history.
	EventSample = "sample"
)

// PipesEvent is the payload of EventPipes.
type PipesEvent struct {
	Pipes []string `json:"pipes"`
}

// HistoryEvent is the payload of EventHistory.
type HistoryEvent struct {
	Pipe string `json:"pipe"`
	History
}

// StatusEvent is the payload of EventStatus. Now is the server's clock.
type StatusEvent struct {
	Pipe   string    `json:"pipe"`
	Now    time.Time `json:"now"`
	Status Status    `json:"status"`
}

// TablesEvent is the payload of EventTables.
type TablesEvent struct {
	Pipe   string   `json:"pipe"`
	Tables []Table  `json:"tables"`
	Gone   []string `json:"gone"`
}

// SampleEvent is the payload of EventSample.
type SampleEvent struct {
	Pipe              string  `json:"pipe"`
	RowsPerSecond     float64 `json:"rows_per_second"`
	ReceivedPerSecond float64 `json:"received_bytes_per_second"`
	LagBytes          float64 `json:"lag_bytes"`
	LagSeconds        float64 `json:"lag_seconds"`
	RetainedBytes     float64 `json:"retained_bytes"`
}

const (
	// tick is how often a stream looks for something new: as fast as numbers
	// can be read, slow enough to cost nothing.
	tick = time.Second
	// silence is the longest a stream says nothing, so that proxies keep it
	// open and a reader can tell a quiet pipe from a dead process.
	silence = 15 * time.Second
)

func (h *handlers) allEvents(w http.ResponseWriter, r *http.Request) {
	h.stream(w, r, h.Pipes)
}

func (h *handlers) pipeEvents(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if _, problem := h.find(name); problem != nil {
		fail(w, problem)
		return
	}
	h.stream(w, r, func() []Pipe {
		if p, problem := h.find(name); problem == nil {
			return []Pipe{p}
		}
		return nil
	})
}

// stream sends events until the reader goes away or the server closes.
func (h *handlers) stream(w http.ResponseWriter, r *http.Request, pipes func() []Pipe) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold events back
	s := &eventStream{w: w, control: http.NewResponseController(w), seen: map[string]*seen{}}
	if r.Method == http.MethodHead {
		return
	}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		woken := h.Woken() // before looking, so that nothing is missed
		s.look(pipes())
		if s.flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-woken:
		case <-ticker.C:
		}
	}
}

// eventStream is one reader and what it has been told.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	names   []byte
	seen    map[string]*seen
	out     bytes.Buffer
	spoke   time.Time
}

// seen is what a reader knows of a pipe, as it was sent.
type seen struct {
	status  []byte
	tables  map[string][]byte
	samples uint64
}

// look collects the events that tell a reader what is new.
func (s *eventStream) look(pipes []Pipe) {
	names := PipesEvent{Pipes: []string{}}
	for _, p := range pipes {
		names.Pipes = append(names.Pipes, p.Name())
	}
	if b := encoded(names); !bytes.Equal(b, s.names) {
		s.names = b
		s.event(EventPipes, b)
		s.forget(names.Pipes)
	}
	for _, p := range pipes {
		known := s.seen[p.Name()]
		if known == nil {
			known = &seen{tables: map[string][]byte{}}
			s.seen[p.Name()] = known
		}
		s.lookAt(p, known)
	}
}

func (s *eventStream) forget(keep []string) {
	kept := map[string]*seen{}
	for _, name := range keep {
		if known := s.seen[name]; known != nil {
			kept[name] = known
		}
	}
	s.seen = kept
}

func (s *eventStream) lookAt(p Pipe, known *seen) {
	first := known.status == nil
	status := p.Status()
	if b := encoded(status); !bytes.Equal(b, known.status) {
		known.status = b
		s.event(EventStatus, encoded(StatusEvent{Pipe: p.Name(), Now: time.Now().UTC(), Status: status}))
	}
	s.lookAtTables(p, known, first)
	history := p.History()
	if first {
		s.event(EventHistory, encoded(HistoryEvent{Pipe: p.Name(), History: history}))
	} else if fresh := history.Samples - known.samples; fresh > 0 {
		n := len(history.LagBytes)
		for i := n - int(min(fresh, uint64(n))); i < n; i++ {
			s.event(EventSample, encoded(history.sample(p.Name(), i)))
		}
	}
	known.samples = history.Samples
}

func (s *eventStream) lookAtTables(p Pipe, known *seen, first bool) {
	news := TablesEvent{Pipe: p.Name(), Tables: []Table{}, Gone: []string{}}
	here := map[string]bool{}
	for _, t := range p.Tables() {
		here[t.Name] = true
		if b := encoded(t); !bytes.Equal(b, known.tables[t.Name]) {
			known.tables[t.Name] = b
			news.Tables = append(news.Tables, t)
		}
	}
	for name := range known.tables {
		if !here[name] {
			delete(known.tables, name)
			news.Gone = append(news.Gone, name)
		}
	}
	if first || len(news.Tables)+len(news.Gone) > 0 {
		s.event(EventTables, encoded(news))
	}
}

func (h History) sample(pipe string, i int) SampleEvent {
	return SampleEvent{
		Pipe:              pipe,
		RowsPerSecond:     h.RowsPerSecond[i],
		ReceivedPerSecond: h.ReceivedPerSecond[i],
		LagBytes:          h.LagBytes[i],
		LagSeconds:        h.LagSeconds[i],
		RetainedBytes:     h.RetainedBytes[i],
	}
}

func (s *eventStream) event(name string, data []byte) {
	fmt.Fprintf(&s.out, "event: %s\ndata: %s\n\n", name, data)
}

// flush sends what was collected, or a comment where there was nothing for too
// long.
func (s *eventStream) flush() error {
	now := time.Now()
	if s.out.Len() == 0 {
		if now.Sub(s.spoke) < silence {
			return nil
		}
		s.out.WriteString(": still here\n\n")
	}
	s.spoke = now
	// A server's write deadline is for the whole answer; a stream's is for each
	// piece of it.
	if err := s.control.SetWriteDeadline(now.Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := s.w.Write(s.out.Bytes()); err != nil {
		return err
	}
	s.out.Reset()
	return s.control.Flush()
}

// encoded returns JSON on one line. What is encoded here are our own structs,
// whose encoding cannot fail.
func encoded(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return b
}
