package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/internal/verify"
)

// check compares the two ends while nothing is written.
type check struct {
	postgres   *pgx.Conn
	clickHouse driver.Conn
}

// catchUpTimeout is long for 2000 rows a second: only a pipe that stands still
// takes it.
const catchUpTimeout = 60 * time.Second

func openCheck(ctx context.Context, postgres, clickHouse string) (*check, error) {
	options, err := clickhouse.ParseDSN(clickHouse)
	if err != nil {
		return nil, fmt.Errorf("reading the DSN of ClickHouse: %w", err)
	}
	c := &check{}
	if c.clickHouse, err = clickhouse.Open(options); err != nil {
		return nil, fmt.Errorf("connecting to ClickHouse: %w", err)
	}
	if c.postgres, err = pgx.Connect(ctx, postgres); err != nil {
		_ = c.clickHouse.Close()
		return nil, fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	return c, nil
}

func (c *check) close() {
	_ = c.postgres.Close(context.Background())
	_ = c.clickHouse.Close()
}

// caughtUp waits until everything written up to now is at the destination: the
// slot confirms a position only when the output has acknowledged all before it.
func (c *check) caughtUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, catchUpTimeout)
	defer cancel()
	var target string
	if err := c.postgres.QueryRow(ctx, "SELECT pg_current_wal_insert_lsn()::text").Scan(&target); err != nil {
		return fmt.Errorf("asking for the WAL position: %w", err)
	}
	// One more commit, which changes no value, carries the slot past that
	// position: a slot with nothing to send is in no hurry.
	if _, err := c.postgres.Exec(ctx, "UPDATE customers SET active = active WHERE id = 1"); err != nil {
		return fmt.Errorf("writing a last change: %w", err)
	}
	for {
		var there bool
		var confirmed *string
		err := c.postgres.QueryRow(ctx, `SELECT coalesce(bool_and(confirmed_flush_lsn >= $1::pg_lsn), false), min(confirmed_flush_lsn)::text
			FROM pg_replication_slots WHERE database = current_database() AND NOT temporary`, target).Scan(&there, &confirmed)
		if err == nil && there {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("asking for the slot's position: %w", err)
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				at := "nothing"
				if confirmed != nil {
					at = *confirmed
				}
				return fmt.Errorf("waiting for the pipe to catch up with %s: %s is confirmed after %s", target, at, catchUpTimeout)
			}
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tables compares every table of the shop.
func (c *check) tables(ctx context.Context) ([]verify.Result, error) {
	results := make([]verify.Result, 0, len(shopTables))
	for _, t := range shopTables {
		pair := verify.Pair{Schema: "public", Table: t.name, Destination: "public_" + t.name}
		result, err := verify.Compare(ctx, c.postgres, c.clickHouse, pair, verify.Options{Limit: 3})
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	return results, nil
}
