package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/jackc/pgx/v5"
	"github.com/urfave/cli/v2"

	"github.com/penstock/penstock/input"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/verify"
	"github.com/penstock/penstock/output"
)

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "Compare source and destination, value by value",
		ArgsUsage: "FILE",
		Description: `Takes the source's WAL position, waits until the pipe has confirmed it, and
compares every table. A table that differs is compared again, behind a later
position, until it is equal or the time is over: both ends live on while they
are compared, so a table that is written all the time may never be found equal.

  penstock verify pipeline.yaml --rows`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "rows", Usage: "print rows that differ"},
			&cli.IntFlag{Name: "limit", Value: 10, Usage: "how many of them for each table"},
			&cli.DurationFlag{Name: "timeout", Value: time.Minute, Usage: "how long to wait for a pipe that lags, and to compare again what differs"},
		},
		Action: action(runVerify),
	}
}

func runVerify(ctx context.Context, c *cli.Context, args []string) error {
	path, err := pathArgument(c, args)
	if err != nil {
		return err
	}
	if c.Int("limit") < 1 || c.Duration("timeout") <= 0 {
		return fail(exitUsage, "flags --limit and --timeout must be above zero")
	}
	p, err := readPipeline(path)
	if err != nil {
		return err
	}
	in, out, err := p.only()
	if err != nil {
		return err
	}
	v := &verifying{
		source: in, destination: out, limit: c.Int("limit"), rows: c.Bool("rows"), out: c.App.Writer,
		deadline: time.Now().Add(c.Duration("timeout")), timeout: c.Duration("timeout"),
	}
	if p.processors {
		printf(c.App.ErrWriter, "%s has processors: what they change or leave out is a difference here\n", path)
	}
	return v.run(ctx)
}

// verifying is one comparison of a pipe's tables.
type verifying struct {
	source      *input.Plan
	destination *output.Plan
	limit       int
	rows        bool
	out         io.Writer
	timeout     time.Duration
	deadline    time.Time

	postgres   *pgx.Conn
	clickHouse driver.Conn
	compared   []*comparison
}

// comparison is one table and how it compares.
type comparison struct {
	pair    verify.Pair
	options verify.Options
	// unfit says why the table cannot be compared, "" where it can.
	unfit string
	// note is what else is to be known.
	note   string
	result verify.Result
	err    error
}

func (c *comparison) equal() bool { return c.unfit == "" && c.err == nil && c.result.Equal() }

func (v *verifying) run(ctx context.Context) error {
	if err := v.connect(ctx); err != nil {
		return err
	}
	defer v.close()
	if err := v.plan(ctx); err != nil {
		return err
	}
	lagging, err := v.compareAll(ctx)
	if err != nil {
		return err
	}
	if err := v.print(); err != nil {
		return err
	}
	different := 0
	for _, c := range v.compared {
		if !c.equal() {
			different++
		}
	}
	switch {
	case lagging != nil:
		return lagging
	case different > 0:
		return fail(exitRefused, "%d of %d tables are not equal", different, len(v.compared))
	}
	return nil
}

func (v *verifying) connect(ctx context.Context) error {
	var err error
	if v.postgres, err = v.source.Connect(ctx); err != nil {
		return fail(connectCode(err), "the source: %w", err)
	}
	if _, err = v.destination.Ping(ctx); err == nil {
		v.clickHouse, err = v.destination.Connect()
	}
	if err != nil {
		_ = v.postgres.Close(ctx)
		return fail(connectCode(err), "the destination: %w", err)
	}
	return nil
}

func (v *verifying) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = v.postgres.Close(ctx)
	_ = v.clickHouse.Close()
}

// connectCode tells a login that is wrong from a server that is not there.
func connectCode(err error) int {
	var failure *change.Failure
	if errors.As(err, &failure) && failure.Class == "authentication" || output.Unauthorized(err) {
		return exitUnauthorized
	}
	return exitUnreachable
}

// plan finds out what is to be compared with what.
func (v *verifying) plan(ctx context.Context) error {
	tables, err := v.source.Tables(ctx, v.postgres)
	if err != nil {
		return err
	}
	for _, t := range tables {
		c := &comparison{
			pair: verify.Pair{Schema: t.Schema, Table: t.Name, Database: v.destination.Database()},
			options: verify.Options{
				IsDeleted: v.destination.IsDeleted(), Ignore: t.LeftOut, Limit: v.limit,
				NullAsDefault: v.destination.NullAsDefault(t.Table),
			},
		}
		if c.pair.Destination, err = v.destination.Destination(t.Table); err != nil {
			c.unfit = err.Error()
		} else if !v.destination.Replaces(t.Table) {
			c.unfit = fmt.Sprintf("engine %s does not hold the rows as they are", v.destination.Engine(t.Table))
		}
		if t.RowFilter != "" {
			c.note = "the publication leaves out rows: " + t.RowFilter
		}
		if t.KeyIsWholeRow {
			c.note = "no key: exact duplicates of a row are one at the destination"
		}
		v.compared = append(v.compared, c)
	}
	return nil
}

