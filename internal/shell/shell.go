// Package shell holds the commands of `penstock` that are about pipes: status, pause, resume and resync ask the API of a
// running process; check, verify and drop read a pipeline file and ask both databases.
package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
)

// The exit codes of all commands here. docs/cli.md and [exitCodes] tell them.
const (
	exitRefused      = 1 // the command was refused, or found something wrong
	exitUsage        = 2 // arguments, or the pipeline file
	exitUnreachable  = 3 // the API, or a database
	exitUnauthorized = 4
	exitFailed       = 5 // the pipe, or one of its tables
	exitLate         = 6 // a deadline
)

const exitCodes = `

Exit codes: 0 done; 1 refused, or something is wrong (a conflict with the
pipe's phase, a problem found by check, a difference found by verify); 2 wrong
arguments or pipeline file, no such pipe or table; 3 the API or a database
cannot be reached; 4 the token or a login is wrong; 5 the pipe has failed;
6 it took longer than the time given.`

// Commands returns the commands.
func Commands() []*cli.Command {
	commands := []*cli.Command{
		statusCommand(), pauseCommand(), resumeCommand(), resyncCommand(),
		checkCommand(), verifyCommand(), dropCommand(),
	}
	for _, c := range commands {
		c.Description += exitCodes
		c.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return fail(exitUsage, "%w", err) }
	}
	return commands
}

// exitError is an error with the exit code that it ends the program with.
type exitError struct {
	code int
	err  error
}

var _ cli.ExitCoder = (*exitError)(nil)

// Error is one line.
func (e *exitError) Error() string {
	return strings.ReplaceAll(strings.TrimSpace(e.err.Error()), "\n", "; ")
}

// ExitCode implements cli.ExitCoder.
func (e *exitError) ExitCode() int { return e.code }

// Unwrap returns the cause.
func (e *exitError) Unwrap() error { return e.err }

func fail(code int, format string, args ...any) error {
	return &exitError{code, fmt.Errorf(format, args...)}
}

// errHelp says that help was asked for behind an argument.
var errHelp = errors.New("help")

// action wraps what a command does: its arguments without the flags among them, and a context that ends with a signal.
func action(do func(ctx context.Context, c *cli.Context, args []string) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		args, err := arguments(c)
		if errors.Is(err, errHelp) {
			return cli.ShowSubcommandHelp(c)
		}
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(c.Context, os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = do(ctx, c, args)
		var exit *exitError
		if err != nil && !errors.As(err, &exit) {
			return &exitError{exitRefused, err}
		}
		return err
	}
}

// arguments returns the arguments that are not flags. The flag package stops at the first argument, and people write
// `penstock verify pipeline.yaml --rows`.
func arguments(c *cli.Context) ([]string, error) {
	var args []string
	rest := c.Args().Slice()
	for len(rest) > 0 {
		token := rest[0]
		rest = rest[1:]
		if token == "--" {
			return append(args, rest...), nil
		}
		if !strings.HasPrefix(token, "-") || token == "-" {
			args = append(args, token)
			continue
		}
		name, value, given := strings.Cut(strings.TrimLeft(token, "-"), "=")
		if name == "help" || name == "h" {
			return nil, errHelp
		}
		at := slices.IndexFunc(c.Command.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
		if at < 0 {
			return nil, fail(exitUsage, "there is no flag --%s: see penstock %s --help", name, c.Command.Name)
		}
		if _, isBool := c.Command.Flags[at].(*cli.BoolFlag); isBool && !given {
			value = "true"
		} else if !given {
			if len(rest) == 0 {
				return nil, fail(exitUsage, "flag --%s needs a value", name)
			}
			value, rest = rest[0], rest[1:]
		}
		if err := c.Set(name, value); err != nil {
			return nil, fail(exitUsage, "flag --%s: %w", name, err)
		}
	}
	return args, nil
}

func printf(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
