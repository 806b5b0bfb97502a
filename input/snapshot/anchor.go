package snapshot

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/input/catalog"
)

// Anchor keeps an exported snapshot alive (PostgreSQL docs 9.28.5, "Snapshot
// Synchronization Functions").
type Anchor struct {
	// Snapshot is the name to SET TRANSACTION SNAPSHOT to.
	Snapshot string
	// Taken is when, by this machine's clock.
	Taken time.Time
	// Close lets the snapshot go; sessions that have imported it keep it.
	Close func()
}

// Export takes a snapshot of the present in a session of its own.
func Export(ctx context.Context, source *catalog.Source) (*Anchor, error) {
	conn, err := source.Connect(ctx)
	if err != nil {
		return nil, err
	}
	anchor := &Anchor{Taken: time.Now(), Close: func() { catalog.Close(conn) }}
	if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		anchor.Close()
		return nil, fmt.Errorf("exporting a snapshot: %w", catalog.Explain(err))
	}
	if err := conn.QueryRow(ctx, "SELECT pg_export_snapshot()").Scan(&anchor.Snapshot); err != nil {
		anchor.Close()
		return nil, fmt.Errorf("exporting a snapshot: %w", catalog.Explain(err))
	}
	return anchor, nil
}

// connect opens a session that sees the anchor's snapshot, at a savepoint to
// return to after each chunk.
func (a *Anchor) connect(ctx context.Context, source *catalog.Source) (*pgx.Conn, error) {
	conn, err := source.Connect(ctx)
	if err != nil {
		return nil, err
	}
	// All in one round trip; no statement takes parameters.
	_, err = conn.PgConn().Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT "+literal(a.Snapshot)+"; SAVEPOINT chunk").ReadAll()
	if err != nil {
		catalog.Close(conn)
		return nil, fmt.Errorf("importing snapshot %s: %w", a.Snapshot, catalog.Explain(err))
	}
	return conn, nil
}
