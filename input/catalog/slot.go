package catalog

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/penstock/penstock/internal/change"
)

// plugin is the output plugin of our slots.
const plugin = "pgoutput"

var slotName = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)

// CheckSlotName returns what is wrong with the name of a slot.
func CheckSlotName(name string) error {
	if !slotName.MatchString(name) {
		return fmt.Errorf("field `slot_name`: %q is not a slot name: use up to 63 lower-case letters, digits and underscores", name)
	}
	return nil
}

// Slot is a row of pg_replication_slots with the present WAL position.
// Positions are bytes since the beginning of the WAL.
type Slot struct {
	Plugin, Database   string
	Temporary          bool
	ActivePID          int32 // 0 = nobody
	CurrentLSN         uint64
	ConfirmedLSN       uint64
	RestartLSN         uint64
	WALStatus          string // reserved, extended, unreserved, lost
	SafeWALSize        *int64 // bytes until the slot may be lost; nil = no limit
	InvalidationReason string // PostgreSQL 16 and later
}

// ReadSlot returns the slot called name, nil where there is none.
func ReadSlot(ctx context.Context, conn *pgx.Conn, server *Server, name string) (*Slot, error) {
	reason := "''"
	switch {
	case server.Version >= 170000:
		reason = "coalesce(invalidation_reason, '')"
	case server.Version >= 160000:
		// It is set for any reason; only removed WAL takes restart_lsn with it.
		reason = "CASE WHEN NOT coalesce(conflicting, false) THEN '' WHEN restart_lsn IS NULL THEN 'wal_removed' ELSE 'conflict with recovery' END"
	}
	var s Slot
	var confirmed, restart *pglogrepl.LSN
	var current pglogrepl.LSN
	err := conn.QueryRow(ctx, `
		SELECT coalesce(plugin, ''), coalesce(database, ''), temporary, coalesce(active_pid, 0),
		       CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text,
		       confirmed_flush_lsn::text, restart_lsn::text, coalesce(wal_status, ''), safe_wal_size, `+reason+`
		  FROM pg_replication_slots WHERE slot_name = $1`, name).
		Scan(&s.Plugin, &s.Database, &s.Temporary, &s.ActivePID, &current, &confirmed, &restart,
			&s.WALStatus, &s.SafeWALSize, &s.InvalidationReason)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading slot %q: %w", name, Explain(err))
	}
	s.CurrentLSN = uint64(current)
	if confirmed != nil {
		s.ConfirmedLSN = uint64(*confirmed)
	}
	if restart != nil {
		s.RestartLSN = uint64(*restart)
	}
	return &s, nil
}

// Check returns why the slot cannot be streamed from.
func (s *Slot) Check(name, database string) error {
	if s.Plugin != plugin || s.Database != database {
		return &change.Failure{
			Class:  ClassSlot,
			Reason: fmt.Sprintf("slot %q belongs to plugin %q and database %q, not to %q and %q", name, s.Plugin, s.Database, plugin, database),
			Fix:    "choose another `slot_name`",
		}
	}
	if s.WALStatus == "lost" || s.InvalidationReason != "" {
		reason := s.InvalidationReason
		if reason == "" {
			reason = "wal_removed"
		}
		return &change.Failure{
			Class:  ClassSlot,
			Reason: fmt.Sprintf("slot %q is lost (%s): WAL that it needs is gone", name, reason),
			Fix:    fmt.Sprintf("raise max_slot_wal_keep_size (and idle_replication_slot_timeout where it is set), run SELECT pg_drop_replication_slot('%s'), then resync the pipe", name),
		}
	}
	return nil
}

// MissingSlot is the problem of a slot that was there and is gone.
func MissingSlot(name string) error {
	return &change.Failure{
		Class:  ClassSlot,
		Reason: fmt.Sprintf("slot %q does not exist any more: changes since it was dropped are not in the destination", name),
		Fix:    "resync the pipe",
	}
}

// createTimeout bounds the creation of a slot, which waits for every
// transaction that was running when it began.
const createTimeout = 2 * time.Minute

