package ddl

import (
	"context"
	"fmt"
	"strings"
)

// UUID returns what tells a table from another that had its name, "" where there is none.
func (t *Target) UUID(ctx context.Context, conn Conn) (string, error) {
	var tables []struct {
		UUID string `ch:"identity"`
	}
	if err := conn.Select(ctx, &tables, "SELECT toString(uuid) AS identity FROM system.tables WHERE database = ? AND name = ?", t.Database, t.Name); err != nil {
		return "", fmt.Errorf("reading the identity of %s: %w", t, err)
	}
	if len(tables) == 0 {
		return "", nil
	}
	return tables[0].UUID, nil
}

// CreateLike returns the CREATE TABLE for an empty copy of an existing table, with the engine, key, settings, indexes and
// extra columns that somebody may have given it; "" where a copy could not live beside it, because both would use the same
// path in Keeper.
func (t *Target) CreateLike(original *Target, e *Existing) string {
	if strings.HasPrefix(string(e.Engine), "Replicated") && !strings.Contains(e.engineFull, "{uuid}") {
		return ""
	}
	return fmt.Sprintf("CREATE TABLE %s%s AS %s", t.quoted(), t.onCluster(), original.quoted())
}

// Exchange returns the statement that gives two tables each other's name, in one step that no query can fall into.
// It needs a database of engine Atomic, Replicated or Shared.
func (t *Target) Exchange(other *Target) string {
	return fmt.Sprintf("EXCHANGE TABLES %s AND %s%s", t.quoted(), other.quoted(), t.onCluster())
}

// Rename returns the statement that gives the table another's name.
func (t *Target) Rename(to *Target) string {
	return fmt.Sprintf("RENAME TABLE %s TO %s%s", t.quoted(), to.quoted(), t.onCluster())
}

// Drop returns the statement that removes the table, if it is there, and waits until it is gone. anySize lifts the
// server's limit on the size of tables that may be dropped, which a server before 23.12 does not allow a query to do.
func (t *Target) Drop(anySize bool) string {
	statement := fmt.Sprintf("DROP TABLE IF EXISTS %s%s SYNC", t.quoted(), t.onCluster())
	if anySize {
		statement += " SETTINGS max_table_size_to_drop = 0"
	}
	return statement
}
