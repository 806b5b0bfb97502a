package ddl

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/output/encode"
)

// Create returns the CREATE TABLE for a source table.
func (t *Target) Create(table *change.Table) (string, error) {
	columns, err := t.Columns(table)
	if err != nil {
		return "", err
	}
	if err := t.checkTypes(table, columns); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %s%s\n(\n", t.quoted(), t.onCluster())
	for i, c := range columns {
		separator := ","
		if i == len(columns)-1 {
			separator = ""
		}
		fmt.Fprintf(&b, "    %s %s%s\n", Quote(c.Name), c.Type, separator)
	}
	fmt.Fprintf(&b, ")\nENGINE = %s", t.Engine)
	if t.Engine != Null {
		if err := t.engineClauses(&b, table, columns); err != nil {
			return "", err
		}
	}
	fmt.Fprintf(&b, "\nCOMMENT %s", QuoteString("Replicated by Penstock from "+table.String()))
	return b.String(), nil
}

func (t *Target) engineClauses(b *strings.Builder, table *change.Table, columns []encode.Column) error {
	order, err := t.orderBy(table)
	if err != nil {
		return err
	}
	if t.Engine.family() == ReplacingMergeTree {
		fmt.Fprintf(b, "(%s)", quoteList([]string{t.Metadata.Version, t.Metadata.IsDeleted}))
	}
	if t.PartitionBy != "" {
		if err := t.checkPartition(table); err != nil {
			return err
		}
		fmt.Fprintf(b, "\nPARTITION BY %s", t.PartitionBy)
	}
	fmt.Fprintf(b, "\nORDER BY (%s)", quoteList(order))
	return t.settings(b, order, columns)
}

func (t *Target) settings(b *strings.Builder, order []string, columns []encode.Column) error {
	settings := maps.Clone(t.Settings)
	if settings == nil {
		settings = make(map[string]string)
	}
	nullable := func(c encode.Column) bool { return slices.Contains(order, c.Name) && isNullable(c.Type) }
	if _, set := settings["allow_nullable_key"]; !set && slices.ContainsFunc(columns, nullable) {
		settings["allow_nullable_key"] = "1"
	}
	for i, name := range slices.Sorted(maps.Keys(settings)) {
		if _, word := unquote(name); !word || name[0] == '`' || name[0] == '"' {
			return t.fail("%q is not the name of a setting", name)
		}
		separator := ", "
		if i == 0 {
			separator = "\nSETTINGS "
		}
		fmt.Fprintf(b, "%s%s = %s", separator, name, settingValue(settings[name]))
	}
	return nil
}

// settingValue writes a number as it is and anything else as a string.
func settingValue(value string) string {
	number := value != "" && strings.Trim(strings.TrimPrefix(value, "-"), "0123456789.") == ""
	if number {
		return value
	}
	return QuoteString(value)
}

func isNullable(chType string) bool {
	return strings.HasPrefix(chType, "Nullable(") || strings.HasPrefix(chType, "LowCardinality(Nullable(")
}

// checkTypes refuses overrides that cannot hold their column, before the table is made.
func (t *Target) checkTypes(table *change.Table, columns []encode.Column) error {
	var problems []string
	for i, c := range table.Columns {
		override, ok := t.Types[c.Name]
		if !ok {
			continue
		}
		if err := encode.Check(c, columns[i].Type); err != nil {
			problems = append(problems, fmt.Sprintf("column %q cannot have the type that `types` gives it: %v", c.Name, err))
		} else if c.InKey && !table.KeyIsWholeRow && isNullable(override) {
			problems = append(problems, fmt.Sprintf("column %q is in the key, so its type in `types` must not be Nullable, got %s", c.Name, override))
		}
	}
	if problems != nil {
		return &IncompatibleError{Table: t.String(), Problems: problems}
	}
	return nil
}

// orderBy returns the columns to sort by.
//
// Where rows replace each other they must be the columns of the key, in any order. With fewer, different rows would
// replace each other; with more, a tombstone could not find its row (it holds key columns only), and an update that
// changes such a column would leave the old row behind.
func (t *Target) orderBy(table *change.Table) ([]string, error) {
	key := table.KeyNames()
	if t.Engine.History() {
		if len(t.OrderBy) > 0 {
			return t.OrderBy, t.checkColumns(table, t.OrderBy)
		}
		return append(key, t.Metadata.Version), nil
	}
	if len(t.OrderBy) == 0 {
		return key, nil
	}
	if !sameSet(t.OrderBy, key) {
		return nil, t.fail("`order_by` is (%s), which must be the columns of the replica identity of %s, (%s), in any order; "+
			"to sort by others, put them into a unique index and run ALTER TABLE %s.%s REPLICA IDENTITY USING INDEX at the source",
			strings.Join(t.OrderBy, ", "), table, strings.Join(key, ", "), pgQuote(table.Schema), pgQuote(table.Name))
	}
	return t.OrderBy, nil
}

func (t *Target) checkColumns(table *change.Table, names []string) error {
	for _, name := range names {
		metadata := func(c encode.Column) bool { return c.Name == name }
		if table.Column(name) < 0 && !slices.ContainsFunc(t.metadata(), metadata) {
			return t.fail("`order_by` names column %q, which %s does not have", name, table)
		}
	}
	return nil
}

// checkPartition refuses to partition by what an update can change: rows of different partitions never replace each other.
func (t *Target) checkPartition(table *change.Table) error {
	names, err := identifiers(t.PartitionBy)
	if err != nil {
		return t.fail("reading `partition_by`: %v", err)
	}
	if t.Engine.History() {
		return nil
	}
	for _, name := range names {
		if i := table.Column(name); i >= 0 && !table.Columns[i].InKey || i < 0 && slices.ContainsFunc(t.metadata(), func(c encode.Column) bool { return c.Name == name }) {
			return t.fail("`partition_by` uses column %q, which can change; it may use columns of the key only, (%s)",
				name, strings.Join(table.KeyNames(), ", "))
		}
	}
	return nil
}

func sameSet(a, b []string) bool {
	for _, name := range a {
		if !slices.Contains(b, name) {
			return false
		}
	}
	for _, name := range b {
		if !slices.Contains(a, name) {
			return false
		}
	}
	return true
}

// pgQuote quotes an identifier for PostgreSQL, for statements that an operator is told to run.
func pgQuote(identifier string) string {
	return `"` + strings.ReplaceAll(identifier, `"`, `""`) + `"`
}
