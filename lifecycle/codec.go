package lifecycle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
)

// A stored state is one header line and one JSON object. The header makes a
// file that was torn, cut or edited tell so, where JSON alone may still parse:
//
//	penstock-state format=1 bytes=1234 crc32c=0123abcd
//	{"format":1,"pipe":"shop",…}
const headerLine = "penstock-state format=%d bytes=%d crc32c=%08x"

// CorruptError is a stored state that cannot be trusted.
type CorruptError struct {
	Pipe   string
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("the stored state of pipe %q cannot be used: %s; restore it from a copy, or remove it to begin again with a new slot and a full load", e.Pipe, e.Reason)
}

// encoder writes states for a Store. It keeps what it wrote of each table: a
// pipe may have thousands, and a finished chunk changes one.
type encoder struct {
	tables map[string]encodedTable
}

type encodedTable struct {
	state *TableState
	json  []byte
}

func (e *encoder) encode(s *State) ([]byte, error) {
	body, err := e.body(s)
	if err != nil {
		return nil, fmt.Errorf("encoding the state of pipe %q: %w", s.Pipe, err)
	}
	head := fmt.Sprintf(headerLine, Format, len(body), checksum(body))
	out := make([]byte, 0, len(head)+len(body)+2)
	out = append(out, head...)
	out = append(out, '\n')
	out = append(out, body...)
	return append(out, '\n'), nil
}

// body writes what json.Marshal would. Tables are the last field of a State, so
// that what is known of them can take the place of null.
func (e *encoder) body(s *State) ([]byte, error) {
	bare := *s
	bare.Tables = nil
	body, err := json.Marshal(&bare)
	if err != nil {
		return nil, err
	}
	body = append(bytes.TrimSuffix(body, []byte("null}")), '{')
	tables := make(map[string]encodedTable, len(s.Tables))
	for i, name := range slices.Sorted(maps.Keys(s.Tables)) {
		table, err := e.table(name, s.Tables[name])
		if err != nil {
			return nil, err
		}
		tables[name] = table
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, table.json...)
	}
	e.tables = tables
	return append(body, "}}"...), nil
}

// table returns one table as `"name":{…}`.
func (e *encoder) table(name string, t *TableState) (encodedTable, error) {
	if known, ok := e.tables[name]; ok && known.state.same(t) {
		return known, nil
	}
	key, err := json.Marshal(name)
	if err != nil {
		return encodedTable{}, err
	}
	value, err := json.Marshal(t)
	if err != nil {
		return encodedTable{}, fmt.Errorf("table %s: %w", name, err)
	}
	return encodedTable{state: t, json: append(append(key, ':'), value...)}, nil
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// decode reads what encode wrote and refuses everything else, also the state of
// another pipe.
func decode(pipe string, stored []byte) (*State, error) {
	corrupt := func(format string, a ...any) (*State, error) {
		return nil, &CorruptError{Pipe: pipe, Reason: fmt.Sprintf(format, a...)}
	}
	head, body, ok := bytes.Cut(stored, []byte{'\n'})
	if !ok {
		return corrupt("it has no header line")
	}
	var format, size int
	var sum uint32
	_, err := fmt.Sscanf(string(head), headerLine, &format, &size, &sum)
	if err != nil || string(head) != fmt.Sprintf(headerLine, format, size, sum) {
		return corrupt("its first line is not that of a Penstock state")
	}
	if format != Format {
		return corrupt("it has format %d, and this version of Penstock reads format %d", format, Format)
	}
	body = bytes.TrimSuffix(body, []byte{'\n'})
	if len(body) != size {
		return corrupt("it is torn: %d bytes where there were %d", len(body), size)
	}
	if checksum(body) != sum {
		return corrupt("its checksum does not match: it was damaged or edited")
	}
	s := &State{}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(s); err != nil {
		return corrupt("%v", err)
	}
	if s.Pipe != pipe {
		return corrupt("it belongs to pipe %q", s.Pipe)
	}
	if reason := s.flaw(); reason != "" {
		return corrupt("%s", reason)
	}
	return s.clone(), nil
}

// flaw says what is impossible about a state, "" where nothing is.
func (s *State) flaw() string {
	if !s.Phase.Known() {
		return fmt.Sprintf("there is no phase %q", s.Phase)
	}
	resting := s.Phase == Pausing || s.Phase == Paused
	if resting != (s.PausedFrom != "") || resting && !s.PausedFrom.pausable() {
		return fmt.Sprintf("it is %s, paused from %q", s.Phase, s.PausedFrom)
	}
	failed := s.Phase == Failed
	if failed != (s.FailedFrom != "") || failed && allowed(Failed, s.FailedFrom, command) != nil {
		return fmt.Sprintf("it is %s, failed from %q", s.Phase, s.FailedFrom)
	}
	if failed != (s.Failure != nil) {
		return fmt.Sprintf("it is %s, and its failure says otherwise", s.Phase)
	}
	for name, t := range s.Tables {
		if t == nil || !t.Phase.Known() {
			return fmt.Sprintf("table %q is in no known phase", name)
		}
	}
	for _, name := range s.Resync {
		if s.Tables[name] == nil {
			return fmt.Sprintf("it asks for a resync of %q, which is not among its tables", name)
		}
	}
	return ""
}
