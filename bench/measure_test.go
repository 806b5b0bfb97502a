package main

import (
	"encoding/binary"
	"os"
	"slices"
	"testing"
	"time"
)

func TestLatencies(t *testing.T) {
	began := time.Now()
	at := func(ms int, rows int64) sight {
		return sight{began.Add(time.Duration(ms) * time.Millisecond), rows}
	}
	tests := map[string]struct {
		commits, sights []sight
		want            []time.Duration
	}{
		"each seen at the first look that has all rows up to it": {
			[]sight{at(0, 10), at(10, 20), at(20, 30)},
			[]sight{at(5, 0), at(15, 15), at(25, 20), at(40, 30)},
			[]time.Duration{15 * time.Millisecond, 15 * time.Millisecond, 20 * time.Millisecond},
		},
		"a look from before the commit does not count": {
			[]sight{at(10, 10)}, []sight{at(9, 10), at(14, 10)}, []time.Duration{4 * time.Millisecond},
		},
		"one never seen has none": {[]sight{at(0, 10), at(1, 20)}, []sight{at(3, 10)}, []time.Duration{3 * time.Millisecond}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := latenciesOf(test.commits, test.sights); !slices.Equal(got, test.want) {
				t.Errorf("latencies are %v, not %v", got, test.want)
			}
		})
	}
}

func TestSpread(t *testing.T) {
	latencies := make([]time.Duration, 0, 101)
	for ms := 100; ms >= 0; ms-- {
		latencies = append(latencies, time.Duration(ms)*time.Millisecond)
	}
	want := spread{P50: 0.05, P99: 0.099, Max: 0.1, N: 101}
	if got := spreadOf(latencies); *got != want {
		t.Errorf("the spread is %+v, not %+v", *got, want)
	}
	if spreadOf(nil) != nil {
		t.Error("nothing has a spread")
	}
}

func TestChangesAreCounted(t *testing.T) {
	row := func(message string) []byte {
		b := binary.BigEndian.AppendUint16(nil, 3)
		b = append(binary.BigEndian.AppendUint32(b, 8), make([]byte, 8)...)
		b = append(binary.BigEndian.AppendUint32(b, 4), make([]byte, 4)...)
		return append(binary.BigEndian.AppendUint32(b, uint32(len(message))), message...)
	}
	header := append([]byte("PGCOPY\n\xff\r\n\x00"), make([]byte, 8)...)
	var c changeCounter
	for _, p := range [][]byte{append(header, row("B…")...), row("R…"), row("I…"), row("U…"), row("D…"), row("C…"), {0xff, 0xff}} {
		if n, err := c.Write(p); n != len(p) || err != nil {
			t.Fatalf("writing %q: %d, %v", p, n, err)
		}
	}
	if c.changes != 3 {
		t.Errorf("%d changes were counted, not 3", c.changes)
	}
}

func TestOwnProcessIsNotOther(t *testing.T) {
	processes := readProcesses()
	own, ok := processes[os.Getpid()]
	if !ok {
		t.Fatal("this process is not among all")
	}
	if !own.below(os.Getppid(), processes) {
		t.Error("this process is not below its parent")
	}
	if own.below(-1, processes) {
		t.Error("this process is below one that does not exist")
	}
	if peakRSS(os.Getpid()) < 1<<20 {
		t.Error("this process has less than a megabyte")
	}
}

func TestChoose(t *testing.T) {
	chosen, who, err := options{quick: true, scale: 1, contenders: "penstock blocks"}.choose()
	if err != nil {
		t.Fatal(err)
	}
	if len(chosen) != 2 || chosen[0].name != "mixed" || chosen[1].name != "inserts" {
		t.Errorf("quick runs %v", chosen)
	}
	if !slices.ContainsFunc(who, func(c contender) bool { return c.name == ours }) {
		t.Errorf("%q is not among the contenders", ours)
	}
	if _, _, err := (options{workloads: "no", scale: 1}).choose(); err == nil {
		t.Error("a workload that there is not was taken")
	}
	if _, _, err := (options{contenders: "no", scale: 1}).choose(); err == nil {
		t.Error("a contender that there is not was taken")
	}
}
