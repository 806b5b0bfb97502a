package ddl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/output/encode"
)

// Evolve returns the ALTER that makes an existing table hold a changed source table, "" where it does already.
//
// It looks at the table as it is and not at the previous definition, so that it may be asked again after a crash, or
// with a definition older than the table's. Columns are added (a NOT NULL column too is added as Nullable: old rows have
// no value for it) and made wider where every value that is there stays what it is. Columns dropped at the source are
// kept. A renamed column cannot be told from one dropped and one added, so it is both: the new name is added, the old one
// is kept with what it had.
// What needs more than that, such as another key, is an [IncompatibleError].
func (t *Target) Evolve(table *change.Table, e *Existing) (string, error) {
	if _, err := t.Columns(table); err != nil {
		return "", err
	}
	var actions, problems []string
	after := ""
	for _, c := range table.Columns {
		existing := e.Column(c.Name)
		switch {
		case existing == nil && table.KeyIsWholeRow && t.Engine.family() == ReplacingMergeTree:
			problems = append(problems, fmt.Sprintf("column %q came to %s, whose key is the whole row, and the sorting key of a table cannot follow: "+
				"give the source table a primary key, or resync it", c.Name, table))
		case existing == nil:
			actions = append(actions, fmt.Sprintf("ADD COLUMN IF NOT EXISTS %s %s%s", Quote(c.Name), t.addedType(table, c), after))
		default:
			action, problem := t.widen(table, c, e, existing)
			if action != "" {
				actions = append(actions, action)
			}
			if problem != "" {
				problems = append(problems, problem)
			}
		}
		after = " AFTER " + Quote(c.Name)
	}
	problems = append(problems, t.engineProblems(e)...)
	if problems == nil {
		problems = append(problems, t.keyProblems(table, e)...)
	}
	if len(problems) > 0 {
		return "", &IncompatibleError{Table: t.String(), Problems: problems}
	}
	if len(actions) == 0 {
		return "", nil
	}
	return fmt.Sprintf("ALTER TABLE %s%s %s", t.quoted(), t.onCluster(), strings.Join(actions, ", ")), nil
}

// widen returns the action that makes an existing column hold a changed source column.
func (t *Target) widen(table *change.Table, c change.Column, e *Existing, existing *ExistingColumn) (action, problem string) {
	problem = t.columnProblem(table, c, e)
	if problem == "" || existing.computed() || existing.InSortingKey != 0 {
		return "", problem
	}
	// Nullable stays Nullable: rows are there that may be NULL.
	want := t.typeOf(table, c)
	if isNullable(existing.Type) && !isNullable(want) && canBeNullable(want) {
		want = wrap(want, true)
	}
	if !wider(existing.Type, want) || encode.Check(c, want) != nil {
		return "", problem + " (not done by itself, because values that are there already would change)"
	}
	return fmt.Sprintf("MODIFY COLUMN %s %s", Quote(c.Name), want), ""
}

// Truncate returns the statement that removes the rows older than a position, snapshot rows (version 0) among them,
// "" where the engine keeps nothing or everything. It only begins the removal, which has ended when [Target.Older] is 0.
//
// It is ALTER TABLE … DELETE rather than the lightweight DELETE FROM: a truncated table is to give its disk space back,
// parts without a surviving row are dropped without being read, and tables with projections take it. Rows inserted after
// it are not touched, on other replicas neither.
func (t *Target) Truncate(e *Existing, lsn uint64) string {
	if e == nil || e.Engine.family() != ReplacingMergeTree {
		return ""
	}
	return fmt.Sprintf("ALTER TABLE %s%s DELETE WHERE %s < %d SETTINGS mutations_sync = 0",
		t.quoted(), t.onCluster(), Quote(t.Metadata.Version), lsn)
}

// Older counts the rows older than a position.
func (t *Target) Older(ctx context.Context, conn Conn, lsn uint64) (uint64, error) {
	var counts []struct {
		Rows uint64 `ch:"rows"`
	}
	query := fmt.Sprintf("SELECT count() AS rows FROM %s WHERE %s < %d", t.quoted(), Quote(t.Metadata.Version), lsn)
	if err := conn.Select(ctx, &counts, query); err != nil {
		return 0, fmt.Errorf("counting rows of %s: %w", t, err)
	}
	return counts[0].Rows, nil
}

// Dropped returns the columns that the table still has and the source no longer sends.
func (t *Target) Dropped(table *change.Table, e *Existing) (names []string) {
	ours := t.metadata()
	for i := range e.Columns {
		name := e.Columns[i].Name
		metadata := func(c encode.Column) bool { return c.Name == name }
		if table.Column(name) < 0 && !slices.ContainsFunc(ours, metadata) {
			names = append(names, name)
		}
	}
	return names
}
