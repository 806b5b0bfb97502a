// Package ddl makes destination tables and keeps them fitting: names and types, CREATE TABLE, what an existing table is
// and whether it fits, the ALTER that follows a schema change, and the DELETE that follows a TRUNCATE.
//
// It writes statements and reads system tables; it decides nothing about when they run.
package ddl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/output/encode"
)

// Conn runs statements.
type Conn interface {
	Exec(ctx context.Context, statement string, args ...any) error
	Select(ctx context.Context, dest any, query string, args ...any) error
}

// Engine is a table engine that Penstock writes to.
type Engine string

// The engines.
const (
	// ReplacingMergeTree holds the source's rows as they are now.
	ReplacingMergeTree           Engine = "ReplacingMergeTree"
	ReplicatedReplacingMergeTree Engine = "ReplicatedReplacingMergeTree"
	// MergeTree holds every change of every row: a history that only grows.
	MergeTree           Engine = "MergeTree"
	ReplicatedMergeTree Engine = "ReplicatedMergeTree"
	// Null holds nothing; materialized views see the rows that are inserted.
	Null Engine = "Null"
)

// Engines are all of them, the default first.
var engines = [...]Engine{ReplacingMergeTree, MergeTree, Null, ReplicatedReplacingMergeTree, ReplicatedMergeTree}

// Engines returns the names of the engines, the default first.
func Engines() []string {
	names := make([]string, len(engines))
	for i, e := range engines {
		names[i] = string(e)
	}
	return names
}

// family is the engine without the prefix that says how it is kept: Replicated, or ClickHouse Cloud's Shared.
func (e Engine) family() Engine {
	for _, prefix := range []string{"Replicated", "Shared"} {
		if rest, found := strings.CutPrefix(string(e), prefix); found {
			return Engine(rest)
		}
	}
	return e
}

// History says that the engine keeps every change, so that the operation is a column.
func (e Engine) History() bool { return e.family() == MergeTree }

// Metadata names the columns that Penstock adds to the source's. "" leaves one out.
type Metadata struct {
	Version   string // UInt64, the WAL position of the change
	IsDeleted string // UInt8, 1 for a deleted row
	SyncedAt  string // DateTime64(6, 'UTC'), when the row was inserted here
	Operation string // LowCardinality(String), for a history only
}

// Target is what one destination table is to be.
type Target struct {
	Database, Name string
	// Cluster is for ON CLUSTER, "" for none.
	Cluster  string
	Engine   Engine
	Metadata Metadata
	// Nullable makes columns Nullable that may be NULL at the source.
	Nullable bool
	// OrderBy are columns, nil for the key; PartitionBy is an expression, "" for none.
	OrderBy     []string
	PartitionBy string
	// Types maps names of columns to ClickHouse types that are taken as they are.
	Types map[string]string
	// Settings of the engine.
	Settings map[string]string
	// UTC says that the server's time zone is UTC.
	UTC bool
}

// String returns database.table, unquoted: what errors and logs show.
func (t *Target) String() string { return t.Database + "." + t.Name }

func (t *Target) quoted() string { return QuoteName(t.Database, t.Name) }

func (t *Target) onCluster() string {
	if t.Cluster == "" {
		return ""
	}
	return " ON CLUSTER " + Quote(t.Cluster)
}

// typeOf returns the type of a column in a new table.
func (t *Target) typeOf(table *change.Table, c change.Column) string {
	if override, ok := t.Types[c.Name]; ok {
		return override
	}
	// A key column has no NULLs, but where the key is the whole row.
	return ColumnType(c, t.Nullable && (!c.InKey || table.KeyIsWholeRow), t.UTC)
}

// addedType is the type of a column that is added later. Rows that are there already have no value for it, which
// NULL says and a default would hide.
func (t *Target) addedType(table *change.Table, c change.Column) string {
	if !c.InKey {
		c.NotNull = false
	}
	return t.typeOf(table, c)
}

// metadata returns the columns that Penstock adds.
func (t *Target) metadata() []encode.Column {
	columns := []encode.Column{
		{Name: t.Metadata.Version, Type: "UInt64"},
		{Name: t.Metadata.IsDeleted, Type: "UInt8"},
		{Name: t.Metadata.SyncedAt, Type: "DateTime64(6, 'UTC')"},
	}
	if t.Engine.History() {
		columns = append(columns, encode.Column{Name: t.Metadata.Operation, Type: "LowCardinality(String)"})
	}
	return slices.DeleteFunc(columns, func(c encode.Column) bool { return c.Name == "" })
}

// Columns returns the columns of a new table: the source's, then Penstock's.
func (t *Target) Columns(table *change.Table) ([]encode.Column, error) {
	columns := make([]encode.Column, 0, len(table.Columns)+4)
	for _, c := range table.Columns {
		columns = append(columns, encode.Column{Name: c.Name, Type: t.typeOf(table, c)})
	}
	for name := range t.Types {
		if table.Column(name) < 0 {
			return nil, t.fail("%s has no column %q, which `types` names for it", table, name)
		}
	}
	for _, m := range t.metadata() {
		if table.Column(m.Name) >= 0 {
			return nil, t.fail("%s has a column %q of its own: give Penstock's another name in `metadata_columns`", table, m.Name)
		}
		columns = append(columns, m)
	}
	return columns, nil
}

// Replaces says that rows replace each other in this table, so that it can be loaded anew and swapped in.
func (t *Target) Replaces() bool { return t.Engine.family() == ReplacingMergeTree }

// Insert returns the beginning of the INSERT of a block with these columns.
func (t *Target) Insert(columns []string) string {
	return "INSERT INTO " + t.quoted() + " (" + quoteList(columns) + ")"
}

// IncompatibleError says that a table cannot hold what the source sends. It passes only when someone changes the table,
// the configuration or the source.
type IncompatibleError struct {
	Table    string // database.table
	Problems []string
}

// Error returns one sentence per problem.
func (e *IncompatibleError) Error() string {
	return "table " + e.Table + ": " + strings.Join(e.Problems, "; ")
}

func (t *Target) fail(format string, args ...any) error {
	return &IncompatibleError{Table: t.String(), Problems: []string{fmt.Sprintf(format, args...)}}
}
