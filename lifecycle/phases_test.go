package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestMovesAreTheDesign spells the life cycle out once more, from the design,
// so that a move that is added or lost by accident is seen.
func TestMovesAreTheDesign(t *testing.T) {
	design := map[Phase][]Phase{
		Provisioning: {Setup, Pausing, Failed},
		Setup:        {Snapshot, Running, Pausing, Failed},
		Snapshot:     {Running, Completed, Pausing, Failed},
		Running:      {Pausing, Resync, Failed},
		Pausing:      {Paused, Failed},
		Paused:       {Provisioning, Setup, Snapshot, Running, Resync, Failed},
		Resync:       {Running, Completed, Pausing, Failed},
		Completed:    {Resync, Failed},
		Failed:       {Provisioning, Setup, Snapshot, Running, Resync, Completed},
	}
	for _, from := range Phases() {
		for _, to := range Phases() {
			want := slices.Contains(design[from], to)
			got := allowed(from, to, driver) == nil || allowed(from, to, command) == nil
			if got != want {
				t.Errorf("%s to %s is %v, want %v", from, to, got, want)
			}
		}
	}
}

func TestEveryPhaseHasAWayOutAndAWayIn(t *testing.T) {
	for _, p := range Phases() {
		in := slices.ContainsFunc(moves(), func(m move) bool { return m.to == p }) || p == Provisioning
		out := slices.ContainsFunc(moves(), func(m move) bool { return m.from == p })
		if !in || !out {
			t.Errorf("%s: way in %v, way out %v", p, in, out)
		}
	}
}

func TestIllegalTransitions(t *testing.T) {
	for _, tc := range []struct {
		from, to Phase
		reason   string
	}{
		{Provisioning, Running, "from provisioning it can go to setup failed"},
		{Paused, Running, "only a command leads there: resume, where the pause began there"},
		{Failed, Running, "only a command leads there: resume, where it failed there"},
		{Running, Pausing, "only a command leads there: a pause is asked for"},
		{Running, Resync, "nobody asked for a resync"},
		{Running, Failed, "a failure has a reason: use Fail"},
		{Completed, Running, "from completed it can go to resync failed"},
		{Running, "flying", "there is no such phase"},
	} {
		t.Run(string(tc.from)+" "+string(tc.to), func(t *testing.T) {
			p := mustOpen(t, Options{})
			mustBe(t, p, tc.from)
			var refused *TransitionError
			err := p.To(context.Background(), tc.to)
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want a TransitionError", err)
			}
			if refused.From != tc.from || refused.To != tc.to || refused.Reason != tc.reason {
				t.Errorf("got %v", refused)
			}
			if p.Phase() != tc.from {
				t.Errorf("phase became %s", p.Phase())
			}
		})
	}
}

// TestNoSequenceLeadsToAnUndefinedState throws commands, driver moves, updates,
// failing disks and crashes at a pipe, in any order.
func TestNoSequenceLeadsToAnUndefinedState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &pipeMachine{store: &memoryStore{}}
		m.open(t, rapid.Bool().Draw(t, "start_paused"))
		defer func() { _ = m.pipe.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"to":     m.to,
			"fail":   m.failed,
			"pause":  m.pause,
			"resume": m.resume,
			"resync": m.resync,
			"done":   m.resyncDone,
			"update": m.update,
			"crash":  m.crash,
			"disk":   m.disk,
			"":       m.check,
		})
	})
}

type pipeMachine struct {
	store *memoryStore
	pipe  *Pipe
}

func (m *pipeMachine) open(t *rapid.T, startPaused bool) {
	p, err := Open(context.Background(), Options{Name: "shop", Store: m.store, StartPaused: startPaused})
	if err != nil {
		t.Fatal(err)
	}
	m.pipe = p
}

// settled checks that a step that failed changed nothing, and one that did not
// fail left by a way that the life cycle knows.
func (m *pipeMachine) settled(t *rapid.T, before State, err error) {
	after := m.pipe.State()
	if err != nil {
		if !reflect.DeepEqual(before, after) {
			t.Fatalf("failed with %v and yet changed\n%+v\nto\n%+v", err, before, after)
		}
		return
	}
	if before.Phase != after.Phase && allowed(before.Phase, after.Phase, driver) != nil && allowed(before.Phase, after.Phase, command) != nil {
		t.Fatalf("went from %s to %s", before.Phase, after.Phase)
	}
}