// CreatedSlot is what CREATE_REPLICATION_SLOT returned.
type CreatedSlot struct {
	// ConsistentPoint is the position from which the slot streams: the snapshot
	// holds everything committed before it.
	ConsistentPoint uint64
	// Snapshot is the name to SET TRANSACTION SNAPSHOT to; valid while
	// replication runs no other command.
	Snapshot string
}

// CreateSlot creates a logical slot and exports its snapshot, which lives as
// long as the replication session stays open and idle. monitor is asked who is
// in the way when it takes too long.
func CreateSlot(ctx context.Context, replication *pgconn.PgConn, monitor *pgx.Conn, name string) (*CreatedSlot, error) {
	return createSlot(ctx, replication, monitor, name, createTimeout)
}

func createSlot(ctx context.Context, replication *pgconn.PgConn, monitor *pgx.Conn, name string, timeout time.Duration) (*CreatedSlot, error) {
	creating, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	result, err := pglogrepl.CreateReplicationSlot(creating, replication, name, plugin, pglogrepl.CreateReplicationSlotOptions{
		Mode: pglogrepl.LogicalReplication, SnapshotAction: "EXPORT_SNAPSHOT",
	})
	if err != nil {
		if creating.Err() != nil && ctx.Err() == nil {
			return nil, fmt.Errorf("creating slot %q took longer than %s: %w", name, timeout, blockedSlot(ctx, monitor))
		}
		return nil, fmt.Errorf("creating slot %q: %w", name, Explain(err))
	}
	point, err := pglogrepl.ParseLSN(result.ConsistentPoint)
	if err != nil {
		return nil, fmt.Errorf("creating slot %q: reading consistent point %q: %w", name, result.ConsistentPoint, err)
	}
	return &CreatedSlot{ConsistentPoint: uint64(point), Snapshot: result.SnapshotName}, nil
}

// blockedSlot names the oldest writing transaction, which is what the creation
// of a slot waits for, whatever database it is in. A prepared one has no
// session; of another role's session only the pid may be visible to ours.
func blockedSlot(ctx context.Context, monitor *pgx.Conn) error {
	var who, query, end string
	var age *time.Duration
	err := monitor.QueryRow(ctx, `
		SELECT who, query, "end", now() - began
		  FROM (SELECT format('pid %s, role %s, %s', pid, coalesce(usename, '?'), coalesce(state, '?')) AS who, coalesce(left(query, 200), '?') AS query,
		               format('SELECT pg_terminate_backend(%s)', pid) AS "end", xact_start AS began, backend_xid AS xid
		          FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
		        UNION ALL
		        SELECT format('prepared transaction %L of role %s', gid, owner), 'PREPARE TRANSACTION',
		               format('ROLLBACK PREPARED %L or COMMIT PREPARED %L', gid, gid), prepared, transaction
		          FROM pg_prepared_xacts) open
		 ORDER BY age(xid) DESC LIMIT 1`).Scan(&who, &query, &end, &age)
	if errors.Is(err, pgx.ErrNoRows) {
		return errors.New("it waited for a transaction that has ended meanwhile")
	}
	if err != nil {
		return fmt.Errorf("finding out which transaction it waits for: %w", err)
	}
	since := "an unknown time"
	if age != nil {
		since = age.Round(time.Second).String()
	}
	return fmt.Errorf("it waits for a transaction that has been open for %s (%s, query %q): end it, for example with %s", since, who, query, end)
}

// DropSlot drops the slot if it is there.
func DropSlot(ctx context.Context, conn *pgx.Conn, name string) error {
	_, err := conn.Exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1`, name)
	if err != nil {
		return fmt.Errorf("dropping slot %q: %w", name, Explain(err))
	}
	return nil
}

// IsActiveElsewhere says that the slot is in use by another process, which may
// be about to end: a reason to wait, not to fail.
func IsActiveElsewhere(err error) bool { return SQLSTATE(err) == codeObjectInUse }

// IsSlotInvalid says that the server refused to stream because the slot was
// invalidated.
func IsSlotInvalid(err error) bool { return SQLSTATE(err) == codeNotInPrerequisite }

// IsMissing says that the named object does not exist.
func IsMissing(err error) bool { return SQLSTATE(err) == codeUndefinedObject }

// IsDuplicate says that the object to create is already there.
func IsDuplicate(err error) bool { return SQLSTATE(err) == codeDuplicateObject }
