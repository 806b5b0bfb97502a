package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/penstock/penstock/internal/change"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		victim(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

func TestPausedStaysPausedAndFailedStaysFailed(t *testing.T) {
	for _, phase := range Phases() {
		t.Run(string(phase), func(t *testing.T) {
			store := &memoryStore{}
			p := mustOpen(t, Options{Store: store})
			mustBe(t, p, phase)
			// The other process: what the store has, nothing else.
			back := mustOpen(t, Options{Store: &memoryStore{state: store.state}})
			want := phase
			if phase == Pausing {
				want = Paused // nothing is in flight any more
			}
			if back.Phase() != want {
				t.Errorf("came back %s, want %s", back.Phase(), want)
			}
			if phase == Failed && back.State().Failure.Fix != "raise max_slot_wal_keep_size" {
				t.Errorf("came back with failure %+v", back.State().Failure)
			}
			if phase == Resync && fmt.Sprint(back.ResyncWanted()) != "[public.orders public.users]" {
				t.Errorf("came back wanting %v", back.ResyncWanted())
			}
		})
	}
}

func TestStartPaused(t *testing.T) {
	store := &memoryStore{}
	p := mustOpen(t, Options{Store: store, StartPaused: true})
	if p.Phase() != Paused {
		t.Fatalf("phase is %s", p.Phase())
	}
	if _, err := p.Resume(context.Background()); err != nil || p.Phase() != Provisioning {
		t.Fatalf("resuming: %v, phase %s", err, p.Phase())
	}
	back := mustOpen(t, Options{Store: &memoryStore{state: store.state}, StartPaused: true})
	if back.Phase() != Provisioning {
		t.Errorf("a pipe that was resumed came back %s", back.Phase())
	}
}

func TestCommands(t *testing.T) {
	ctx := context.Background()
	pause := func(p *Pipe) (Outcome, error) { return p.Pause(ctx) }
	resume := func(p *Pipe) (Outcome, error) { return p.Resume(ctx) }
	resync := func(tables ...string) func(p *Pipe) (Outcome, error) {
		return func(p *Pipe) (Outcome, error) { return p.Resync(ctx, tables) }
	}
	for _, tc := range []struct {
		name     string
		in       Phase
		do       func(p *Pipe) (Outcome, error)
		want     Outcome
		conflict string
		then     Phase
	}{
		{"pause provisioning", Provisioning, pause, Accepted, "", Pausing},
		{"pause setup", Setup, pause, Accepted, "", Pausing},
		{"pause snapshot", Snapshot, pause, Accepted, "", Pausing},
		{"pause running", Running, pause, Accepted, "", Pausing},
		{"pause resync", Resync, pause, Accepted, "", Pausing},
		{"pause pausing", Pausing, pause, Already, "", Pausing},
		{"pause paused", Paused, pause, Already, "", Paused},
		{"pause failed", Failed, pause, 0, "it reads nothing until somebody resumes it", Failed},
		{"pause completed", Completed, pause, 0, "it has nothing left to read", Completed},
		{"resume running", Running, resume, Already, "", Running},
		{"resume snapshot", Snapshot, resume, Already, "", Snapshot},
		{"resume pausing", Pausing, resume, 0, "still draining", Pausing},
		{"resume paused", Paused, resume, Accepted, "", Running},
		{"resume failed", Failed, resume, Accepted, "", Running},
		{"resume completed", Completed, resume, 0, "nothing left to do", Completed},
		{"resync running", Running, resync(), Accepted, "", Running},
		{"resync one", Running, resync("public.users"), Accepted, "", Running},
		{"resync resync", Resync, resync(), Already, "", Resync},
		{"resync one again", Resync, resync("public.users"), Already, "", Resync},
		{"resync completed", Completed, resync(), 0, "its process ends", Completed},
		{"resync failed", Failed, resync(), Accepted, "", Failed},
		{"resync snapshot", Snapshot, resync(), 0, "the first load is not over", Snapshot},
		{"resync provisioning", Provisioning, resync(), 0, "the first load is not over", Provisioning},
		{"resync paused", Paused, resync(), 0, "a paused pipe reads nothing", Paused},
		{"resync pausing", Pausing, resync(), 0, "a paused pipe reads nothing", Pausing},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := mustOpen(t, Options{})
			mustBe(t, p, tc.in)
			changed := p.Changed()
			got, err := tc.do(p)
			var conflict *Conflict
			if errors.As(err, &conflict) != (tc.conflict != "") || conflict != nil && !strings.Contains(conflict.Reason, tc.conflict) {
				t.Errorf("got error %v, want %q", err, tc.conflict)
			}
			if conflict == nil && err != nil {
				t.Error(err)
			}
			if got != tc.want || p.Phase() != tc.then {
				t.Errorf("got %v and phase %s, want %v and %s", got, p.Phase(), tc.want, tc.then)
			}
			select {
			case <-changed:
				if tc.want != Accepted {
					t.Error("the driver was woken for nothing")
				}
			default:
				if tc.want == Accepted {
					t.Error("the driver was not woken")
				}
			}
		})
	}
}

