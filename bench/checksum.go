package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/jackc/pgx/v5"
)

// A checksum is the number of rows and, for each column, a sum in which each
// value is weighted by its row's key, so that a value in another row is noticed
// as well as a changed one. Values are cut to a million, so that no sum of a
// table overflows 64 bits.

// What a column's value counts at either end.
var (
	sourceValue = map[form]string{
		integer: "%s", decimal: "(%s * 100)::bigint", eighths: "(%s * 8)::bigint", truth: "%s::int",
		instant: "(extract(epoch FROM %s) * 1000000)::bigint",
		text:    "('x' || substr(md5(%s::text), 1, 8))::bit(32)::bigint",
	}
	destinationValue = map[form]string{
		integer: "%s", decimal: "toInt64(%s * 100)", eighths: "toInt64(%s * 8)", truth: "toUInt8(%s)",
		instant: "toUnixTimestamp64Micro(%s)",
		text:    "reinterpretAsUInt32(reverse(substring(MD5(%s), 1, 4)))",
	}
)

// sums returns the select list of a checksum: one text of numbers.
func (t table) sums(values map[form]string, toText string) string {
	parts := []string{fmt.Sprintf(toText, "count(*)")}
	for _, c := range t.columns {
		value := fmt.Sprintf(values[c.form], c.name)
		parts = append(parts, fmt.Sprintf(toText, fmt.Sprintf("coalesce(sum((id %% 1009) * (%s %% 1000003)), 0)", value)))
	}
	return strings.Join(parts, " || ' ' || ")
}

// sourceChecksum reads the checksum of all tables together, which must have the
// same columns.
func sourceChecksum(ctx context.Context, conn *pgx.Conn, w workload) (sum string, err error) {
	from := make([]string, len(w.tables))
	for i, t := range w.tables {
		from[i] = "SELECT * FROM " + t.name
	}
	sql := fmt.Sprintf("SELECT %s FROM (%s) rows", w.tables[0].sums(sourceValue, "%s::text"), strings.Join(from, " UNION ALL "))
	if err := conn.QueryRow(ctx, sql).Scan(&sum); err != nil {
		return "", fmt.Errorf("reading the checksum of the source: %w", err)
	}
	return sum, nil
}

// destinationChecksum reads the same at ClickHouse. name returns the name of a
// table there; final is FINAL where the engine keeps old versions of rows.
func destinationChecksum(ctx context.Context, conn driver.Conn, w workload, name func(table) string, final string) (sum string, err error) {
	from := make([]string, len(w.tables))
	for i, t := range w.tables {
		from[i] = fmt.Sprintf("SELECT %s FROM %s %s", t.names(), name(t), final)
	}
	sql := fmt.Sprintf("SELECT %s FROM (%s)", w.tables[0].sums(destinationValue, "toString(%s)"), strings.Join(from, " UNION ALL "))
	if err := conn.QueryRow(ctx, sql).Scan(&sum); err != nil {
		return "", fmt.Errorf("reading the checksum of the destination: %w", err)
	}
	return sum, nil
}
