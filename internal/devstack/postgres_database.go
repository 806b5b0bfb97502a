package devstack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// objectInUse is the SQLSTATE of dropping a slot whose walsender has been told to go and has not yet.
const objectInUse = "55006"

// Database creates the database name, dropping what had that name before, and returns the superuser's DSN of it.
func (p *Postgres) Database(ctx context.Context, name string) (string, error) {
	if err := p.DropDatabase(ctx, name); err != nil {
		return "", err
	}
	err := p.withConn(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
		return err
	})
	if err != nil {
		return "", fmt.Errorf("creating database %s: %w", name, err)
	}
	dsn, err := withDatabase(p.dsn, name)
	if err != nil {
		return "", fmt.Errorf("creating database %s: %w", name, err)
	}
	return dsn, nil
}

// DropDatabase drops the database name if it exists, and first what would hold it: replication slots and sessions.
func (p *Postgres) DropDatabase(ctx context.Context, name string) error {
	err := p.withConn(ctx, func(conn *pgx.Conn) error {
		if err := dropSlots(ctx, conn, name); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
		return err
	})
	if err != nil {
		return fmt.Errorf("dropping database %s: %w", name, err)
	}
	return nil
}

func dropSlots(ctx context.Context, conn *pgx.Conn, database string) error {
	// All sessions go before the slots do, since a pipe that still runs would take its slot again.
	if _, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", database); err != nil {
		return fmt.Errorf("ending its sessions: %w", err)
	}
	deadline := time.Now().Add(stopTimeout)
	for {
		_, err := conn.Exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1`, database)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != objectInUse || time.Now().After(deadline) {
			if err != nil {
				return fmt.Errorf("dropping its replication slots: %w", err)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollInterval):
		}
		if _, err := conn.Exec(ctx, `SELECT pg_terminate_backend(active_pid)
			FROM pg_replication_slots WHERE database = $1 AND active_pid IS NOT NULL`, database); err != nil {
			return fmt.Errorf("ending its walsenders: %w", err)
		}
	}
}

// withDatabase returns a DSN in the form of a URL with another database.
func withDatabase(dsn, name string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme == "" {
		// The parser's error would quote the DSN, password and all.
		return "", errors.New("reading the DSN: it must have the form of a URL, scheme://user:password@host:port/database")
	}
	u.Path = "/" + name
	return u.String(), nil
}
