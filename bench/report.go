package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is what results.json holds.
type report struct {
	Began    time.Time         `json:"began"`
	Machine  machine           `json:"machine"`
	Versions map[string]string `json:"versions"`
	Repeats  int               `json:"repeats"`
	// Loaded says that other processes took more than a tenth of the machine
	// during all runs of some contender: its figures are then no better than hints.
	Loaded    bool             `json:"loaded"`
	Workloads []workloadResult `json:"workloads"`
	Samples   []sample         `json:"samples"`
}

type machine struct {
	CPU         string `json:"cpu"`
	Cores       int    `json:"cores"`
	MemoryBytes int64  `json:"memory_bytes"`
	Kernel      string `json:"kernel"`
}

// workloadResult is what a workload was, and what came of it.
type workloadResult struct {
	Name         string   `json:"name"`
	Title        string   `json:"title"`
	Tables       int      `json:"tables"`
	Rows         int64    `json:"rows"`
	Bytes        int64    `json:"bytes"`
	Transactions int64    `json:"transactions,omitempty"`
	Results      []result `json:"results"`
	Notes        []string `json:"notes,omitempty"`
}

// result sums up the runs of one contender, without its warm-up.
type result struct {
	Contender           string  `json:"contender"`
	Median              float64 `json:"median_seconds"`
	Min                 float64 `json:"min_seconds"`
	Max                 float64 `json:"max_seconds"`
	RowsPerSecond       float64 `json:"rows_per_second"`
	MegabytesPerSecond  float64 `json:"megabytes_per_second"`
	CPUSeconds          float64 `json:"cpu_seconds"`
	CPUMicrosecondsARow float64 `json:"cpu_microseconds_per_row"`
	PostgresCPU         float64 `json:"postgres_cpu_seconds"`
	ClickHouseCPU       float64 `json:"clickhouse_cpu_seconds"`
	OtherCPU            float64 `json:"other_cpu_seconds"`
	PeakRSS             int64   `json:"peak_rss_bytes"`
	Parts               uint64  `json:"parts,omitempty"`
	// Ratio is the median's to that of Penstock with blocks: above 1 is slower.
	Ratio    float64 `json:"ratio_to_penstock,omitempty"`
	Latency  *spread `json:"commit_to_visible,omitempty"`
	Verified string  `json:"verified"`
	Runs     int     `json:"runs"` // that count
	Errors   int     `json:"errors,omitempty"`
}

