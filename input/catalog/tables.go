package catalog

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/internal/change"
)

// Selection says which tables and columns are replicated.
type Selection struct {
	// Include and Exclude are globs over schema.table: `*` is any run of
	// characters, `?` one, `[…]` a class. An empty Include is everything that is
	// published.
	Include, Exclude []string
	// ExcludeColumns maps schema.table to the columns that are left out.
	ExcludeColumns map[string][]string
}

// Check returns what is wrong with the globs, naming the field.
func (s *Selection) Check() error {
	for field, globs := range map[string][]string{"tables": s.Include, "exclude_tables": s.Exclude} {
		for _, glob := range globs {
			if _, err := path.Match(glob, ""); err != nil {
				return fmt.Errorf("field `%s`: %q is not a valid glob: %w", field, glob, err)
			}
			if !strings.Contains(glob, ".") && glob != "*" {
				return fmt.Errorf("field `%s`: %q names no schema: write schema.table, such as %q", field, glob, "public."+glob)
			}
		}
	}
	for table := range s.ExcludeColumns {
		if !strings.Contains(table, ".") {
			return fmt.Errorf("field `exclude_columns`: %q names no schema: write schema.table, such as %q", table, "public."+table)
		}
	}
	return nil
}

// Matches says whether a table is selected.
func (s *Selection) Matches(schema, table string) bool {
	name := schema + "." + table
	return (len(s.Include) == 0 || matchesAny(s.Include, name)) && !matchesAny(s.Exclude, name)
}

func matchesAny(globs []string, name string) bool {
	return slices.ContainsFunc(globs, func(glob string) bool {
		// A slash in a name would stop `*`; no glob means it that way.
		ok, _ := path.Match(strings.ReplaceAll(glob, "/", "\x00"), strings.ReplaceAll(name, "/", "\x00"))
		return ok
	})
}

// Table is a source table with what only the input needs to know.
type Table struct {
	*change.Table
	Partitioned bool
	// RowFilter is the publication's WHERE clause, which the snapshot repeats;
	// "" for none.
	RowFilter string
	// Warnings are facts about the table that its user should know.
	Warnings []string
}

// relation is a row of pg_class that may be a source table.
type relation struct {
	oid         uint32
	schema      string
	name        string
	kind        byte // relkind: 'r' or 'p'
	persistence byte // relpersistence
	identity    change.Identity
	rowSecurity bool
	readable    bool // our role may SELECT at least one column
}

// Tables returns the selected tables with their definitions, ordered by name.
// published is the user's own publication, nil where there is none or it is
// ours to fill.
func Tables(ctx context.Context, conn *pgx.Conn, server *Server, selection *Selection, published *Publication, streaming bool) ([]*Table, error) {
	relations, err := readRelations(ctx, conn)
	if err != nil {
		return nil, err
	}
	types := NewTypes(conn, server.MoneyDigits)
	var tables []*Table
	for _, r := range relations {
		if !selection.Matches(r.schema, r.name) {
			continue
		}
		entry, isPublished := published.table(r.oid)
		if published == nil {
			entry.Generated = publishesGenerated(server)
		}
		if published != nil && !isPublished {
			if len(selection.Include) == 0 {
				continue
			}
			return nil, &change.Failure{
				Class: ClassPublication, Table: r.schema + "." + r.name,
				Reason: fmt.Sprintf("table %s.%s is selected but is not in publication %q, which Penstock did not create and so does not change", r.schema, r.name, published.Name),
				Fix:    fmt.Sprintf("run ALTER PUBLICATION %s ADD TABLE %s, or leave the table out with `exclude_tables`", quote(published.Name), quote(r.schema, r.name)),
			}
		}
		table, err := readTable(ctx, conn, types, r, selection.ExcludeColumns[r.schema+"."+r.name], entry, streaming)
		if err != nil {
			return nil, err
		}
		tables = append(tables, table)
	}
	if len(tables) == 0 {
		return nil, nothingSelected(selection, len(relations))
	}
	return tables, nil
}

