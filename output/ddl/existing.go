package ddl

import (
	"context"
	"fmt"
	"strings"

	"github.com/penstock/penstock/output/encode"
)

// Existing is a table as the server describes it.
type Existing struct {
	// Engine as in system.tables, with a prefix such as Replicated.
	Engine Engine
	// Version and IsDeleted are the columns that the engine is told, "" where it is told none.
	Version, IsDeleted string
	// SortingKey holds column names, and expressions as the server prints them.
	SortingKey []string
	Columns    []ExistingColumn

	engineFull string // as in system.tables
}

// ExistingColumn is a row of system.columns.
type ExistingColumn struct {
	Name string `ch:"name"`
	Type string `ch:"type"`
	// Kind is DEFAULT, MATERIALIZED, ALIAS, EPHEMERAL or "".
	Kind           string `ch:"default_kind"`
	InSortingKey   uint8  `ch:"is_in_sorting_key"`
	InPartitionKey uint8  `ch:"is_in_partition_key"`
}

// computed columns take no values.
func (c *ExistingColumn) computed() bool { return c.Kind == "MATERIALIZED" || c.Kind == "ALIAS" }

// Read asks the server for the definition of a table; it is nil where there is none.
func (t *Target) Read(ctx context.Context, conn Conn) (*Existing, error) {
	var tables []struct {
		Engine     string `ch:"engine"`
		EngineFull string `ch:"engine_full"`
		SortingKey string `ch:"sorting_key"`
	}
	const ofTables = "SELECT engine, engine_full, sorting_key FROM system.tables WHERE database = ? AND name = ?"
	if err := conn.Select(ctx, &tables, ofTables, t.Database, t.Name); err != nil {
		return nil, fmt.Errorf("reading the definition of %s: %w", t, err)
	}
	if len(tables) == 0 {
		return nil, nil
	}
	e := &Existing{Engine: Engine(tables[0].Engine), engineFull: tables[0].EngineFull}
	e.SortingKey = sortingKey(tables[0].SortingKey)
	if e.Engine.family() == ReplacingMergeTree {
		e.Version, e.IsDeleted = replacingColumns(tables[0].EngineFull)
	}
	const ofColumns = "SELECT name, type, default_kind, is_in_sorting_key, is_in_partition_key FROM system.columns " +
		"WHERE database = ? AND table = ? ORDER BY position"
	if err := conn.Select(ctx, &e.Columns, ofColumns, t.Database, t.Name); err != nil {
		return nil, fmt.Errorf("reading the columns of %s: %w", t, err)
	}
	return e, nil
}

// sortingKey reads system.tables.sorting_key: "a, b", or "(a)" as some versions print the parentheses they were given.
func sortingKey(sql string) (elements []string) {
	for _, part := range splitList(sql) {
		if strings.HasPrefix(part, "(") && closing(part, 0) == len(part)-1 {
			elements = append(elements, sortingKey(part[1:len(part)-1])...)
			continue
		}
		if name, ok := unquote(part); ok {
			part = name
		}
		elements = append(elements, part)
	}
	return elements
}

// replacingColumns reads the arguments of a ReplacingMergeTree from system.tables.engine_full. Those of a replicated one
// follow two strings, the path in Keeper and the name of the replica.
func replacingColumns(engineFull string) (version, isDeleted string) {
	open := strings.IndexByte(engineFull, '(')
	// Without arguments the first parenthesis belongs to a later clause.
	if open < 0 || strings.ContainsAny(engineFull[:open], " \n") {
		return "", ""
	}
	var columns []string
	for _, argument := range splitList(engineFull[open+1 : closing(engineFull, open)]) {
		if name, ok := unquote(argument); ok {
			columns = append(columns, name)
		}
	}
	columns = append(columns, "", "")
	return columns[0], columns[1]
}

// Column returns the column called name, nil where there is none.
func (e *Existing) Column(name string) *ExistingColumn {
	for i := range e.Columns {
		if e.Columns[i].Name == name {
			return &e.Columns[i]
		}
	}
	return nil
}

// Destination returns the columns that take values: what a block is made for.
func (e *Existing) Destination() []encode.Column {
	columns := make([]encode.Column, 0, len(e.Columns))
	for i := range e.Columns {
		if c := &e.Columns[i]; !c.computed() {
			columns = append(columns, encode.Column{Name: c.Name, Type: c.Type})
		}
	}
	return columns
}
