package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// patience is how long one run may take, and how long the rows may be wrong
// once the last has arrived: several inserts may be under way at once.
const (
	patience = 15 * time.Minute
	settling = 30 * time.Second
)

// trial is one run of one contender.
type trial struct {
	*arena
	sample     sample
	clickHouse driver.Conn // to the empty destination, with settings of its own
	target     string      // the DSN of that
	options                // those that are for penstock
	profile    string      // beginning of the names of files to write profiles to, "" for none
	expected   time.Duration

	// Where the rows arrive: the database, the name of each table, and FINAL
	// where the engine keeps old versions of rows.
	in    string
	name  func(table) string
	final string

	began  time.Time
	before cpu
}

// try runs a contender once. What goes wrong is in the sample.
func (a *arena) try(ctx context.Context, c contender, t *trial) sample {
	t.arena, t.in, t.final = a, destination, "FINAL"
	t.name = func(table table) string { return "public_" + table.name }
	err := t.run(ctx, c)
	if err != nil {
		t.sample.Error = err.Error()
	}
	return t.sample
}

func (t *trial) run(ctx context.Context, c contender) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if t.target, err = t.reset(ctx); err != nil {
		return err
	}
	if t.clickHouse, err = openClickHouse(t.target); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.clickHouse.Close()) }()
	return c.run(ctx, t)
}

// begin is called at the last moment before the contender works.
func (t *trial) begin() {
	t.before, _ = readCPU()
	t.began = time.Now()
}

// end is called when the contender is done.
func (t *trial) end() { t.endAt(time.Now()) }

func (t *trial) endAt(done time.Time) {
	t.sample.Seconds = done.Sub(t.began).Seconds()
	if after, err := readCPU(); err == nil {
		spent := after.since(t.before)
		t.sample.PostgresCPUSeconds, t.sample.ClickHouseCPUSeconds, t.sample.OtherCPUSeconds = spent.postgres, spent.clickHouse, spent.other
	}
}

// counted verifies a contender that keeps nothing.
func (t *trial) counted(rows int64) error {
	if rows != t.rows {
		return fmt.Errorf("%d rows came, not %d", rows, t.rows)
	}
	t.sample.Verified = "rows"
	return nil
}

// confirmed verifies a contender of which only the slot can tell what came.
func (t *trial) confirmed(ctx context.Context, slot string) error {
	var done bool
	err := t.source.QueryRow(ctx, "SELECT confirmed_flush_lsn >= $1::text::pg_lsn FROM pg_replication_slots WHERE slot_name = $2", t.arena.end, slot).Scan(&done)
	if err != nil {
		return fmt.Errorf("reading the position of slot %s: %w", slot, err)
	}
	if !done {
		return errors.New("the slot is not at the end of the backlog")
	}
	t.sample.Verified = "position"
	return nil
}

// visible waits until the destination holds what the source does, and takes the
// time of the first look that found so. trouble says why it is no use to wait;
// it may be nil.
func (t *trial) visible(ctx context.Context, trouble func() error) error {
	var arrived time.Time
	for {
		now := time.Now()
		there, err := t.arrived(ctx)
		if err != nil {
			return err
		}
		if there {
			if arrived.IsZero() {
				arrived = now
			}
			err := t.verify(ctx)
			if err == nil {
				t.endAt(now)
				return t.countParts(ctx)
			}
			if now.Sub(arrived) > settling {
				return err
			}
		}
		if trouble != nil {
			if err := trouble(); err != nil {
				return err
			}
		}
		if err := pause(ctx, pollInterval); err != nil {
			return fmt.Errorf("waiting for the rows to be visible: %w", err)
		}
	}
}

// arrived looks, at little cost, whether everything may be there.
func (t *trial) arrived(ctx context.Context) (there bool, err error) {
	if t.last != "" {
		var n uint64
		err := t.clickHouse.QueryRow(ctx, "SELECT count() FROM system.tables WHERE database = ? AND name IN (?, ?)", t.in, t.tables[0].name, "public_"+t.tables[0].name).Scan(&n)
		if err != nil || n == 0 {
			return false, err
		}
		if err = t.clickHouse.QueryRow(ctx, "SELECT count() FROM "+t.name(t.tables[0])+" WHERE "+t.last).Scan(&n); t.in == materialized {
			return err == nil && n > 0, nil // its tables cannot be read before they are loaded
		}
		return n > 0, err
	}
	var rows uint64
	if err := t.clickHouse.QueryRow(ctx, "SELECT sum(rows) FROM system.parts WHERE database = ? AND active", t.in).Scan(&rows); err != nil {
		return false, fmt.Errorf("counting the rows that are visible: %w", err)
	}
	return rows >= uint64(t.rows), nil
}

// verify compares the destination with the source.
func (t *trial) verify(ctx context.Context) error {
	sum, err := destinationChecksum(ctx, t.clickHouse, t.workload, t.name, t.final)
	if err != nil {
		return err
	}
	if sum != t.checksum {
		return fmt.Errorf("the destination is not like the source: its checksum is %.200s and not %.200s", sum, t.checksum)
	}
	t.sample.Verified = "checksum"
	return nil
}

// countParts counts the parts that were inserted: blocks are numbered from 1.
func (t *trial) countParts(ctx context.Context) error {
	err := t.clickHouse.QueryRow(ctx, `SELECT toUInt64(sum(last)) FROM
		(SELECT max(max_block_number) AS last FROM system.parts WHERE database = ? GROUP BY table, partition_id)`, t.in).Scan(&t.sample.Parts)
	if err != nil {
		return fmt.Errorf("counting parts: %w", err)
	}
	return nil
}

// runPenstock returns a run of the pipeline with a format.
func runPenstock(format string) func(context.Context, *trial) error {
	steadily := runSteady(format)
	return func(ctx context.Context, t *trial) (err error) {
		mode, slot := "snapshot", ""
		switch {
		case t.kind == steady:
			return steadily(ctx, t)
		case t.kind == backlog:
			mode, slot = "cdc_only", "bench_penstock"
			if err := t.copySlot(ctx, slot); err != nil {
				return err
			}
		case t.profile != "":
			mode = "cdc" // which does not end before its profiles are written
		}
		c, err := t.startChild(format, mode, slot)
		if err != nil {
			return err
		}
		if t.profile != "" {
			go func() { c.profiled <- c.profile(ctx, t.profile, (t.expected + time.Second).Seconds()) }()
		}
		err = t.visible(ctx, c.trouble)
		if t.profile != "" {
			err = errors.Join(err, <-c.profiled)
		}
		if err == nil && mode == "snapshot" {
			err = c.wait(ctx)
		}
		c.stop()
		t.sample.CPUSeconds, t.sample.PeakRSS = childCPU(c.cmd.ProcessState), c.peak
		return err
	}
}

// startChild begins the trial with a penstock of its own.
func (t *trial) startChild(format, mode, slot string, extra ...string) (*child, error) {
	folder, err := os.MkdirTemp("", "penstock-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the state: %w", err)
	}
	debug := ""
	if t.profile != "" {
		if debug, err = freePort(); err != nil {
			return nil, err
		}
	}
	pipeline := t.pipeline(format, mode, slot, folder, debug, extra)
	t.begin()
	return startPenstock(t.penstock, folder, pipeline, debug)
}
