package lifecycle

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// victimDir has the test binary be the process that TestKill kills.
const victimDir = "PENSTOCK_TEST_VICTIM_DIR"

// victim pauses and resumes a pipe and counts rows for ever, and says what is
// durable when it is.
func victim(dir string) {
	ctx := context.Background()
	store, err := FileStore(dir, "shop")
	if err != nil {
		panic(err)
	}
	p, err := Open(ctx, Options{Name: "shop", Store: store})
	if err != nil {
		panic(err)
	}
	say := func(what string) {
		rows := int64(0)
		if t := p.State().Tables["t"]; t != nil {
			rows = t.Load.Rows
		}
		fmt.Println(rows, what)
	}
	for {
		say("resuming")
		_, _ = p.Resume(ctx)
		_ = p.Update(ctx, func(s *State) error {
			if s.Tables["t"] == nil {
				s.Tables["t"] = &TableState{Phase: TableSnapshot}
			}
			s.Tables["t"].Load.Rows++
			return nil
		})
		say("counted")
		_, _ = p.Pause(ctx)
		say("paused")
		_ = p.To(ctx, Paused)
	}
}

// TestKill kills a process at any moment, again and again: what it said was
// durable is there, and a pause that was answered comes back as one.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	var rows int64
	for round := range 8 {
		var said int64
		var what string
		child := exec.Command(os.Args[0], "-test.run=^$")
		child.Env = append(os.Environ(), victimDir+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if _, err := fmt.Sscan(lines.Text(), &said, &what); err != nil {
				t.Fatalf("the child says %q", lines.Text())
			}
			if n == 5+7*round {
				_ = child.Process.Kill()
			}
		}
		_ = child.Wait() // it was killed
		store, err := FileStore(dir, "shop")
		if err != nil {
			t.Fatal(err)
		}
		p, err := Open(context.Background(), Options{Name: "shop", Store: store})
		if err != nil {
			t.Fatal(err)
		}
		s := p.State()
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		got := s.Tables["t"].Load.Rows
		if got < said || said < rows {
			t.Fatalf("round %d: %d rows are left, %d were durable", round, got, said)
		}
		if what == "paused" && s.Phase != Paused {
			t.Fatalf("round %d: came back %s after a pause", round, s.Phase)
		}
		rows = got
	}
}
