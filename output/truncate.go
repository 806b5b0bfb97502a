package output

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/output/ddl"
	"github.com/penstock/penstock/output/insert"
)

const (
	// firstTruncatePoll and lastTruncatePoll bound the pauses, doubled each time, between two looks at whether a TRUNCATE is
	// done: a small table takes milliseconds, a large one is not to be counted all the time.
	firstTruncatePoll = 10 * time.Millisecond
	lastTruncatePoll  = 2 * time.Second
	// slowTruncate is when it is said that a TRUNCATE takes long, and where to look.
	slowTruncate = time.Minute
)

// truncate removes the rows that are older than the TRUNCATE. The caller has the table alone.
func (d *destination) truncate(ctx context.Context, c *change.Control) error {
	conn, err := d.conn()
	if err != nil {
		return err
	}
	target := d.target(c.Table)
	existing, err := target.Read(ctx, conn)
	if err != nil {
		return err
	}
	log := d.output.log.With("table", d.fullName, "source", c.Table.String(), "lsn", change.FormatLSN(c.LSN))
	statement := target.Truncate(existing, c.LSN)
	if statement == "" {
		if existing != nil {
			log.With("engine", string(existing.Engine)).Info("TRUNCATE at the source leaves rows here: the engine does not take rows back")
		}
		return nil
	}
	rows, err := target.Older(ctx, conn, c.LSN)
	if err != nil || rows == 0 {
		return err // replayed, or there was nothing
	}
	if err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("truncating %s: %w", target, err)
	}
	slow := func() {
		log.With("statement", statement).Warn("removing rows after a TRUNCATE takes long: look at latest_fail_reason in system.mutations")
	}
	if err := truncated(ctx, conn, target, c.LSN, slow); err != nil {
		return fmt.Errorf("waiting until %s is truncated: %w", target, err)
	}
	log.With("rows", rows).Info("removed rows after a TRUNCATE at the source")
	return nil
}

// truncated waits until no row is older than lsn. It asks again and again rather than have the ALTER answer when it is
// done, which in a large table is later than a connection should be trusted to live.
func truncated(ctx context.Context, conn *insert.Table, target *ddl.Target, lsn uint64, slow func()) error {
	warning := time.AfterFunc(slowTruncate, slow)
	defer warning.Stop()
	for pause := firstTruncatePoll; ; pause = min(2*pause, lastTruncatePoll) {
		rows, err := target.Older(ctx, conn, lsn)
		if err != nil || rows == 0 {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
