package lifecycle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
	"pgregory.net/rapid"
)

func TestFileStoreKeepsTheStateOverAReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "here")
	open := func() *Pipe {
		store, err := FileStore(dir, "shop")
		if err != nil {
			t.Fatal(err)
		}
		p, err := Open(context.Background(), Options{Name: "shop", Store: store})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := open()
	mustBe(t, p, Paused)
	want := p.State()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = open()
	defer p.Close()
	if got := p.State(); got.Phase != Paused || got.PausedFrom != Running || len(got.Tables) != len(want.Tables) || !got.Since.Equal(want.Since) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestFileStoreRefusesASecondProcess(t *testing.T) {
	dir := t.TempDir()
	first, err := FileStore(dir, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := FileStore(dir, "shop"); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("a second store got %v", err)
	}
	if _, err := FileStore(dir, "other"); err != nil {
		t.Errorf("a store of another name got %v", err)
	}
	// A pipe that cannot be opened gives the lock up.
	if err := first.Save(context.Background(), []byte("nonsense")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), Options{Name: "shop", Store: first}); err == nil {
		t.Fatal("opened nonsense")
	}
	again, err := FileStore(dir, "shop")
	if err != nil {
		t.Fatalf("the lock was not given up: %v", err)
	}
	_ = again.(*fileStore).Close()
}

func TestFileNamesAreSafeAndApart(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{
		"shop", "Shop.2", "../../etc/passwd", "..", ".", ".hidden", "a/b", "a%2Fb", "a\x00b", "läden", "a b", "a:b",
		strings.Repeat("x", 300), strings.Repeat("x", 301), strings.Repeat("é", 100),
	} {
		file := fileName(name)
		if file == "" || len(file) > 200 || file[0] == '.' || strings.ContainsAny(file, "/\\\x00: ") {
			t.Errorf("%q became %q", name, file)
		}
		if other, ok := seen[file]; ok {
			t.Errorf("%q and %q share %q", name, other, file)
		}
		seen[file] = name
	}
}

// TestTornStateIsRefused cuts and damages a state everywhere: no damage may go
// unseen, and none may look like a new pipe.
func TestTornStateIsRefused(t *testing.T) {
	store := &memoryStore{}
	p := mustOpen(t, Options{Store: store})
	mustBe(t, p, Resync)
	whole := bytes.Clone(store.state)
	refused := func(t *rapid.T, damaged []byte) {
		var corrupt *CorruptError
		if _, err := Open(context.Background(), Options{Name: "shop", Store: &memoryStore{state: damaged}}); !errors.As(err, &corrupt) {
			t.Fatalf("%q gave %v", damaged, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		// The line feed at the end carries nothing.
		at := rapid.IntRange(0, len(whole)-2).Draw(t, "at")
		refused(t, append([]byte{}, whole[:at]...))
		flipped := bytes.Clone(whole)
		flipped[at] ^= byte(1 << rapid.IntRange(0, 7).Draw(t, "bit"))
		refused(t, flipped)
		refused(t, append(bytes.Clone(whole), whole[at]))
	})
}

func TestImpossibleStatesAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil  func(*State)
		reason string
	}{
		"foreign":            {func(s *State) { s.Pipe = "other" }, `it belongs to pipe "other"`},
		"unknown phase":      {func(s *State) { s.Phase = "flying" }, `there is no phase "flying"`},
		"paused from where":  {func(s *State) { s.Phase = Paused }, `it is paused, paused from ""`},
		"paused from failed": {func(s *State) { s.Phase, s.PausedFrom = Paused, Failed }, `paused from "failed"`},
		"failed without why": {func(s *State) { s.Phase, s.FailedFrom = Failed, Running }, "its failure says otherwise"},
		"running and failed": {func(s *State) { s.Phase, s.Failure = Running, &Failure{Class: "x"} }, "its failure says otherwise"},
		"table phase":        {func(s *State) { s.Tables["a"] = &TableState{} }, `table "a" is in no known phase`},
		"table nil":          {func(s *State) { s.Tables["a"] = nil }, `table "a" is in no known phase`},
		"resync of nothing":  {func(s *State) { s.Resync = []string{"a"} }, `asks for a resync of "a"`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newState(Options{Name: "shop"})
			tc.spoil(s)
			stored, err := (&encoder{}).encode(s)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(context.Background(), Options{Name: "shop", Store: &memoryStore{state: stored}})
			if err == nil || !strings.Contains(err.Error(), tc.reason) {
				t.Errorf("got %v, want %q", err, tc.reason)
			}
		})
	}
}