func newReport(ctx context.Context, s *stack, o options) (*report, error) {
	r := &report{Began: time.Now().UTC(), Repeats: o.repeats, Versions: map[string]string{"go": runtime.Version()}}
	r.Machine = machine{CPU: procField("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU()}
	_, _ = fmt.Sscanf(procField("/proc/meminfo", "MemTotal"), "%d", &r.Machine.MemoryBytes)
	r.Machine.MemoryBytes <<= 10
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		r.Machine.Kernel = strings.TrimSpace(string(release))
	}
	var clickHouse string
	if err := s.admin.QueryRow(ctx, "SELECT version()").Scan(&clickHouse); err != nil {
		return nil, fmt.Errorf("asking ClickHouse for its version: %w", err)
	}
	r.Versions["clickhouse"] = clickHouse
	conn, err := s.connect(ctx, s.postgres.DSN())
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	r.Versions["postgresql"] = conn.PgConn().ParameterStatus("server_version")
	if commit, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output(); err == nil {
		r.Versions["penstock"] = strings.TrimSpace(string(commit))
	}
	if path, missing := findRecvlogical(); missing == "" {
		version, _ := exec.CommandContext(ctx, path, "--version").Output()
		r.Versions["pg_recvlogical"] = strings.TrimSpace(string(version))
	}
	return r, nil
}

// procField returns a field of a file of /proc that has lines "name : value".
func procField(path, name string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func (r *report) workload(name string) *workloadResult {
	i := slices.IndexFunc(r.Workloads, func(w workloadResult) bool { return w.Name == name })
	return &r.Workloads[i]
}

func (r *report) prepared(a *arena) {
	r.Workloads = append(r.Workloads, workloadResult{
		Name: a.workload.name, Title: a.title, Tables: len(a.tables), Rows: a.rows, Bytes: a.bytes, Transactions: a.transactions,
	})
}

func (r *report) missing(w workload, c contender) {
	into := r.workload(w.name)
	into.Notes = append(into.Notes, c.name+" did not take part: "+c.missing)
}

// add takes a sample and tells it at once.
func (r *report) add(s sample) {
	r.Samples = append(r.Samples, s)
	what := fmt.Sprintf("%8.2f s", s.Seconds)
	if s.Error != "" {
		what = "failed: " + s.Error
		into := r.workload(s.Workload)
		into.Notes = append(into.Notes, fmt.Sprintf("%s, round %d: %s", s.Contender, s.Round, s.Error))
	}
	round := fmt.Sprintf("round %d", s.Round)
	if s.Round == 0 {
		round = "warm-up"
	}
	load := ""
	if s.spoiled() {
		load = fmt.Sprintf("  (other processes took %.1f s of CPU)", s.OtherCPUSeconds)
	}
	fmt.Printf("  %-8s %-27s %s%s\n", round, s.Contender, what, load)
}

// spoiled says that others took more than a tenth of the machine.
func (s sample) spoiled() bool {
	return s.OtherCPUSeconds > 0.1*s.Seconds*float64(runtime.NumCPU())
}

// sum makes the results of a workload of its samples.
func (r *report) sum(w workload) []result {
	var results []result
	for _, c := range contenders() {
		var runs []sample
		errors := 0
		for _, s := range r.Samples {
			switch {
			case s.Workload != w.name || s.Contender != c.name:
			case s.Error != "":
				errors++
			case s.Round > 0:
				runs = append(runs, s)
			}
		}
		quiet := slices.DeleteFunc(slices.Clone(runs), sample.spoiled)
		switch {
		case len(quiet) > 0:
			runs = quiet
		case len(runs) > 0:
			r.Loaded = true
		}
		if len(runs) > 0 {
			results = append(results, r.sumRuns(c.name, runs, errors, *r.workload(w.name)))
		}
	}
	for i := range results {
		if results[0].Contender == ours {
			results[i].Ratio = results[i].Median / results[0].Median
		}
	}
	return results
}

func (r *report) sumRuns(contender string, runs []sample, errors int, w workloadResult) result {
	median := func(of func(sample) float64) float64 {
		values := make([]float64, len(runs))
		for i, s := range runs {
			values[i] = of(s)
		}
		slices.Sort(values)
		return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
	}
	seconds := func(s sample) float64 { return s.Seconds }
	sum := result{
		Contender: contender, Runs: len(runs), Errors: errors, Verified: runs[0].Verified,
		Median: median(seconds), Min: runs[0].Seconds, Max: runs[0].Seconds,
		CPUSeconds:    median(func(s sample) float64 { return s.CPUSeconds }),
		PostgresCPU:   median(func(s sample) float64 { return s.PostgresCPUSeconds }),
		ClickHouseCPU: median(func(s sample) float64 { return s.ClickHouseCPUSeconds }),
		OtherCPU:      median(func(s sample) float64 { return s.OtherCPUSeconds }),
		Parts:         uint64(median(func(s sample) float64 { return float64(s.Parts) })),
	}
	for _, s := range runs {
		sum.Min, sum.Max = min(sum.Min, s.Seconds), max(sum.Max, s.Seconds)
		sum.PeakRSS = max(sum.PeakRSS, s.PeakRSS)
		if s.Latency != nil && (sum.Latency == nil || s.Latency.P99 < sum.Latency.P99) {
			sum.Latency = s.Latency
		}
	}
	rows := float64(w.Rows)
	sum.RowsPerSecond, sum.MegabytesPerSecond = rows/sum.Median, float64(w.Bytes)/1e6/sum.Median
	if rows > 0 {
		sum.CPUMicrosecondsARow = sum.CPUSeconds / rows * 1e6
	}
	return sum
}

func (r *report) write(path string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	if err := os.WriteFile(path, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}