func (m *pipeMachine) to(t *rapid.T) {
	before := m.pipe.State()
	next := rapid.SampledFrom(Phases()).Draw(t, "next")
	m.settled(t, before, m.pipe.To(context.Background(), next))
}

func (m *pipeMachine) failed(t *rapid.T) {
	before := m.pipe.State()
	m.settled(t, before, m.pipe.Fail(context.Background(), &Failure{Class: "test", Reason: "because"}))
}

func (m *pipeMachine) pause(t *rapid.T) {
	before := m.pipe.State()
	outcome, err := m.pipe.Pause(context.Background())
	m.settled(t, before, err)
	resting := before.Phase == Pausing || before.Phase == Paused
	if err == nil && (outcome == Already) != resting {
		t.Fatalf("pausing while %s gave %v", before.Phase, outcome)
	}
}

func (m *pipeMachine) resume(t *rapid.T) {
	before := m.pipe.State()
	outcome, err := m.pipe.Resume(context.Background())
	m.settled(t, before, err)
	if err != nil || outcome == Already {
		return
	}
	want := before.PausedFrom
	if before.Phase == Failed {
		want = before.FailedFrom
	}
	if m.pipe.Phase() != want {
		t.Fatalf("resumed to %s, want %s", m.pipe.Phase(), want)
	}
}

func (m *pipeMachine) resync(t *rapid.T) {
	before := m.pipe.State()
	tables := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "nowhere"}), 0, 2).Draw(t, "tables")
	_, err := m.pipe.Resync(context.Background(), tables)
	m.settled(t, before, err)
}

func (m *pipeMachine) resyncDone(t *rapid.T) {
	before := m.pipe.State()
	m.settled(t, before, m.pipe.ResyncDone(context.Background(), rapid.SampledFrom([]string{"a", "b", "nowhere"}).Draw(t, "table")))
}

func (m *pipeMachine) update(t *rapid.T) {
	before := m.pipe.State()
	name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "table")
	phase := rapid.SampledFrom(append(TablePhases(), "nonsense")).Draw(t, "phase")
	remove := rapid.Bool().Draw(t, "remove")
	err := m.pipe.Update(context.Background(), func(s *State) error {
		if remove {
			delete(s.Tables, name)
			return nil
		}
		s.Tables[name] = &TableState{Phase: phase, Load: Load{Parts: []LoadPart{{Relation: name, Blocks: 8, ChunkBlocks: 2, Done: Chunks{0, 1, 3}}}}}
		return nil
	})
	if err == nil && !remove && phase == "nonsense" {
		t.Fatal("a table was put into an unknown phase")
	}
	m.settled(t, before, err)
}

// crash opens what the store holds, as after kill -9.
func (m *pipeMachine) crash(t *rapid.T) {
	m.store.fail = nil
	before := m.pipe.State()
	old := m.pipe
	m.store = &memoryStore{state: m.store.state}
	m.open(t, false)
	after := m.pipe.State()
	if len(m.store.state) > 0 && before.Phase == Pausing {
		if after.Phase != Paused || after.PausedFrom != before.PausedFrom {
			t.Fatalf("was pausing from %s, came back %s from %s", before.PausedFrom, after.Phase, after.PausedFrom)
		}
	} else if !reflect.DeepEqual(before, after) {
		t.Fatalf("came back as\n%+v\nwas\n%+v", after, before)
	}
	_ = old.Close()
}

func (m *pipeMachine) disk(t *rapid.T) {
	m.store.fail = nil
	if rapid.Bool().Draw(t, "full") {
		m.store.fail = errDiskFull
	}
}

func (m *pipeMachine) check(t *rapid.T) {
	s := m.pipe.State()
	if reason := s.flaw(); reason != "" {
		t.Fatal(reason)
	}
	stored, err := decode("shop", m.store.state)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(stored)
	b, _ := json.Marshal(s)
	if string(a) != string(b) {
		t.Fatalf("the store has\n%s\nand memory\n%s", a, b)
	}
	served := served{m.pipe}
	m.commandsTellTheTruth(t, s, served.Status().Commands)
}

// commandsTellTheTruth checks that the commands which the API offers are those
// that would not be a conflict.
func (m *pipeMachine) commandsTellTheTruth(t *rapid.T, s State, offered []string) {
	can := map[string]bool{
		"pause":  s.Phase.pausable(),
		"resume": s.Phase == Paused || s.Phase == Failed,
	}
	for command, want := range can {
		if slices.Contains(offered, command) != want {
			t.Fatalf("while %s, %s is offered: %v", s.Phase, command, !want)
		}
	}
}
