package shell

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/penstock/penstock/lifecycle"
	"github.com/penstock/penstock/lifecycle/api"
)

// pollInterval is how often --wait looks.
const pollInterval = 100 * time.Millisecond

// settled is how long a resumed pipe must have stayed out of failed to be taken for resumed: what made it fail shows at
// the first thing it does.
const settled = time.Second

func commandFlags() []cli.Flag {
	return append(apiFlags(),
		&cli.BoolFlag{Name: "wait", Usage: "return when it has taken effect"},
		&cli.DurationFlag{Name: "timeout", Value: time.Minute, Usage: "how long to wait at most, with --wait"},
	)
}

func pauseCommand() *cli.Command {
	return &cli.Command{
		Name:      "pause",
		Usage:     "Pause a pipe: drain what is in flight, read nothing more",
		ArgsUsage: "[pipe]",
		Description: `The wish is durable when the command returns: a pipe that is killed afterwards
comes back paused. The slot is kept, and keeps WAL at the source. With one
pipe, its name may be left out.

  penstock pause --wait`,
		Flags:  commandFlags(),
		Action: action(runPause),
	}
}

func resumeCommand() *cli.Command {
	return &cli.Command{
		Name:      "resume",
		Usage:     "Resume a pipe that is paused, or that has failed",
		ArgsUsage: "[pipe]",
		Description: `A paused pipe goes on where it was; one that has failed tries again from the
phase it failed in.

  penstock resume shop --wait`,
		Flags:  commandFlags(),
		Action: action(runResume),
	}
}

func resyncCommand() *cli.Command {
	return &cli.Command{
		Name:      "resync",
		Usage:     "Load tables anew and swap them in, while the old ones serve",
		ArgsUsage: "[pipe] [table…]",
		Description: `Without tables, all tables of the pipe are loaded anew. With one pipe, its name
may be left out.

  penstock resync shop
  penstock resync public.orders public.customers --wait --timeout 1h`,
		Flags:  commandFlags(),
		Action: action(runResync),
	}
}

func runPause(ctx context.Context, c *cli.Context, args []string) error {
	cmd, err := newCommand(ctx, c, args)
	if err != nil {
		return err
	}
	return cmd.run(ctx, "pause", nil, func(d api.PipeDetail) bool { return d.Phase == string(lifecycle.Paused) })
}

func runResume(ctx context.Context, c *cli.Context, args []string) error {
	cmd, err := newCommand(ctx, c, args)
	if err != nil {
		return err
	}
	return cmd.run(ctx, "resume", nil, func(d api.PipeDetail) bool {
		switch lifecycle.Phase(d.Phase) {
		case lifecycle.Snapshot, lifecycle.Running, lifecycle.Resync, lifecycle.Completed:
			return time.Since(d.Since) >= settled
		}
		return false
	})
}

func runResync(ctx context.Context, c *cli.Context, args []string) error {
	client, err := newClient(c)
	if err != nil {
		return err
	}
	pipes, err := client.pipes(ctx)
	if err != nil {
		return err
	}
	cmd := &command{client: client, cli: c}
	switch {
	case len(args) > 0 && slices.Contains(names(pipes), args[0]):
		cmd.pipe, args = args[0], args[1:]
	case len(pipes) == 1:
		cmd.pipe = pipes[0].Name
	case len(args) > 0 && len(pipes) > 1:
		return fail(exitUsage, "there is no pipe %q, name one: %s", args[0], strings.Join(names(pipes), ", "))
	default:
		if cmd.pipe, err = client.only(ctx); err != nil {
			return err
		}
	}
	return cmd.run(ctx, "resync", api.ResyncRequest{Tables: args}, func(d api.PipeDetail) bool {
		if len(args) == 0 {
			return len(d.Resync) == 0
		}
		return !slices.ContainsFunc(args, func(table string) bool { return slices.Contains(d.Resync, table) })
	})
}

// command is something to do with a pipe.
type command struct {
	client *client
	cli    *cli.Context
	pipe   string
}

// newCommand takes one argument at most, the pipe.
func newCommand(ctx context.Context, c *cli.Context, args []string) (*command, error) {
	if len(args) > 1 {
		return nil, fail(exitUsage, "%s takes one pipe, got %s", c.Command.Name, strings.Join(args, " "))
	}
	client, err := newClient(c)
	if err != nil {
		return nil, err
	}
	cmd := &command{client: client, cli: c}
	if len(args) == 1 {
		cmd.pipe = args[0]
		return cmd, nil
	}
	cmd.pipe, err = client.only(ctx)
	return cmd, err
}

// run sends a command, and with --wait waits until done says that it has taken effect.
func (cmd *command) run(ctx context.Context, what string, body any, done func(api.PipeDetail) bool) error {
	timeout := cmd.cli.Duration("timeout")
	if timeout <= 0 {
		return fail(exitUsage, "flag --timeout must be above zero, got %s", timeout)
	}
	var status api.Status
	if err := cmd.client.post(ctx, body, &status, "pipes", cmd.pipe, what); err != nil {
		return err
	}
	if !cmd.cli.Bool("wait") {
		text := status.Phase
		if len(status.Resync) > 0 {
			text += ", to load anew: " + strings.Join(status.Resync, ", ")
		}
		printf(cmd.cli.App.Writer, "%s: %s\n", status.Name, text)
		return nil
	}
	detail, err := cmd.wait(ctx, timeout, what, done)
	if err != nil {
		return err
	}
	printf(cmd.cli.App.Writer, "%s: %s\n", detail.Name, detail.Phase)
	return nil
}

func (cmd *command) wait(ctx context.Context, timeout time.Duration, what string, done func(api.PipeDetail) bool) (api.PipeDetail, error) {
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	phase := "unknown"
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		detail, err := cmd.client.detail(waiting, cmd.pipe)
		switch {
		case waiting.Err() != nil:
		case err != nil:
			return detail, err
		case detail.Failure != nil:
			return detail, fail(exitFailed, "pipe %q has failed: %s", cmd.pipe, sentence(detail.Failure))
		case done(detail):
			return detail, tableFailure(detail)
		default:
			phase = detail.Phase
		}
		select {
		case <-tick.C:
		case <-waiting.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return detail, fail(exitLate, "interrupted: the %s of pipe %q was asked for and goes on (it is %s)", what, cmd.pipe, phase)
			}
			return detail, fail(exitLate, "pipe %q is %s after %s: the %s was asked for and goes on", cmd.pipe, phase, timeout, what)
		}
	}
}

func tableFailure(d api.PipeDetail) error {
	for _, t := range d.Tables {
		if t.Failure != nil {
			return fail(exitFailed, "table %s of pipe %q has failed: %s", t.Name, d.Name, sentence(t.Failure))
		}
	}
	return nil
}

func sentence(f *api.Failure) string {
	if f.Fix == "" {
		return f.Reason
	}
	return fmt.Sprintf("%s: %s", f.Reason, f.Fix)
}