// TestEncoderWritesWhatJSONWould: what it remembers of tables must never be old.
func TestEncoderWritesWhatJSONWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := &encoder{}
		s := newState(Options{Name: "shop"})
		names := rapid.SampledFrom([]string{"public.a", "public.b", `odd."na<me`})
		t.Repeat(map[string]func(*rapid.T){
			"remove": func(t *rapid.T) { delete(s.Tables, names.Draw(t, "table")) },
			"change": func(t *rapid.T) {
				s = s.clone()
				name := names.Draw(t, "table")
				table := s.Tables[name]
				if table == nil {
					table = &TableState{Phase: TablePending, Load: Load{Parts: []LoadPart{{Relation: name}}}}
					s.Tables[name] = table
				}
				switch rapid.IntRange(0, 5).Draw(t, "field") {
				case 0:
					table.Phase = rapid.SampledFrom(TablePhases()).Draw(t, "phase")
				case 1:
					table.Load.Parts[0].Done.Add(rapid.Uint32Range(0, 9).Draw(t, "chunk"))
				case 2:
					table.Definition = map[string]any{"version": rapid.String().Draw(t, "version")}
				case 3:
					table.Failure = &Failure{Reason: rapid.String().Draw(t, "reason")}
				case 4:
					table.Load.Rows++
				case 5:
					table.Load.Complete = !table.Load.Complete
				}
			},
			"": func(t *rapid.T) {
				got, err := e.body(s)
				if err != nil {
					t.Fatal(err)
				}
				want, err := json.Marshal(s)
				if err != nil {
					t.Fatal(err)
				}
				if string(got) != string(want) {
					t.Fatalf("got\n%s\nwant\n%s", got, want)
				}
			},
		})
	})
}

func TestNewerFormatIsRefused(t *testing.T) {
	stored := []byte("penstock-state format=2 bytes=2 crc32c=00000000\n{}\n")
	_, err := Open(context.Background(), Options{Name: "shop", Store: &memoryStore{state: stored}})
	if err == nil || !strings.Contains(err.Error(), "it has format 2, and this version of Penstock reads format 1") {
		t.Errorf("got %v", err)
	}
}

func TestEmptyFileIsTornAndNotNew(t *testing.T) {
	dir := t.TempDir()
	store, err := FileStore(dir, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "shop.state"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var corrupt *CorruptError
	if _, err := Open(context.Background(), Options{Name: "shop", Store: store}); !errors.As(err, &corrupt) {
		t.Errorf("got %v", err)
	}
}

func TestCacheStore(t *testing.T) {
	mgr := service.MockResources(service.MockResourcesOptAddCache("state"))
	p := mustOpen(t, Options{Store: CacheStore(mgr, "state", "shop"), Host: NewHost()})
	mustBe(t, p, Running)
	again := mustOpen(t, Options{Store: CacheStore(mgr, "state", "shop"), Host: NewHost()})
	if again.Phase() != Running {
		t.Errorf("came back %s", again.Phase())
	}
	if _, err := Open(context.Background(), Options{Name: "shop", Store: CacheStore(mgr, "missing", "shop")}); err == nil {
		t.Error("a cache that is not there gave no error")
	}
}

func TestChunksSurviveJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var set Chunks
		want := map[uint32]bool{}
		for _, n := range rapid.SliceOf(rapid.Uint32Range(0, 200)).Draw(t, "chunks") {
			set.Add(n)
			want[n] = true
		}
		text, err := set.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var back Chunks
		if err := back.UnmarshalJSON(text); err != nil {
			t.Fatal(err)
		}
		if len(back) != len(want) {
			t.Fatalf("%s has %d chunks, want %d", text, len(back), len(want))
		}
		for n := range uint32(201) {
			if back.Has(n) != want[n] {
				t.Fatalf("%s has chunk %d: %v", text, n, back.Has(n))
			}
		}
	})
	for _, bad := range []string{`"1-"`, `"-"`, `"3-1"`, `"x"`, `"0-4294967295"`, `"5,3"`, `"1,1"`, `7`} {
		var c Chunks
		if err := c.UnmarshalJSON([]byte(bad)); err == nil {
			t.Errorf("%s was read as %v", bad, c)
		}
	}
}
