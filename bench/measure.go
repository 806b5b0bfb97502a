package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sample is one run of one contender.
type sample struct {
	Workload  string  `json:"workload"`
	Contender string  `json:"contender"`
	Round     int     `json:"round"` // 0 is the warm-up, which no figure is taken from
	Seconds   float64 `json:"seconds"`
	// CPUSeconds and PeakRSS (bytes) are of the contender's own process, 0 where
	// it has none: what works inside the servers is in the two figures below.
	CPUSeconds           float64 `json:"cpu_seconds"`
	PeakRSS              int64   `json:"peak_rss_bytes"`
	PostgresCPUSeconds   float64 `json:"postgres_cpu_seconds"`
	ClickHouseCPUSeconds float64 `json:"clickhouse_cpu_seconds"`
	// OtherCPUSeconds were spent meanwhile by processes that are none of ours:
	// more than a tenth of the time spoils the sample.
	OtherCPUSeconds float64 `json:"other_cpu_seconds"`
	Parts           uint64  `json:"parts,omitempty"` // made at the destination
	Verified        string  `json:"verified"`        // how
	Error           string  `json:"error,omitempty"`
	Latency         *spread `json:"commit_to_visible,omitempty"`
}

// spread is a distribution of seconds.
type spread struct {
	P50 float64 `json:"p50_seconds"`
	P99 float64 `json:"p99_seconds"`
	Max float64 `json:"max_seconds"`
	N   int     `json:"commits"`
}

func spreadOf(latencies []time.Duration) *spread {
	if len(latencies) == 0 {
		return nil
	}
	slices.Sort(latencies)
	at := func(q float64) float64 { return latencies[int(q*float64(len(latencies)-1))].Seconds() }
	return &spread{P50: at(0.5), P99: at(0.99), Max: at(1), N: len(latencies)}
}

// clockTick is the unit of times in /proc, USER_HZ, which is 100 on every Linux
// that Go runs on.
const clockTick = 100.0

// cpu is time spent since the machine began, in seconds.
type cpu struct{ postgres, clickHouse, other float64 }

// readCPU tells apart the servers, which are descendants of this process, and
// everything that is not.
func readCPU() (cpu, error) {
	var c cpu
	busy, err := busyTime()
	if err != nil {
		return c, err
	}
	processes := readProcesses()
	ours := 0.0
	for _, p := range processes {
		if !p.below(os.Getpid(), processes) {
			continue
		}
		ours += p.self
		switch name := p.name; {
		case name == "postgres":
			// A backend that is gone has left its time to the postmaster.
			c.postgres += p.self
			if parent, ok := processes[p.parent]; !ok || parent.name != "postgres" {
				c.postgres += p.children
				ours += p.children
			}
		case strings.HasPrefix(name, "chdbhost"), strings.HasPrefix(name, "clickhouse"):
			c.clickHouse += p.self
		case p.pid == os.Getpid():
			ours += p.children
		}
	}
	c.other = busy - ours
	return c, nil
}

func (c cpu) since(before cpu) cpu {
	return cpu{max(0, c.postgres-before.postgres), max(0, c.clickHouse-before.clickHouse), max(0, c.other-before.other)}
}

// busyTime reads the first line of proc_stat(5).
func busyTime() (float64, error) {
	content, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("reading the time that the machine was busy: %w", err)
	}
	line, _, _ := strings.Cut(string(content), "\n")
	busy := 0.0
	for i, field := range strings.Fields(line)[1:] {
		// user nice system idle iowait irq softirq steal; guests are in user.
		if ticks, err := strconv.ParseFloat(field, 64); err == nil && i < 8 && i != 3 && i != 4 {
			busy += ticks
		}
	}
	return busy / clockTick, nil
}

// waitForQuiet returns when, for half a second, other processes have taken less
// than a tenth of one core, or when it has waited long enough.
func waitForQuiet(ctx context.Context, most time.Duration) {
	const window = 500 * time.Millisecond
	for deadline := time.Now().Add(most); time.Now().Before(deadline); {
		before, err := readCPU()
		if err != nil || pause(ctx, window) != nil {
			return
		}
		if now, err := readCPU(); err != nil || now.since(before).other < window.Seconds()/10 {
			return
		}
	}
}

type procTime struct {
	pid, parent    int
	name           string
	self, children float64
}

// readProcesses reads proc_pid_stat(5) of all processes.
func readProcesses() map[int]procTime {
	processes := map[int]procTime{}
	paths, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // it has just ended
		}
		line := string(content)
		first, last := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
		if first < 0 || last < first {
			continue
		}
		fields := strings.Fields(line[last+1:])
		if len(fields) < 15 {
			continue
		}
		number := func(i int) int { n, _ := strconv.Atoi(fields[i]); return n }
		p := procTime{name: line[first+1 : last], parent: number(1)}
		p.pid, _ = strconv.Atoi(strings.TrimSpace(line[:first]))
		p.self = float64(number(11)+number(12)) / clockTick
		p.children = float64(number(13)+number(14)) / clockTick
		processes[p.pid] = p
	}
	return processes
}

func (p procTime) below(ancestor int, processes map[int]procTime) bool {
	for range 64 {
		if p.pid == ancestor {
			return true
		}
		parent, ok := processes[p.parent]
		if !ok {
			return false
		}
		p = parent
	}
	return false
}

// peakRSS reads the most memory that a process has had, from VmHWM and not from
// ru_maxrss: the latter begins with that of the process that started it.
func peakRSS(pid int) int64 {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(content)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}

// childCPU is what a process that has ended has used.
func childCPU(state *os.ProcessState) float64 {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}
