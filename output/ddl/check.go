package ddl

import (
	"fmt"
	"slices"
	"strings"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/output/encode"
)

// Check says whether an existing table can hold what the source table sends. The error is an [IncompatibleError] with one
// sentence for each thing that does not fit and the statement that mends it.
func (t *Target) Check(table *change.Table, e *Existing) error {
	// Overrides and names are checked as for a new table, so that a wrong one does not wait until the table is dropped.
	if _, err := t.Columns(table); err != nil {
		return err
	}
	problems := t.engineProblems(e)
	if problems == nil {
		problems = append(problems, t.metadataProblems(e)...)
		problems = append(problems, t.keyProblems(table, e)...)
	}
	for _, c := range table.Columns {
		if problem := t.columnProblem(table, c, e); problem != "" {
			problems = append(problems, problem)
		}
	}
	if len(problems) > 0 {
		return &IncompatibleError{Table: t.String(), Problems: problems}
	}
	return nil
}

func (t *Target) engineProblems(e *Existing) []string {
	if e.Engine.family() == t.Engine.family() {
		return nil
	}
	problem := fmt.Sprintf("the table exists with engine %s, where `engine` says %s: ", e.Engine, t.Engine)
	switch {
	case slices.Contains(engines[:], e.Engine.family()):
		problem += fmt.Sprintf("set `engine: %s` for it, or RENAME the table away so that it is created anew", e.Engine.family())
	case t.Engine.family() == ReplacingMergeTree:
		problem += "updates and deletes need an engine that replaces rows by version; RENAME the table away so that it is created anew"
	default:
		problem += "RENAME the table away so that it is created anew"
	}
	return []string{problem}
}

// metadataTypes are the types that Penstock's columns may have.
func (t *Target) metadataTypes(name string) []string {
	switch name {
	case t.Metadata.Version:
		return []string{"UInt64", "Int64"}
	case t.Metadata.IsDeleted:
		return []string{"UInt8", "Int8", "Bool"}
	case t.Metadata.Operation:
		return []string{"LowCardinality(String)", "String"}
	}
	return nil // any that the encoder takes
}

func (t *Target) metadataProblems(e *Existing) (problems []string) {
	replacing := t.Engine.family() == ReplacingMergeTree
	if replacing && e.Version != t.Metadata.Version {
		problem := fmt.Sprintf("its engine is %s without a version column, so that an older row could replace a newer one: "+
			"RENAME the table away so that it is created anew", e.Engine)
		if e.Version != "" {
			problem = fmt.Sprintf("its engine's version column is %q, where `metadata_columns` says %q: set `metadata_columns.version: %s`",
				e.Version, t.Metadata.Version, e.Version)
		}
		problems = append(problems, problem)
	}
	if replacing && e.IsDeleted != "" && e.IsDeleted != t.Metadata.IsDeleted {
		problems = append(problems, fmt.Sprintf("its engine's is_deleted column is %q, where `metadata_columns` says %q: set `metadata_columns.is_deleted: %s`",
			e.IsDeleted, t.Metadata.IsDeleted, e.IsDeleted))
	}
	for _, m := range t.metadata() {
		existing, types := e.Column(m.Name), t.metadataTypes(m.Name)
		switch {
		case existing == nil && m.Name == t.Metadata.SyncedAt:
			// Nice to have: nothing depends on it.
		case existing == nil:
			problems = append(problems, fmt.Sprintf("it has no column %q, which `metadata_columns` names: run ALTER TABLE %s%s ADD COLUMN %s %s",
				m.Name, t.quoted(), t.onCluster(), Quote(m.Name), m.Type))
		case types != nil && !slices.Contains(types, existing.Type):
			problems = append(problems, fmt.Sprintf("its column %q is %s, want one of %s", m.Name, existing.Type, strings.Join(types, ", ")))
		}
	}
	return problems
}

// keyProblems says where rows of one key would not meet, or rows of different keys would.
func (t *Target) keyProblems(table *change.Table, e *Existing) (problems []string) {
	if t.Engine.family() != ReplacingMergeTree {
		return nil
	}
	key := strings.Join(table.KeyNames(), ", ")
	const remedy = "RENAME the table away so that it is created anew"
	for _, name := range table.KeyNames() {
		if !slices.Contains(e.SortingKey, name) {
			problems = append(problems, fmt.Sprintf("it is sorted by (%s), without column %q of the source's key (%s), so that different rows would replace each other: %s",
				strings.Join(e.SortingKey, ", "), name, key, remedy))
		}
	}
	for i := range e.Columns {
		c := &e.Columns[i]
		if at := table.Column(c.Name); at >= 0 && table.Columns[at].InKey {
			continue
		}
		if c.InSortingKey != 0 {
			problems = append(problems, fmt.Sprintf("it is sorted by column %q, which is not in the source's key (%s), so that an update of it would leave the old row behind: %s",
				c.Name, key, remedy))
		}
		if c.InPartitionKey != 0 {
			problems = append(problems, fmt.Sprintf("it is partitioned by column %q, which is not in the source's key (%s), so that an update of it would leave the old row behind: %s",
				c.Name, key, remedy))
		}
	}
	return problems
}

// columnProblem returns a sentence about one source column, "" where the table can hold it.
func (t *Target) columnProblem(table *change.Table, c change.Column, e *Existing) string {
	existing, want := e.Column(c.Name), t.typeOf(table, c)
	switch {
	case existing == nil:
		return fmt.Sprintf("it has no column %q for the source's %s: run ALTER TABLE %s%s ADD COLUMN %s %s",
			c.Name, c.Type, t.quoted(), t.onCluster(), Quote(c.Name), want)
	case existing.computed():
		return fmt.Sprintf("its column %q is %s and takes no values: rename it, or leave the column out with `exclude_columns` of the input",
			c.Name, existing.Kind)
	}
	alter := fmt.Sprintf("ALTER TABLE %s%s", t.quoted(), t.onCluster())
	note := ""
	if existing.InSortingKey != 0 {
		note = " (a column of the sorting key cannot be altered: RENAME the table away and have it created anew, or resync it)"
	}
	if err := encode.Check(c, existing.Type); err != nil {
		// Check knows neither the table nor which columns are to be Nullable: what it advises is replaced.
		mismatch, _, _ := strings.Cut(err.Error(), "; run ALTER TABLE")
		return fmt.Sprintf("%s: run %s MODIFY COLUMN %s %s, or name a type that fits what is there under `types`%s", mismatch, alter, Quote(c.Name), want, note)
	}
	if t.losesNull(table, c, existing) {
		return fmt.Sprintf("column %q of type %s may be NULL at the source, which %s would turn into a value: run %s MODIFY COLUMN %s %s, or set `nullable: false` to have that%s",
			c.Name, c.Type, existing.Type, alter, Quote(c.Name), want, note)
	}
	return ""
}

// losesNull says that NULLs of the source would become the default of the type though nobody asked for that.
func (t *Target) losesNull(table *change.Table, c change.Column, existing *ExistingColumn) bool {
	_, override := t.Types[c.Name]
	return !override && isNullable(t.typeOf(table, c)) && !isNullable(existing.Type) && canBeNullable(existing.Type)
}

func canBeNullable(chType string) bool {
	name, _ := splitType(chType)
	switch name {
	case "Array", "Map", "Tuple", "Nested", "JSON", "Object", "Dynamic", "Variant":
		return false
	}
	return true
}