func TestResync(t *testing.T) {
	ctx := context.Background()
	p := mustOpen(t, Options{})
	mustBe(t, p, Running)
	var unknown *UnknownTable
	if _, err := p.Resync(ctx, []string{"public.users", "public.nothing"}); !errors.As(err, &unknown) || len(p.ResyncWanted()) > 0 {
		t.Fatalf("got %v and wanted %v", err, p.ResyncWanted())
	}
	if err := p.Update(ctx, func(s *State) error {
		s.Tables["public.gone"] = &TableState{Phase: TableRemoved}
		s.Tables["public.new"] = &TableState{Phase: TableSnapshot}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var conflict *Conflict
	for _, table := range []string{"public.gone", "public.new"} {
		if _, err := p.Resync(ctx, []string{table}); !errors.As(err, &conflict) {
			t.Errorf("%s: got %v", table, err)
		}
	}
	if _, err := p.Resync(ctx, nil); err != nil || !p.State().ResyncWhole {
		t.Fatal(err)
	}
	if got := fmt.Sprint(p.ResyncWanted()); got != "[public.orders public.users]" {
		t.Fatalf("wanted %s", got)
	}
	for _, table := range []string{"public.users", "public.users", "public.orders"} {
		if err := p.ResyncDone(ctx, table); err != nil {
			t.Fatal(err)
		}
	}
	if s := p.State(); len(s.Resync) > 0 || s.ResyncWhole {
		t.Errorf("left are %v, whole %v", s.Resync, s.ResyncWhole)
	}
}

func TestFailureWhileRestingResumesToWhereThePauseBegan(t *testing.T) {
	ctx := context.Background()
	p := mustOpen(t, Options{})
	mustBe(t, p, Snapshot)
	if _, err := p.Pause(ctx); err != nil {
		t.Fatal(err)
	}
	for _, class := range []string{"slot_lost", "slot_still_lost"} {
		if err := p.Fail(ctx, &Failure{Class: class, Reason: "gone"}); err != nil {
			t.Fatal(err)
		}
	}
	if s := p.State(); s.Phase != Failed || s.FailedFrom != Snapshot || s.PausedFrom != "" || s.Failure.Class != "slot_still_lost" {
		t.Fatalf("got %+v", s)
	}
	if _, err := p.Resume(ctx); err != nil || p.Phase() != Snapshot || p.State().Failure != nil {
		t.Errorf("resuming: %v, phase %s, failure %v", err, p.Phase(), p.State().Failure)
	}
}

func TestUpdateCannotChangeThePhase(t *testing.T) {
	p := mustOpen(t, Options{})
	err := p.Update(context.Background(), func(s *State) error {
		s.Phase = Running
		return nil
	})
	if err == nil || p.Phase() != Provisioning {
		t.Errorf("got %v, phase %s", err, p.Phase())
	}
}

// TestStateIsACopy: what a caller does to a State must not reach the pipe.
func TestStateIsACopy(t *testing.T) {
	p := mustOpen(t, Options{})
	mustBe(t, p, Running)
	if err := p.Update(context.Background(), func(s *State) error {
		s.Tables["public.users"].Load.Parts = []LoadPart{{Relation: "public.users", Blocks: 10, ChunkBlocks: 5, Done: Chunks{0}}}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	s := p.State()
	s.Tables["public.users"].Load.Parts[0].Done[0] = 1
	s.Tables["public.users"].Phase = TableFailed
	delete(s.Tables, "public.orders")
	if s := p.State(); len(s.Tables) != 2 || s.Tables["public.users"].Phase != TableRunning || s.Tables["public.users"].Load.Parts[0].Done[0] != 0 {
		t.Errorf("the pipe's state became %+v", s.Tables["public.users"])
	}
}

// TestUpdatesThatMeetAreSavedTogether: while one save is under way, a hundred
// updates wait, and one more save takes them all.
func TestUpdatesThatMeetAreSavedTogether(t *testing.T) {
	store := &memoryStore{}
	p := mustOpen(t, Options{Store: store})
	if err := p.Update(context.Background(), func(s *State) error {
		s.Tables["t"] = &TableState{Phase: TableSnapshot, Load: Load{Parts: []LoadPart{{Relation: "t", Blocks: 100, ChunkBlocks: 1}}}}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	hold, held := make(chan struct{}), make(chan struct{})
	store.mu.Lock()
	store.hold, store.held = hold, held
	before := store.saves
	store.mu.Unlock()

	var all, seen sync.WaitGroup
	finish := func(n uint32) {
		seen.Add(1)
		all.Go(func() {
			if err := p.Update(context.Background(), func(s *State) error {
				defer seen.Done()
				s.Tables["t"].Load.Parts[0].Done.Add(n)
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	finish(0)
	<-held
	if p.State().Tables["t"].Load.Parts[0].Done.Has(0) {
		t.Error("a chunk is shown done that is not durable")
	}
	for n := uint32(1); n < 100; n++ {
		finish(n)
	}
	seen.Wait() // each has been applied, none is durable
	close(hold)
	all.Wait()
	if saves := store.saves - before; saves != 2 {
		t.Errorf("took %d saves, want 2", saves)
	}
	if done := len(p.State().Tables["t"].Load.Parts[0].Done); done != 100 {
		t.Errorf("%d chunks are done", done)
	}
}

// TestFailedSaveUndoesWhatWasBuiltUponIt: a change that came while a save was
// under way saw its state; if that save fails, both never happened.
func TestFailedSaveUndoesWhatWasBuiltUponIt(t *testing.T) {
	ctx := context.Background()
	store := &memoryStore{}
	p := mustOpen(t, Options{Store: store})
	mustBe(t, p, Running)
	hold, held := make(chan struct{}), make(chan struct{})
	store.mu.Lock()
	store.hold, store.held, store.fail = hold, held, errDiskFull
	store.mu.Unlock()
	results := make(chan error, 2)
	go func() {
		_, err := p.Pause(ctx)
		results <- err
	}()
	<-held
	entered := make(chan struct{})
	go func() {
		results <- p.Update(ctx, func(s *State) error {
			defer close(entered)
			if s.Phase != Pausing {
				t.Errorf("the update saw phase %s", s.Phase)
			}
			return nil
		})
	}()
	<-entered
	close(hold)
	for range 2 {
		if err := <-results; !errors.Is(err, errDiskFull) {
			t.Errorf("got %v", err)
		}
	}
	if p.Phase() != Running {
		t.Errorf("phase is %s", p.Phase())
	}
	store.mu.Lock()
	store.fail, store.hold = nil, nil
	store.mu.Unlock()
	if _, err := p.Pause(ctx); err != nil || p.Phase() != Pausing {
		t.Errorf("pausing again: %v, phase %s", err, p.Phase())
	}
}

func TestHundredParallelCommands(t *testing.T) {
	ctx := context.Background()
	store := &memoryStore{}
	p := mustOpen(t, Options{Store: store})
	mustBe(t, p, Running)
	stop, driven := make(chan struct{}), make(chan struct{})
	go func() { // a driver that obeys
		defer close(driven)
		for {
			changed := p.Changed()
			switch p.Phase() {
			case Pausing:
				_ = p.To(ctx, Paused)
			case Running:
				if len(p.ResyncWanted()) > 0 {
					_ = p.To(ctx, Resync)
				}
			case Resync:
				for _, table := range p.ResyncWanted() {
					_ = p.ResyncDone(ctx, table)
				}
				_ = p.To(ctx, Running)
			}
			select {
			case <-changed:
			case <-stop:
				return
			}
		}
	}()
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			var err error
			switch i % 4 {
			case 0:
				_, err = p.Pause(ctx)
			case 1:
				_, err = p.Resume(ctx)
			case 2:
				_, err = p.Resync(ctx, nil)
			case 3:
				p.Table("public.users").Changes(change.Insert, 1)
				_ = served{p}.Status()
				err = p.Update(ctx, func(s *State) error { s.Tables["public.users"].Load.Rows++; return nil })
			}
			var conflict *Conflict
			if err != nil && !errors.As(err, &conflict) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(stop)
	<-driven
	if rows := p.State().Tables["public.users"].Load.Rows; rows != 25 {
		t.Errorf("%d of 25 updates are left", rows)
	}
	back := mustOpen(t, Options{Store: &memoryStore{state: store.state}})
	if s := back.State(); s.Tables["public.users"].Load.Rows != 25 {
		t.Errorf("after a crash %d of 25 updates are left", s.Tables["public.users"].Load.Rows)
	}
}

func TestClosedPipe(t *testing.T) {
	p, err := Open(context.Background(), Options{Name: "shop", Store: &memoryStore{}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Pause(context.Background()); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestSecretsNeverReachAFailure(t *testing.T) {
	for in, want := range map[string]string{
		"dialing postgres://app:hunter2@db:5432/shop failed":   "dialing postgres://app:xxxxx@db:5432/shop failed",
		"dialing postgres://app:hun@ter2@db/shop":              "dialing postgres://app:xxxxx@db/shop",
		"clickhouse://default:s3cret@a:9000,b:9000/db is down": "clickhouse://default:xxxxx@a:9000,b:9000/db is down",
		"host=db user=app password=hunter2 dbname=x":           "host=db user=app password=xxxxx dbname=x",
		"password='hun ter2' dbname=x":                         "password=xxxxx dbname=x",
		"https://docs.example.com/a:b@c":                       "https://docs.example.com/a:b@c",
		"nothing to hide":                                      "nothing to hide",
	} {
		if got := withoutSecrets(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	p := mustOpen(t, Options{})
	if err := p.Fail(context.Background(), &Failure{Class: "authentication", Reason: "postgres://app:hunter2@db refused"}); err != nil {
		t.Fatal(err)
	}
	p.Degrade(errors.New("postgres://app:hunter2@db refused"))
	if s := p.Status(); strings.Contains(fmt.Sprintf("%+v %+v", s.Failure, s.Degraded), "hunter2") {
		t.Errorf("got %+v", s)
	}
}

func TestNilTableProgressTakesEverything(t *testing.T) {
	var p *Pipe
	table := p.Table("a")
	table.SetPhase(TableRunning)
	table.SetFailed(nil)
	table.RowsRead(1)
	table.Chunks(1, 2)
	table.Changes(change.Insert, 1)
}
