package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/jackc/pgx/v5"
)

// table is what both sides are read by.
type table struct {
	pair Pair
	// columns that are compared, in the order of the source.
	columns []column
	// key holds indexes into columns; all of them where the source has no key.
	key []int
	// final says that the destination's engine replaces rows on merge.
	final bool
	// isDeleted is the column that marks tombstones, "" where there is none.
	isDeleted string
}

type column struct {
	name string
	form form
	// sourceSQL and destinationSQL print the value.
	sourceSQL, destinationSQL string
}

// sourceColumn is a column as PostgreSQL's catalog has it, domains resolved.
type sourceColumn struct {
	name string
	// typeName is pg_type.typname, of the elements where isArray.
	typeName  string
	isArray   bool
	delimiter byte
	keyIndex  int // position in the key, 0 if none
}

func describe(ctx context.Context, tx pgx.Tx, ch driver.Conn, pair Pair, o Options) (*table, error) {
	source, err := sourceColumns(ctx, tx, pair)
	if err != nil {
		return nil, err
	}
	types, err := destinationColumns(ctx, ch, pair)
	if err != nil {
		return nil, err
	}
	t := &table{pair: pair}
	if t.final, err = replaces(ctx, ch, pair); err != nil {
		return nil, err
	}
	if _, ok := types[o.IsDeleted]; ok {
		t.isDeleted = o.IsDeleted
	}
	keyed := map[int]int{} // index in the key → index in t.columns
	keyIsWhole := true
	for _, s := range source {
		if slices.Contains(o.Ignore, s.name) {
			keyIsWhole = keyIsWhole && s.keyIndex == 0
			continue
		}
		typ, ok := types[s.name]
		if !ok {
			return nil, fmt.Errorf("column %s is not in the destination", s.name)
		}
		c, err := pairColumn(ctx, ch, s, typ, o)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", s.name, err)
		}
		if s.keyIndex > 0 {
			keyed[s.keyIndex] = len(t.columns)
		}
		t.columns = append(t.columns, c)
	}
	if len(t.columns) == 0 {
		return nil, errors.New("there is no column to compare")
	}
	if len(keyed) == 0 || !keyIsWhole {
		for i := range t.columns {
			t.key = append(t.key, i)
		}
		return t, nil
	}
	for i := 1; i <= len(keyed); i++ {
		t.key = append(t.key, keyed[i])
	}
	return t, nil
}

// sourceColumnsSQL resolves domains to their base types, also of elements. The
// key is the replica identity's index if the table has one, else its primary key.
const sourceColumnsSQL = `
WITH RECURSIVE resolved AS (
  SELECT t.oid AS declared, t.* FROM pg_type t
  WHERE t.oid IN (SELECT atttypid FROM pg_attribute WHERE attrelid = $1)
  UNION ALL
  SELECT r.declared, t.* FROM resolved r JOIN pg_type t ON t.oid = r.typbasetype WHERE r.typtype = 'd'
), element AS (
  SELECT t.oid AS declared, t.* FROM pg_type t
  WHERE t.oid IN (SELECT typelem FROM resolved WHERE typcategory = 'A')
  UNION ALL
  SELECT e.declared, t.* FROM element e JOIN pg_type t ON t.oid = e.typbasetype WHERE e.typtype = 'd'
), key AS (
  SELECT (i.indkey::int2[])[0:i.indnkeyatts - 1] AS columns FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
  WHERE i.indrelid = $1 AND (i.indisprimary OR i.indisreplident)
  ORDER BY i.indisreplident AND c.relreplident = 'i' DESC, i.indisprimary DESC LIMIT 1
)
SELECT a.attname, coalesce(e.typname, r.typname), e.oid IS NOT NULL, coalesce(e.typdelim, ',')::text,
       coalesce(array_position((SELECT columns FROM key), a.attnum), 0)
FROM pg_attribute a
JOIN resolved r ON r.declared = a.atttypid AND r.typtype <> 'd'
LEFT JOIN element e ON r.typcategory = 'A' AND e.declared = r.typelem AND e.typtype <> 'd'
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated IN ('', 's')
ORDER BY a.attnum`

func sourceColumns(ctx context.Context, tx pgx.Tx, pair Pair) ([]sourceColumn, error) {
	var oid uint32
	err := tx.QueryRow(ctx, `SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')`, pair.Schema, pair.Table).Scan(&oid)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errors.New("the source has no such table")
	}
	if err != nil {
		return nil, fmt.Errorf("finding the source table: %w", err)
	}
	rows, err := tx.Query(ctx, sourceColumnsSQL, oid)
	if err != nil {
		return nil, fmt.Errorf("reading the columns of the source: %w", err)
	}
	columns, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (sourceColumn, error) {
		var c sourceColumn
		var delimiter string
		err := row.Scan(&c.name, &c.typeName, &c.isArray, &delimiter, &c.keyIndex)
		if delimiter != "" {
			c.delimiter = delimiter[0]
		}
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the columns of the source: %w", err)
	}
	return columns, nil
}

// destinationColumns returns the types of the destination's columns by name.
func destinationColumns(ctx context.Context, ch driver.Conn, pair Pair) (map[string]string, error) {
	rows, err := ch.Query(ctx, `SELECT name, type FROM system.columns
		WHERE database = if(? = '', currentDatabase(), ?) AND table = ?`, pair.Database, pair.Database, pair.Destination)
	if err != nil {
		return nil, fmt.Errorf("reading the columns of the destination: %w", err)
	}
	defer rows.Close()
	types := map[string]string{}
	for rows.Next() {
		var name, typ string
		if err := rows.Scan(&name, &typ); err != nil {
			return nil, fmt.Errorf("reading the columns of the destination: %w", err)
		}
		types[name] = typ
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the columns of the destination: %w", err)
	}
	if len(types) == 0 {
		return nil, errors.New("there is no such destination table")
	}
	return types, nil
}

func replaces(ctx context.Context, ch driver.Conn, pair Pair) (bool, error) {
	var engine string
	err := ch.QueryRow(ctx, `SELECT engine FROM system.tables
		WHERE database = if(? = '', currentDatabase(), ?) AND name = ?`, pair.Database, pair.Database, pair.Destination).Scan(&engine)
	if err != nil {
		return false, fmt.Errorf("reading the engine of the destination: %w", err)
	}
	return strings.HasSuffix(engine, "ReplacingMergeTree"), nil
}
