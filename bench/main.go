// Command bench compares Penstock with other ways from PostgreSQL to
// ClickHouse, on the same tables, on this machine, in one run: every contender
// gets the same servers with the same durability, a warm-up that does not
// count, and its turns between those of the others; and after every run the
// rows are compared with the source.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

type options struct {
	workloads, contenders string
	repeats               int
	scale                 float64
	quick                 bool
	quiet                 time.Duration
	postgres              int
	results, profiles     string
	penstock              string
	input, output         string
}

func main() {
	var o options
	flag.StringVar(&o.workloads, "workloads", "", "comma-separated workloads; all by default")
	flag.StringVar(&o.contenders, "contenders", "", "comma-separated beginnings of the names of contenders; all by default")
	flag.IntVar(&o.repeats, "repeats", 0, "runs of each contender, without the warm-up; 5 by default, 3 with -quick")
	flag.Float64Var(&o.scale, "scale", 0, "multiplies the rows of the workloads; half of them with -quick")
	flag.BoolVar(&o.quick, "quick", false, "the workloads mixed and inserts only")
	flag.DurationVar(&o.quiet, "quiet", 0, "how long to wait, before each run, for other processes to leave the machine alone; if they do not during a run, it is repeated")
	flag.IntVar(&o.postgres, "postgres", 0, "major version of PostgreSQL, 14 to 18")
	flag.StringVar(&o.results, "results", filepath.Join("bench", "results.json"), "where every sample is written to")
	flag.StringVar(&o.profiles, "profiles", "", "folder to write profiles of penstock to, from one more run that does not count")
	flag.StringVar(&o.penstock, "penstock", "", "the program to measure; built from this source tree by default")
	flag.StringVar(&o.input, "input", "", `more fields of penstock's input, such as "sync_interval: 200ms; sync_max_rows: 20000"`)
	flag.StringVar(&o.output, "output", "", "more fields of penstock's output")
	list := flag.Bool("list", false, "list workloads and contenders")
	flag.Parse()
	o.setDefaults()
	if *list {
		printLists(o.scale)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// setDefaults sets what depends on -quick.
func (o *options) setDefaults() {
	repeats, scale := 5, 1.0
	if o.quick {
		repeats, scale = 3, 0.5
	}
	if o.repeats == 0 {
		o.repeats = repeats
	}
	if o.scale == 0 {
		o.scale = scale
	}
}

func printLists(scale float64) {
	fmt.Println("workloads:")
	for _, w := range workloads(scale) {
		fmt.Printf("  %-12s %s\n", w.name, w.title)
	}
	fmt.Println("contenders:")
	for _, c := range contenders() {
		fmt.Printf("  %-27s %s\n", c.name, c.what)
		if c.missing != "" {
			fmt.Printf("  %-27s (%s)\n", "", c.missing)
		}
	}
}

func run(ctx context.Context, o options) (err error) {
	chosen, who, err := o.choose()
	if err != nil {
		return err
	}
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o755); err != nil {
			return fmt.Errorf("making the folder of the profiles: %w", err)
		}
	}
	if o.penstock == "" {
		folder, err := os.MkdirTemp("", "penstock-bench-")
		if err != nil {
			return fmt.Errorf("making a folder for the program: %w", err)
		}
		defer os.RemoveAll(folder)
		if o.penstock, err = buildPenstock(ctx, folder); err != nil {
			return err
		}
	}
	s, err := startStack(ctx, o.postgres, os.Stdout)
	defer func() { err = errors.Join(err, s.stop()) }()
	if err != nil {
		return err
	}
	r, err := newReport(ctx, s, o)
	if err != nil {
		return err
	}
	for _, w := range chosen {
		if err := compete(ctx, s, w, who, o, r); err != nil {
			return fmt.Errorf("workload %s: %w", w.name, err)
		}
		// After each, so that a run that is ended early leaves something.
		if err := r.write(o.results); err != nil {
			return err
		}
	}
	fmt.Printf("\nevery sample is in %s\n", o.results)
	return nil
}

// choose returns the workloads and contenders that take part.
func (o options) choose() (chosen []workload, who []contender, err error) {
	all := workloads(o.scale)
	names := strings.Split(o.workloads, ",")
	switch {
	case o.workloads != "":
	case o.quick:
		names = []string{"mixed", "inserts"}
	default:
		names = nil
		for _, w := range all {
			names = append(names, w.name)
		}
	}
	for _, name := range names {
		i := slices.IndexFunc(all, func(w workload) bool { return w.name == strings.TrimSpace(name) })
		if i < 0 {
			return nil, nil, fmt.Errorf("there is no workload %q; -list tells which there are", name)
		}
		chosen = append(chosen, all[i])
	}
	for _, c := range contenders() {
		for _, prefix := range strings.Split(o.contenders, ",") {
			if strings.HasPrefix(c.name, strings.TrimSpace(prefix)) {
				who = append(who, c)
				break
			}
		}
	}
	if len(who) == 0 {
		return nil, nil, fmt.Errorf("there is no contender %q; -list tells which there are", o.contenders)
	}
	return chosen, who, nil
}
