package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/internal/change"
)

// Server is what matters to us of the source server.
type Server struct {
	// Version is server_version_num: 170002 for 17.2.
	Version int
	// SystemID is the database system identifier: another one means another
	// cluster, whatever its address.
	SystemID string
	WALLevel string
	// WALSenderTimeout is how long the server waits for our status; 0 is for ever.
	WALSenderTimeout time.Duration
	// MayReplicate says that our role has REPLICATION or is a superuser.
	MayReplicate bool
	// InRecovery says that the server is a standby.
	InRecovery bool
	// MoneyDigits is the number of fraction digits of type money.
	MoneyDigits int
	// BlockSize is the size of a page of a relation in bytes.
	BlockSize int64
}

// minimumVersion is the first release with TID range scans, which the snapshot
// reads chunks by.
const minimumVersion = 140000

// ReadServer asks the server what it is.
func ReadServer(ctx context.Context, conn *pgx.Conn) (*Server, error) {
	var s Server
	var timeout int64
	err := conn.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::int,
		       (SELECT system_identifier::text FROM pg_control_system()),
		       current_setting('wal_level'),
		       (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_sender_timeout'),
		       (SELECT rolreplication OR rolsuper
		          OR coalesce((SELECT pg_has_role(current_user, oid, 'member') FROM pg_roles WHERE rolname = 'rds_replication'), false)
		          FROM pg_roles WHERE rolname = current_user),
		       pg_is_in_recovery(),
		       scale(1::money::numeric),
		       current_setting('block_size')::bigint`).
		Scan(&s.Version, &s.SystemID, &s.WALLevel, &timeout, &s.MayReplicate, &s.InRecovery, &s.MoneyDigits, &s.BlockSize)
	if err != nil {
		return nil, fmt.Errorf("reading the server's settings: %w", Explain(err))
	}
	s.WALSenderTimeout = time.Duration(timeout) * time.Millisecond
	return &s, nil
}

// Check returns the first thing that keeps the server from being a source.
// Without streaming only the version matters.
func (s *Server) Check(user string, streaming bool) error {
	if s.Version < minimumVersion {
		return &change.Failure{
			Class:  ClassServer,
			Reason: fmt.Sprintf("PostgreSQL %d is too old", s.Version/10000),
			Fix:    "Penstock needs PostgreSQL 14 or later",
		}
	}
	if !streaming {
		return nil
	}
	if s.WALLevel != "logical" {
		return &change.Failure{
			Class:  ClassServer,
			Reason: fmt.Sprintf("wal_level is %q, and logical replication needs %q", s.WALLevel, "logical"),
			Fix:    "run ALTER SYSTEM SET wal_level = logical and restart PostgreSQL",
		}
	}
	if !s.MayReplicate {
		return &change.Failure{
			Class:  ClassPrivilege,
			Reason: fmt.Sprintf("role %q has no REPLICATION right", user),
			Fix:    "run ALTER ROLE " + pgx.Identifier{user}.Sanitize() + " REPLICATION",
		}
	}
	if s.InRecovery && s.Version < 160000 {
		return &change.Failure{
			Class:  ClassServer,
			Reason: "the server is a standby, and PostgreSQL before 16 has no logical decoding on standbys",
			Fix:    "point field `dsn` at the primary",
		}
	}
	return nil
}