// StandsAlone says that a relation exists and is not a partition of another.
func StandsAlone(ctx context.Context, conn *pgx.Conn, oid uint32) (bool, error) {
	var alone bool
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_class WHERE oid = $1 AND NOT relispartition)`, oid).Scan(&alone)
	if err != nil {
		return false, fmt.Errorf("looking up relation %d: %w", oid, Explain(err))
	}
	return alone, nil
}

// Literal returns the glob that matches one table only, schema.table.
func Literal(table string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(table)
}

func nothingSelected(selection *Selection, candidates int) error {
	what := "the publication holds no table"
	if len(selection.Include) > 0 {
		what = fmt.Sprintf("no table matches `tables: [%s]`", strings.Join(selection.Include, ", "))
		if len(selection.Exclude) > 0 {
			what += fmt.Sprintf(" without `exclude_tables: [%s]`", strings.Join(selection.Exclude, ", "))
		}
	}
	return &change.Failure{
		Class:  ClassConfiguration,
		Reason: what,
		Fix:    fmt.Sprintf("the database has %d tables that could be replicated: name them as schema.table, for example \"public.*\"", candidates),
	}
}

// unlogged and unreadable are failures of a table because of a relation that
// holds its rows, given by its quoted name: the table itself or a partition.
func unlogged(table, relation string) error {
	return &change.Failure{
		Class: ClassConfiguration, Table: table,
		Reason: fmt.Sprintf("table %s is UNLOGGED: its changes are not in the WAL", relation),
		Fix:    fmt.Sprintf("run ALTER TABLE %s SET LOGGED, or leave %s out with `exclude_tables`", relation, table),
	}
}

func unreadable(table, relation string) error {
	return &change.Failure{
		Class: ClassPrivilege, Table: table,
		Reason: fmt.Sprintf("our role may not read table %s", relation),
		Fix:    fmt.Sprintf("run GRANT SELECT ON %s (and GRANT USAGE ON its schema) to the user in field `dsn`, or leave %s out with `exclude_tables`", relation, table),
	}
}

func readRelations(ctx context.Context, conn *pgx.Conn) ([]relation, error) {
	rows, err := conn.Query(ctx, `
		SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relreplident, c.relrowsecurity,
		       has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT')
		  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
		   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
		 ORDER BY n.nspname, c.relname`)
	if err != nil {
		return nil, fmt.Errorf("listing tables: %w", Explain(err))
	}
	relations, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r relation, err error) {
		var kind, persistence, identity rune
		err = row.Scan(&r.oid, &r.schema, &r.name, &kind, &persistence, &identity, &r.rowSecurity, &r.readable)
		r.kind, r.persistence, r.identity = byte(kind), byte(persistence), change.Identity(identity)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("listing tables: %w", Explain(err))
	}
	return relations, nil
}

func readTable(ctx context.Context, conn *pgx.Conn, types *Types, r relation, excluded []string, entry PublishedTable, streaming bool) (*Table, error) {
	if r.persistence == 'u' && streaming {
		return nil, unlogged(r.schema+"."+r.name, quote(r.schema, r.name))
	}
	if !r.readable {
		return nil, unreadable(r.schema+"."+r.name, quote(r.schema, r.name))
	}
	t := &Table{
		Table:       &change.Table{OID: r.oid, Schema: r.schema, Name: r.name, Identity: r.identity},
		Partitioned: r.kind == 'p',
		RowFilter:   entry.RowFilter,
	}
	attnums, err := readColumns(ctx, conn, types, t.Table, excluded, entry.Columns)
	if err != nil {
		return nil, err
	}
	if err := readKey(ctx, conn, t, attnums, streaming); err != nil {
		return nil, err
	}
	if t.KeyIsWholeRow && (len(excluded) > 0 || entry.Columns != nil) {
		t.Warnings = append(t.Warnings, "no key, and columns are left out: rows that differ in those only become one")
	}
	if streaming && !entry.Generated {
		if err := checkGeneratedKey(t); err != nil {
			return nil, err
		}
	}
	if t.Partitioned {
		if err := checkPartitions(ctx, conn, t, streaming); err != nil {
			return nil, err
		}
	}
	if r.rowSecurity {
		var bypasses bool
		err := conn.QueryRow(ctx, `SELECT NOT row_security_active($1::oid::regclass)`, r.oid).Scan(&bypasses)
		if err != nil {
			return nil, fmt.Errorf("reading row security of %s: %w", t, Explain(err))
		}
		if !bypasses {
			t.Warnings = append(t.Warnings, "row-level security hides rows from our role in the snapshot, but not in the stream: give the role BYPASSRLS")
		}
	}
	return t, nil
}

// Columns returns the columns that a table has now, none where it is gone.
func Columns(ctx context.Context, conn *pgx.Conn, types *Types, oid uint32) ([]change.Column, error) {
	t := &change.Table{OID: oid}
	_, err := readColumns(ctx, conn, types, t, nil, nil)
	return t.Columns, err
}

// readColumns fills t.Columns and returns their attribute numbers. published
// is the publication's column list, nil for all columns.
func readColumns(ctx context.Context, conn *pgx.Conn, types *Types, t *change.Table, excluded, published []string) ([]int16, error) {
	rows, err := conn.Query(ctx, `
		SELECT attnum, attname, atttypid, atttypmod,
		       -- PostgreSQL 18 has NOT NULL constraints that old rows may break
		       attnotnull AND NOT EXISTS (SELECT FROM pg_constraint
		                                   WHERE conrelid = attrelid AND contype = 'n' AND NOT convalidated AND attnum = ANY(conkey)),
		       attgenerated = 's'
		  FROM pg_attribute
		 WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attgenerated <> 'v'
		 ORDER BY attnum`, t.OID)
	if err != nil {
		return nil, fmt.Errorf("reading the columns of %s: %w", t, Explain(err))
	}
	type attribute struct {
		number  int16
		typeOID uint32
		column  change.Column
	}
	attributes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a attribute, err error) {
		err = row.Scan(&a.number, &a.column.Name, &a.typeOID, &a.column.TypeMod, &a.column.NotNull, &a.column.Generated)
		return a, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the columns of %s: %w", t, Explain(err))
	}
	for _, name := range excluded {
		if !slices.ContainsFunc(attributes, func(a attribute) bool { return a.column.Name == name }) {
			return nil, &change.Failure{
				Class: ClassConfiguration, Table: t.String(),
				Reason: fmt.Sprintf("field `exclude_columns` names column %q, which table %s does not have", name, t),
				Fix:    "correct the name or remove it",
			}
		}
	}
	var numbers []int16
	for _, a := range attributes {
		if slices.Contains(excluded, a.column.Name) || (published != nil && !slices.Contains(published, a.column.Name)) {
			continue
		}
		a.column.Type, a.column.TypeMod, err = types.Resolve(ctx, a.typeOID, a.column.TypeMod)
		if err != nil {
			return nil, fmt.Errorf("reading column %q of %s: %w", a.column.Name, t, err)
		}
		t.Columns = append(t.Columns, a.column)
		numbers = append(numbers, a.number)
	}
	return numbers, nil
}

// quote writes a name for use in SQL.
func quote(name ...string) string { return pgx.Identifier(name).Sanitize() }
