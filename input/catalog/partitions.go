package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/internal/change"
)

// leaf is a partition that holds rows itself.
type leaf struct {
	name     string // quoted, with schema
	foreign  bool
	unlogged bool
	readable bool
	identity change.Identity
	// covered are the columns that the WAL holds of an old row, all where
	// identity is FULL.
	covered []string
}

// checkPartitions looks at what PostgreSQL asks of each partition and not of the
// partitioned table: the right to read it, and its replica identity, which it
// does not get from there (PostgreSQL docs, ALTER TABLE, REPLICA IDENTITY).
func checkPartitions(ctx context.Context, conn *pgx.Conn, t *Table, streaming bool) error {
	leaves, err := readLeaves(ctx, conn, t)
	if err != nil {
		return fmt.Errorf("reading the partitions of %s: %w", t, Explain(err))
	}
	for _, l := range leaves {
		switch {
		case l.foreign:
			t.Warnings = append(t.Warnings, fmt.Sprintf("partition %s is a foreign table: its rows are not copied", l.name))
		case l.unlogged && streaming:
			return unlogged(t.String(), l.name)
		case !l.readable:
			return unreadable(t.String(), l.name)
		case streaming && !l.coversKey(t):
			return l.noIdentity(t)
		}
	}
	return nil
}

func readLeaves(ctx context.Context, conn *pgx.Conn, t *Table) ([]leaf, error) {
	rows, err := conn.Query(ctx, `
		SELECT format('%I.%I', n.nspname, c.relname), c.relkind = 'f', c.relpersistence = 'u',
		       has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT'),
		       c.relreplident,
		       ARRAY(SELECT a.attname::text
		               FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY((i.indkey::int2[])[0:i.indnkeyatts-1])
		              WHERE i.indrelid = c.oid AND i.indisvalid
		                AND CASE c.relreplident WHEN 'd' THEN i.indisprimary AND i.indimmediate WHEN 'i' THEN i.indisreplident ELSE false END)
		  FROM pg_partition_tree($1::oid::regclass) p
		  JOIN pg_class c ON c.oid = p.relid
		  JOIN pg_namespace n ON n.oid = c.relnamespace
		 WHERE p.isleaf AND c.relkind IN ('r', 'f')
		 ORDER BY 1`, t.OID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (l leaf, err error) {
		var identity rune
		err = row.Scan(&l.name, &l.foreign, &l.unlogged, &l.readable, &identity, &l.covered)
		l.identity = change.Identity(identity)
		return l, err
	})
}

func (l *leaf) coversKey(t *Table) bool {
	if l.identity == change.IdentityFull {
		return true
	}
	return !t.KeyIsWholeRow && !slices.ContainsFunc(t.KeyNames(), func(name string) bool { return !slices.Contains(l.covered, name) })
}

func (l *leaf) noIdentity(t *Table) error {
	return &change.Failure{
		Class: ClassIdentity, Table: t.String(),
		Reason: fmt.Sprintf("the replica identity of partition %s (%s) does not hold the key of %s (%s), so updates and deletes there could not be replicated",
			l.name, strings.ToUpper(l.identity.String()), t, strings.Join(t.KeyNames(), ", ")),
		Fix: fmt.Sprintf("run ALTER TABLE %s REPLICA IDENTITY FULL: partitions do not take it over from the partitioned table", l.name),
	}
}
