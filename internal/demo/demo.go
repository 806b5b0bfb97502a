// Package demo is `penstock demo`: it starts a PostgreSQL and a ClickHouse,
// fills the one with a small shop, replicates it into the other while the shop
// keeps trading, and shows that both sides hold the same.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/penstock/penstock/internal/devstack"
)

// Options say how large the demo is.
type Options struct {
	// Rows are loaded before the pipe starts, over all tables.
	Rows int
	// Rate is the number of rows that are written each second while it runs.
	Rate int
	// Duration ends the demo, with a comparison; 0 is until Ctrl-C.
	Duration time.Duration
	// Check is how often the two sides are compared where Duration is 0.
	Check time.Duration
	// Log receives the pipeline's log; nil keeps its end and prints that after a
	// failure.
	Log io.Writer
	Out *os.File
}

// ErrDifferent says that the two sides do not hold the same.
var ErrDifferent = errors.New("PostgreSQL and ClickHouse are different")

// Run runs the demo. It returns nil if ctx ended it, or if the duration did and
// both sides are equal.
func Run(ctx context.Context, o Options) error {
	s := newScreen(o.Out, o.Rows)
	end := &tail{}
	if o.Log == nil {
		o.Log = end
	}
	err := run(ctx, o, s)
	if err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	if !errors.Is(err, ErrDifferent) && end.Len() > 0 {
		s.line("The pipeline's log ends with\n%s", end.Bytes())
	}
	return err
}

func run(ctx context.Context, o Options, s *screen) (err error) {
	folder, err := os.MkdirTemp("", "penstock-demo-")
	if err != nil {
		return fmt.Errorf("making a folder for the demo: %w", err)
	}
	defer os.RemoveAll(folder)

	s.line("starting PostgreSQL and ClickHouse…")
	stack, err := startStack(ctx, s)
	defer func() { err = errors.Join(err, stack.stop()) }()
	if err != nil {
		return err
	}
	postgres, err := stack.postgres.Database(ctx, "shop")
	if err != nil {
		return err
	}
	clickHouse, err := stack.clickHouse.Database(ctx, "shop")
	if err != nil {
		return err
	}
	s.line("loading a shop of %s rows…", thousands(int64(o.Rows)))
	begun := time.Now()
	if err := loadShop(ctx, postgres, o.Rows); err != nil {
		return err
	}
	s.line("loaded in %.1f s", time.Since(begun).Seconds())

	p, err := startPipe(postgres, clickHouse, folder, o.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	stack.connections(s, postgres, clickHouse, p.url())

	checks, err := openCheck(ctx, postgres, clickHouse)
	if err != nil {
		return err
	}
	defer checks.close()
	live := &live{Options: o, screen: s, pipe: p, check: checks, traffic: &traffic{dsn: postgres, rate: o.Rate, rows: o.Rows}}
	return live.run(ctx)
}

type stack struct {
	postgres   *devstack.Postgres
	clickHouse *devstack.ClickHouse
}

// startStack starts both servers. What it returns must be stopped, also after
// an error.
func startStack(ctx context.Context, log io.Writer) (*stack, error) {
	s := &stack{}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		s.postgres, err = devstack.StartPostgres(ctx, devstack.PostgresOptions{Log: log})
		return err
	})
	group.Go(func() (err error) {
		s.clickHouse, err = devstack.StartClickHouse(ctx, devstack.ClickHouseOptions{Log: log})
		return err
	})
	return s, group.Wait()
}

func (s *stack) stop() error {
	var errs []error
	if s.postgres != nil {
		errs = append(errs, s.postgres.Stop())
	}
	if s.clickHouse != nil {
		errs = append(errs, s.clickHouse.Stop())
	}
	return errors.Join(errs...)
}

// connections tells how to look at both ends. The servers and their passwords
// live as long as the demo.
func (s *stack) connections(out *screen, postgres, clickHouse, page string) {
	out.line("\n  PostgreSQL   psql '%s'", postgres)
	out.line("  ClickHouse   clickhouse client '%s'", clickHouse)
	if http := s.clickHouse.HTTPURL(); http != "" {
		out.line("               curl '%s/?database=shop' -d 'SELECT status, count() FROM public_orders FINAL GROUP BY status'", http)
	}
	out.line("  status page  %s\n", page)
}

// tail keeps the last of what is written to it.
type tail struct{ bytes.Buffer }

const tailSize = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	n, err := t.Buffer.Write(p)
	if extra := t.Len() - tailSize; extra > 0 {
		t.Next(extra)
		if line, err := t.ReadBytes('\n'); err != nil {
			_, _ = t.Buffer.Write(line) // one line longer than all we keep
		}
	}
	return n, err
}
