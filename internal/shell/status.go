package shell

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/penstock/penstock/lifecycle"
	"github.com/penstock/penstock/lifecycle/api"
)

func statusCommand() *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "Show what the pipes of a running process do",
		ArgsUsage: "[pipe]",
		Description: `Shows each pipe: its phase and for how long, rows, lag, the WAL that its slot
keeps, and, for one pipe, its tables.

  penstock status
  penstock status shop --watch
  penstock status --json | jq '.pipes[].phase'`,
		Flags: append(apiFlags(),
			&cli.BoolFlag{Name: "json", Usage: "print JSON: the API's status of each pipe, with its tables"},
			&cli.BoolFlag{Name: "watch", Aliases: []string{"w"}, Usage: "show it again every second, until interrupted"},
		),
		Action: action(runStatus),
	}
}

func runStatus(ctx context.Context, c *cli.Context, args []string) error {
	if len(args) > 1 {
		return fail(exitUsage, "status takes one pipe, got %s", strings.Join(args, " "))
	}
	api, err := newClient(c)
	if err != nil {
		return err
	}
	s := &statusView{client: api, out: c.App.Writer, json: c.Bool("json")}
	if len(args) == 1 {
		s.pipe = args[0]
	}
	if c.Bool("watch") {
		return s.watch(ctx)
	}
	pipes, err := s.read(ctx)
	if err != nil {
		return err
	}
	if err := s.print(s.out, pipes, time.Now()); err != nil {
		return err
	}
	for _, p := range pipes {
		if p.Phase == string(lifecycle.Failed) {
			return fail(exitFailed, "pipe %q has failed", p.Name)
		}
	}
	return nil
}

// statusView shows one pipe, or all.
type statusView struct {
	client *client
	pipe   string // "" for all
	out    io.Writer
	json   bool
}

// pipeStatus is what --json prints of a pipe: all that the API says, but for the curves of its page.
type pipeStatus struct {
	api.Status
	Tables []api.Table `json:"tables"`
}

func (s *statusView) read(ctx context.Context) ([]pipeStatus, error) {
	wanted := []string{s.pipe}
	if s.pipe == "" {
		list, err := s.client.pipes(ctx)
		if err != nil {
			return nil, err
		}
		wanted = names(list)
	}
	pipes := make([]pipeStatus, 0, len(wanted))
	for _, name := range wanted {
		d, err := s.client.detail(ctx, name)
		if err != nil {
			return nil, err
		}
		pipes = append(pipes, pipeStatus{d.Status, d.Tables})
	}
	return pipes, nil
}

func (s *statusView) print(w io.Writer, pipes []pipeStatus, now time.Time) error {
	if s.json {
		return json.NewEncoder(w).Encode(struct {
			Pipes []pipeStatus `json:"pipes"`
		}{pipes})
	}
	if len(pipes) == 0 {
		printf(w, "no pipe is served at %s yet\n", s.client.base)
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printf(t, "PIPE\tPHASE\tFOR\tROWS\tROWS/S\tLAG\tRETAINED\tTABLES\n")
	for _, p := range pipes {
		printf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.Name, p.shownPhase(), span(now.Sub(p.Since)), thousands(p.rows()),
			thousands(int64(p.RowsPerSecond)), lag(p.Slot), retained(p.Slot), counts(p.TableCount))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, p := range pipes {
		printTrouble(w, p, now)
	}
	if len(pipes) == 1 {
		return printTables(w, pipes[0].Tables)
	}
	return nil
}

// rows is what was loaded, and the changes since the process began.
func (p *pipeStatus) rows() uint64 {
	var n uint64
	for _, t := range p.Tables {
		n += uint64(t.Rows)
		for operation, changes := range t.Changes {
			if operation != "truncate" {
				n += changes
			}
		}
	}
	return n
}

func (p *pipeStatus) shownPhase() string {
	switch {
	case p.PausedFrom != "":
		return p.Phase + " (" + p.PausedFrom + ")"
	case len(p.Degraded) > 0:
		return p.Phase + " (degraded)"
	}
	return p.Phase
}

func lag(s *api.Slot) string {
	if s == nil {
		return "-"
	}
	return size(s.LagBytes) + " " + seconds(s.LagSeconds)
}

func retained(s *api.Slot) string {
	if s == nil {
		return "-"
	}
	return size(s.RetainedBytes)
}

func counts(tables map[string]int) string {
	var parts []string
	for _, phase := range slices.Sorted(maps.Keys(tables)) {
		parts = append(parts, fmt.Sprintf("%d %s", tables[phase], phase))
	}
	if parts == nil {
		return "-"
	}
	return strings.Join(parts, ", ")
}

// printTrouble says what is wrong with a pipe, and what to do.
func printTrouble(w io.Writer, p pipeStatus, now time.Time) {
	if p.Failure != nil {
		printFailure(w, p.Name, p.Failure, now)
	}
	for _, t := range p.Tables {
		if t.Failure != nil {
			printFailure(w, p.Name+": "+t.Name, t.Failure, now)
		}
	}
	for _, d := range p.Degraded {
		printf(w, "%s: trouble at the %s for %s: %s\n", p.Name, d.Side, span(now.Sub(d.Since)), d.Reason)
	}
	if s := p.Slot; s != nil {
		if s.InvalidationReason != "" || s.WALStatus == "lost" || s.WALStatus == "unreserved" {
			printf(w, "%s: slot %s has wal_status %s %s\n", p.Name, s.Name, s.WALStatus, s.InvalidationReason)
		}
		if s.SecondsToLoss != nil {
			printf(w, "%s: at the present rate slot %s is lost in %s: resume the pipe or raise max_slot_wal_keep_size\n",
				p.Name, s.Name, span(time.Duration(*s.SecondsToLoss*float64(time.Second))))
		}
	}
}

func printFailure(w io.Writer, what string, f *api.Failure, now time.Time) {
	printf(w, "%s: failed %s ago (%s): %s\n", what, span(now.Sub(f.At)), f.Class, f.Reason)
	if f.Fix != "" {
		printf(w, "    fix: %s\n", f.Fix)
	}
}

func printTables(w io.Writer, tables []api.Table) error {
	if len(tables) == 0 {
		return nil
	}
	printf(w, "\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printf(t, "TABLE\tPHASE\tLOADED\tROWS\tINSERTS\tUPDATES\tDELETES\n")
	for _, table := range tables {
		phase := table.Phase
		if table.Resync && phase != string(lifecycle.TableResync) {
			phase += " (resync asked for)"
		}
		printf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", table.Name, phase, progress(table), thousands(table.Rows),
			thousands(table.Changes["insert"]), thousands(table.Changes["update"]), thousands(table.Changes["delete"]))
	}
	return t.Flush()
}

// progress is the share of a load that is done. Where nothing is loaded there is none.
func progress(t api.Table) string {
	if t.ChunksTotal == 0 {
		return "-"
	}
	return fmt.Sprintf("%d%%", 100*t.ChunksDone/t.ChunksTotal)
}
