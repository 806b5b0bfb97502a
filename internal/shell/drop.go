package shell

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/urfave/cli/v2"

	"github.com/penstock/penstock/input"
	"github.com/penstock/penstock/lifecycle"
)

func dropCommand() *cli.Command {
	return &cli.Command{
		Name:      "drop",
		Usage:     "Drop the slot and the publication that Penstock created, and forget the pipe",
		ArgsUsage: "FILE",
		Description: `For the end of a pipe: the slot would keep WAL for ever. Drops only what
Penstock created, which the pipe's state and a mark on the publication tell, and
removes the state. Tables at the destination are kept. Refuses while somebody
reads the slot: stop the pipe first.

  penstock drop pipeline.yaml --yes`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"},
		},
		Action: action(runDrop),
	}
}

func runDrop(ctx context.Context, c *cli.Context, args []string) error {
	path, err := pathArgument(c, args)
	if err != nil {
		return err
	}
	p, err := readPipeline(path)
	if err != nil {
		return err
	}
	if len(p.inputs) > 1 {
		return fail(exitUsage, "%s has %d inputs %s: drop works on one pipe", path, len(p.inputs), inputName)
	}
	plan := p.inputs[0]
	store, release, err := p.store(plan)
	if err != nil {
		return fail(exitRefused, "%w (stop the pipe first)", err)
	}
	defer release(context.WithoutCancel(ctx))
	state, err := lifecycle.Peek(ctx, store, plan.Pipe())
	if err != nil {
		return err
	}
	conn, err := plan.Connect(ctx)
	if err != nil {
		return fail(connectCode(err), "the source: %w", err)
	}
	defer closeSession(conn)
	leftovers, err := plan.Leftovers(ctx, conn, state)
	if err != nil {
		return err
	}
	return drop(ctx, c, plan, conn, store, state, leftovers)
}

func closeSession(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

func drop(ctx context.Context, c *cli.Context, plan *input.Plan, conn *pgx.Conn, store lifecycle.Store, state *lifecycle.State, l *input.Leftovers) error {
	for _, kept := range l.Kept {
		printf(c.App.Writer, "kept: %s\n", kept)
	}
	var wanted []string
	if l.Slot != "" {
		wanted = append(wanted, fmt.Sprintf("slot %q", l.Slot))
	}
	if l.Publication != nil {
		wanted = append(wanted, fmt.Sprintf("publication %q", l.Publication.Name))
	}
	if state != nil {
		wanted = append(wanted, fmt.Sprintf("the state of pipe %q", plan.Pipe()))
	}
	if wanted == nil {
		printf(c.App.Writer, "there is nothing to drop of pipe %q\n", plan.Pipe())
		return nil
	}
	list := strings.Join(wanted, ", ")
	if !c.Bool("yes") {
		if err := confirm(c, fmt.Sprintf("Drop %s at database %q? [y/N] ", list, plan.Database())); err != nil {
			return err
		}
	}
	if err := l.Drop(ctx, conn); err != nil {
		return err
	}
	if remover, ok := store.(lifecycle.Remover); ok && state != nil {
		if err := remover.Remove(ctx); err != nil {
			return err
		}
	}
	printf(c.App.Writer, "dropped: %s\n", list)
	return nil
}

// confirm asks on a terminal; elsewhere nobody can answer.
func confirm(c *cli.Context, question string) error {
	if _, terminal := terminalWidth(os.Stdin); !terminal {
		return fail(exitUsage, "nothing was dropped: add --yes to drop without being asked")
	}
	printf(c.App.Writer, "%s", question)
	answer, err := bufio.NewReader(c.App.Reader).ReadString('\n')
	if err != nil && answer == "" {
		return errors.New("nothing was dropped")
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was dropped")
}
