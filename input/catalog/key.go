package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/internal/change"
)

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
		t.Warnings = append(t.Warnings, "no key: the whole row is the key, so exact duplicates of a row become one, and deleting one deletes all")
		for i, number := range attnums {
			if !t.Columns[i].Generated { // the rest of the row determines it
				key = append(key, number)
			}
		}
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

// checkGeneratedKey refuses a key with a column that the stream does not carry
// because it is generated.
func checkGeneratedKey(t *Table) error {
	for _, k := range t.Key {
		if t.Columns[k].Generated {
			return &change.Failure{
				Class: ClassIdentity, Table: t.String(),
				Reason: fmt.Sprintf("key column %q of %s is generated, and the stream does not carry generated columns", t.Columns[k].Name, t),
				Fix:    fmt.Sprintf("run ALTER TABLE %s REPLICA IDENTITY USING INDEX for a unique index on other columns, or on PostgreSQL 18 publish with publish_generated_columns = stored", quote(t.Schema, t.Name)),
			}
		}
	}
	return nil
}
