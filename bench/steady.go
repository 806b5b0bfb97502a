package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// steadySeconds is how long a steady load lasts.
	steadySeconds = 20
	// commitsASecond is in how many transactions the load of a second comes.
	commitsASecond = 100
	// lookInterval is how often it is looked how many rows are visible: a
	// latency comes out longer than it was by half of it.
	lookInterval = 5 * time.Millisecond
	// steadyInterval is the one setting that is not as shipped: 1s is for fewer,
	// larger inserts.
	steadyInterval = "sync_interval: 100ms"
)

// sight is how many rows there were at some time.
type sight struct {
	at   time.Time
	rows int64
}

// runSteady writes to the source at a steady rate, and takes the time from each
// commit until its rows can be queried.
func runSteady(format string) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		const slot = "bench_penstock"
		if err := t.exec(ctx, "TRUNCATE "+t.tables[0].name, "SELECT pg_create_logical_replication_slot('"+slot+"', 'pgoutput')", "SET synchronous_commit = on"); err != nil {
			return err
		}
		c, err := t.startChild(format, "cdc_only", slot, steadyInterval)
		if err != nil {
			return err
		}
		latencies, err := t.measureLatency(ctx, c)
		c.stop()
		t.sample.CPUSeconds, t.sample.PeakRSS = childCPU(c.cmd.ProcessState), c.peak
		t.sample.Latency = spreadOf(latencies)
		return err
	}
}

func (t *trial) measureLatency(ctx context.Context, c *child) ([]time.Duration, error) {
	each := int64(max(1, t.rate/commitsASecond))
	if err := t.write(ctx, 1, each); err != nil {
		return nil, err
	}
	for {
		seen, err := t.look(ctx)
		if err == nil && seen.rows >= each {
			break
		}
		// The table is not there at first.
		if err := errors.Join(c.trouble(), pause(ctx, pollInterval)); err != nil {
			return nil, fmt.Errorf("waiting for the first rows: %w", err)
		}
	}
	if t.profile != "" {
		go func() { c.profiled <- c.profile(ctx, t.profile, steadySeconds) }()
	}
	t.begin()
	commits, sights, err := t.writeAndLook(ctx, each)
	if err != nil {
		return nil, errors.Join(err, c.trouble())
	}
	if t.checksum, err = sourceChecksum(ctx, t.source, t.workload); err != nil {
		return nil, err
	}
	if err := t.visible(ctx, c.trouble); err != nil {
		return nil, err
	}
	if t.profile != "" {
		err = <-c.profiled
	}
	return latenciesOf(commits, sights), err
}

// writeAndLook writes the rest of the rows, and returns when each number of
// them was committed and when each was seen.
func (t *trial) writeAndLook(ctx context.Context, each int64) (commits, sights []sight, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		ticker := time.NewTicker(time.Second / commitsASecond)
		defer ticker.Stop()
		due := time.Now()
		for written := each; written < t.rows; {
			// A late tick is made up for.
			for ; written < t.rows && !time.Now().Before(due); due = due.Add(time.Second / commitsASecond) {
				last := min(written+each, t.rows)
				if err := t.write(ctx, written+1, last); err != nil {
					return err
				}
				written = last
				commits = append(commits, sight{time.Now(), written})
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	group.Go(func() error {
		for {
			seen, err := t.look(ctx)
			if err != nil {
				return err
			}
			if sights = append(sights, seen); seen.rows >= t.rows {
				return nil
			}
			if err := pause(ctx, lookInterval); err != nil {
				return fmt.Errorf("looking how many rows are visible: %w", err)
			}
		}
	})
	return commits, sights, group.Wait()
}

// write commits the rows from first to last.
func (t *trial) write(ctx context.Context, first, last int64) error {
	table := t.tables[0]
	return t.exec(ctx, "INSERT INTO "+table.name+" "+selectRows(table.columns, fmt.Sprint(first), fmt.Sprint(last)))
}

// look counts the rows that can be queried now.
func (t *trial) look(ctx context.Context) (sight, error) {
	var rows uint64
	now := time.Now()
	if err := t.clickHouse.QueryRow(ctx, "SELECT count() FROM "+t.name(t.tables[0])).Scan(&rows); err != nil {
		return sight{}, fmt.Errorf("counting the rows that are visible: %w", err)
	}
	return sight{now, int64(rows)}, nil
}

// latenciesOf returns for each commit how long it took until all rows up to it
// were seen.
func latenciesOf(commits, sights []sight) []time.Duration {
	latencies := make([]time.Duration, 0, len(commits))
	next := 0
	for _, c := range commits {
		for next < len(sights) && (sights[next].rows < c.rows || sights[next].at.Before(c.at)) {
			next++
		}
		if next == len(sights) {
			break
		}
		latencies = append(latencies, sights[next].at.Sub(c.at))
	}
	return latencies
}
