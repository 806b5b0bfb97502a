package shell

import (
	"context"
	"encoding/json"
	"io"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/finding"
)

func checkCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "Check both ends of a pipeline before it is run",
		ArgsUsage: "FILE",
		Description: `Reads the pipeline as run does, environment variables included, looks at the
source and at the destination, and lists what it finds as ok, warning or
problem, with the statement that mends it. Nothing is changed.

  penstock check pipeline.yaml`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print JSON: a list of findings"},
			&cli.DurationFlag{Name: "timeout", Value: time.Minute, Usage: "how long to look at most"},
		},
		Action: action(runCheck),
	}
}

// placed is a finding and the end it belongs to.
type placed struct {
	End string `json:"end"` // pipeline, source or destination
	finding.Finding
}

func runCheck(ctx context.Context, c *cli.Context, args []string) error {
	path, err := pathArgument(c, args)
	if err != nil {
		return err
	}
	p, err := readPipeline(path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Duration("timeout"))
	defer cancel()
	found := check(ctx, p)
	if ctx.Err() != nil {
		return fail(exitLate, "the check took longer than %s", c.Duration("timeout"))
	}
	if c.Bool("json") {
		err = json.NewEncoder(c.App.Writer).Encode(struct {
			Findings []placed `json:"findings"`
		}{found})
	} else {
		err = printFindings(c.App.Writer, found)
	}
	if err != nil {
		return err
	}
	problems := 0
	for _, f := range found {
		if f.Level == finding.Problem {
			problems++
		}
	}
	switch problems {
	case 0:
		return nil
	case 1:
		return fail(exitRefused, "1 problem")
	}
	return fail(exitRefused, "%d problems", problems)
}

func check(ctx context.Context, p *pipeline) []placed {
	var found []placed
	add := func(end string, list finding.List) {
		for _, f := range list {
			found = append(found, placed{end, f})
		}
	}
	var own finding.List
	for _, lint := range p.lints {
		own.Problem("file", lint, "")
	}
	if len(p.outputs) == 0 {
		own.Warn("file", "it has no output "+outputName+", so only the source is checked", "")
	}
	if own == nil {
		own.OK("file", "reads without complaint")
	}
	add("pipeline", own)
	var tables []*change.Table
	for _, in := range p.inputs {
		list, of := in.Check(ctx)
		add("source", list)
		tables = append(tables, of...)
	}
	for _, out := range p.outputs {
		add("destination", out.Check(ctx, tables))
	}
	return found
}

// printFindings prints what is fit first and what is to be done last, where it is still on the screen.
func printFindings(w io.Writer, found []placed) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, level := range []finding.Level{finding.OK, finding.Warning, finding.Problem} {
		for _, f := range found {
			if f.Level != level {
				continue
			}
			printf(t, "%s\t%s\t%s\t%s\n", f.Level, f.End, f.Subject, f.Text)
			if f.Fix != "" {
				printf(t, "\t\t\tfix: %s\n", f.Fix)
			}
		}
	}
	return t.Flush()
}
