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

func readRelations(ctx context.Context, conn *pgx.Conn) ([]relation, error) {
	rows, err := conn.Query(ctx, `
		SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relreplident, c.relrowsecurity
		  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
		   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
		 ORDER BY n.nspname, c.relname`)
	if err != nil {
		return nil, fmt.Errorf("listing tables: %w", Explain(err))
	}
	relations, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r relation, err error) {
		var kind, persistence, identity rune
		err = row.Scan(&r.oid, &r.schema, &r.name, &kind, &persistence, &identity, &r.rowSecurity)
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
		return nil, &change.Failure{
			Class: ClassConfiguration, Table: r.schema + "." + r.name,
			Reason: fmt.Sprintf("table %s.%s is UNLOGGED: its changes are not in the WAL", r.schema, r.name),
			Fix:    fmt.Sprintf("run ALTER TABLE %s SET LOGGED, or leave it out with `exclude_tables`", quote(r.schema, r.name)),
		}
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

// readColumns fills t.Columns and returns their attribute numbers. published
// is the publication's column list, nil for all columns.
func readColumns(ctx context.Context, conn *pgx.Conn, types *Types, t *change.Table, excluded, published []string) ([]int16, error) {
	rows, err := conn.Query(ctx, `
		SELECT attnum, attname, atttypid, atttypmod, attnotnull, attgenerated = 's'
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
		if slices.Contains(excluded, a.column.Name) || (published != nil && !a.column.Generated && !slices.Contains(published, a.column.Name)) {
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

// readKey finds the columns that tell rows apart, see [change.Table.Key].
func readKey(ctx context.Context, conn *pgx.Conn, t *Table, attnums []int16, streaming bool) error {
	var primary, identity []int16
	err := conn.QueryRow(ctx, `
		SELECT (SELECT (indkey::int2[])[0:indnkeyatts-1] FROM pg_index WHERE indrelid = $1 AND indisprimary AND indimmediate AND indisvalid),
		       (SELECT (indkey::int2[])[0:indnkeyatts-1] FROM pg_index WHERE indrelid = $1 AND indisreplident AND indisvalid)`, t.OID).
		Scan(&primary, &identity)
	if err != nil {
		return fmt.Errorf("reading the key of %s: %w", t, Explain(err))
	}
	var key []int16
	switch t.Identity {
	case change.IdentityDefault:
		key = primary
	case change.IdentityIndex:
		key = identity
	case change.IdentityFull:
		key = primary
		t.KeyIsWholeRow = len(primary) == 0
	case change.IdentityNothing:
		if !streaming {
			key = primary
		}
	}
	if len(key) == 0 && !t.KeyIsWholeRow {
		if streaming {
			return noIdentity(t)
		}
		t.KeyIsWholeRow = true
	}
	if t.KeyIsWholeRow {
		t.Warnings = append(t.Warnings, "no key: the whole row is the key, so exact duplicates of a row become one")
		key = attnums
	}
	for _, number := range key {
		i := slices.Index(attnums, number)
		if i < 0 {
			return &change.Failure{
				Class: ClassConfiguration, Table: t.String(),
				Reason: fmt.Sprintf("a key column of %s is left out by `exclude_columns` or by the publication's column list", t),
				Fix:    "replicate all columns of the key",
			}
		}
		t.Key = append(t.Key, i)
		t.Columns[i].InKey = true
	}
	return nil
}

func noIdentity(t *Table) error {
	name := quote(t.Schema, t.Name)
	return &change.Failure{
		Class: ClassIdentity, Table: t.String(),
		Reason: fmt.Sprintf("table %s has no usable replica identity (it is %s, without a primary key to go with it), so updates and deletes could not be replicated", t, strings.ToUpper(t.Identity.String())),
		Fix:    fmt.Sprintf("add a primary key, or run ALTER TABLE %s REPLICA IDENTITY FULL, or leave the table out with `exclude_tables`", name),
	}
}

// quote writes a name for use in SQL.
func quote(name ...string) string { return pgx.Identifier(name).Sanitize() }