// compareAll compares until all tables are equal or the time is over. lagging is why the pipe did not catch up.
func (v *verifying) compareAll(ctx context.Context) (lagging, err error) {
	// Once at least, however late it is.
	for round := 1; ; round++ {
		position, confirmed, err := v.caughtUp(ctx)
		if err != nil && !errors.Is(err, errLagging) {
			return nil, err
		}
		if err != nil && round > 1 {
			return nil, nil // it had caught up before, and what was found then counts
		}
		lagging = err
		if lagging == nil && round == 1 {
			v.tell(position, confirmed)
		}
		open := 0
		for _, c := range v.compared {
			if c.unfit != "" || c.equal() {
				continue
			}
			c.result, c.err = verify.Compare(ctx, v.postgres, v.clickHouse, c.pair, c.options)
			if ctx.Err() != nil {
				return nil, fail(exitLate, "interrupted")
			}
			if v.postgres.IsClosed() {
				return nil, fail(exitUnreachable, "the source has gone away: %w", c.err)
			}
			if !c.equal() {
				open++
			}
		}
		if open == 0 || lagging != nil || !time.Now().Before(v.deadline) {
			return lagging, nil
		}
		if position == "" && round > 1 {
			return nil, nil // nothing moves
		}
		select {
		case <-time.After(againAfter):
		case <-ctx.Done():
			return nil, fail(exitLate, "interrupted")
		}
	}
}

const (
	// againAfter is the pause before what differs is compared again.
	againAfter = 500 * time.Millisecond
	// lookEvery is how often the slot is looked at.
	lookEvery = 50 * time.Millisecond
)

var errLagging = errors.New("the pipe lags")

// caughtUp takes the position of the source's WAL and waits until the slot has confirmed it: all changes before it are
// at the destination then. Without a slot position is "".
func (v *verifying) caughtUp(ctx context.Context) (position, confirmed string, err error) {
	slot := v.source.Slot()
	if slot == "" {
		return "", "", nil
	}
	const wal = `CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END`
	if err := v.postgres.QueryRow(ctx, "SELECT ("+wal+")::text").Scan(&position); err != nil {
		return "", "", fmt.Errorf("asking for the WAL position: %w", err)
	}
	for {
		var there bool
		err := v.postgres.QueryRow(ctx, `SELECT coalesce(confirmed_flush_lsn >= $2::pg_lsn, false), coalesce(confirmed_flush_lsn::text, '0/0')
			FROM pg_replication_slots WHERE slot_name = $1`, slot, position).Scan(&there, &confirmed)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return "", "", fail(exitRefused, "slot %q does not exist: the pipe has not run yet, or was dropped", slot)
		case err != nil:
			return "", "", fmt.Errorf("asking for the position of slot %q: %w", slot, err)
		case there:
			return position, confirmed, nil
		case !time.Now().Before(v.deadline):
			return position, confirmed, fail(exitLate, "%w: slot %q has confirmed %s after %s, and the source was at %s: is the pipe running?",
				errLagging, slot, confirmed, v.timeout, position)
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return "", "", fail(exitLate, "interrupted")
		}
	}
}

func (v *verifying) tell(position, confirmed string) {
	if position == "" {
		printf(v.out, "The pipe has no slot: the source as it is now is compared with what was copied.\n\n")
		return
	}
	printf(v.out, "The source was at %s at %s, and the pipe has confirmed %s.\n\n", position, time.Now().Format(time.TimeOnly), confirmed)
}

func (v *verifying) print() error {
	t := tabwriter.NewWriter(v.out, 0, 0, 2, ' ', 0)
	printf(t, "TABLE\tDESTINATION\tRESULT\tSOURCE ROWS\tDESTINATION ROWS\tCHECKSUM\n")
	for _, c := range v.compared {
		verdict, sum := "equal", fmt.Sprintf("%016x", c.result.SourceSum)
		sourceRows, destinationRows := thousands(c.result.SourceRows), thousands(c.result.DestinationRows)
		switch {
		case c.unfit != "" || c.err != nil:
			verdict, sum, sourceRows, destinationRows = "NOT COMPARED", "-", "-", "-"
		case !c.result.Equal():
			verdict, sum = "DIFFERENT", fmt.Sprintf("%016x ≠ %016x", c.result.SourceSum, c.result.DestinationSum)
		}
		printf(t, "%s.%s\t%s\t%s\t%s\t%s\t%s\n", c.pair.Schema, c.pair.Table, c.pair.Destination, verdict, sourceRows, destinationRows, sum)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, c := range v.compared {
		v.explain(c)
	}
	return nil
}

// explain prints what the row of the table has no room for.
func (v *verifying) explain(c *comparison) {
	name := c.pair.Schema + "." + c.pair.Table
	switch {
	case c.unfit != "":
		printf(v.out, "%s: %s\n", name, c.unfit)
	case c.err != nil:
		printf(v.out, "%s: %s\n", name, strings.ReplaceAll(c.err.Error(), "\n", "; "))
	case !c.result.Equal():
		if c.note != "" {
			printf(v.out, "%s: %s\n", name, c.note)
		}
		if len(c.result.Differences) == 0 {
			printf(v.out, "%s: what differed did not the second time: the table is being written\n", name)
		}
		if v.rows {
			for _, d := range c.result.Differences {
				printf(v.out, "%s: %s\n", name, d)
			}
		}
	}
}
