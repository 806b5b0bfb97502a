package verify

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

func quoteClickHouse(name string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(name) + "`"
}

// destinationType is a ClickHouse type taken apart.
type destinationType struct {
	name     string // without parameters, Nullable and LowCardinality
	nullable bool
	element  *destinationType // of an Array
}

func parseDestinationType(s string) destinationType {
	s = strings.TrimSpace(s)
	for _, wrapper := range []string{"LowCardinality(", "Nullable("} {
		if inner, ok := strings.CutPrefix(s, wrapper); ok {
			t := parseDestinationType(strings.TrimSuffix(inner, ")"))
			t.nullable = t.nullable || wrapper == "Nullable("
			return t
		}
	}
	if inner, ok := strings.CutPrefix(s, "Array("); ok {
		element := parseDestinationType(strings.TrimSuffix(inner, ")"))
		return destinationType{name: "Array", element: &element}
	}
	name, _, _ := strings.Cut(s, "(")
	return destinationType{name: name}
}

// destinationSQL prints the value x as Nullable(String), or as an array of
// them.
func (t destinationType) destinationSQL(x string) string {
	switch t.name {
	case "Array":
		return "arrayMap(x -> " + t.element.destinationSQL("x") + ", " + x + ")"
	case "String":
		return "toNullable(" + x + ")"
	case "DateTime", "DateTime64":
		// A column without a time zone would be printed in the server's.
		return "toNullable(toString(" + x + ", 'UTC'))"
	}
	return "toNullable(toString(" + x + "))"
}

// defaultText returns what ClickHouse prints for the default of a type.
func defaultText(ctx context.Context, ch driver.Conn, declared string, t destinationType) ([]byte, error) {
	var text *string
	sql := "SELECT " + t.destinationSQL("defaultValueOfTypeName("+quoteClickHouseString(declared)+")")
	if err := ch.QueryRow(ctx, sql).Scan(&text); err != nil {
		return nil, fmt.Errorf("asking for the default of %s: %w", declared, err)
	}
	if text == nil {
		return nil, fmt.Errorf("the default of %s is NULL", declared)
	}
	return []byte(*text), nil
}

func quoteClickHouseString(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// readDestination calls add for each row of the destination that is not a
// tombstone.
func (t *table) readDestination(ctx context.Context, ch driver.Conn, add func(key, row []byte)) error {
	expressions := make([]string, len(t.columns))
	for i, c := range t.columns {
		expressions[i] = c.destinationSQL
	}
	// One string for each row, in ClickHouse's format RowBinary: much cheaper to
	// fetch than a value for each column.
	sql := "SELECT formatRow('RowBinary', " + strings.Join(expressions, ", ") + ") FROM "
	if t.pair.Database != "" {
		sql += quoteClickHouse(t.pair.Database) + "."
	}
	sql += quoteClickHouse(t.pair.Destination)
	if t.final {
		sql += " FINAL"
	}
	if t.isDeleted != "" {
		sql += " WHERE " + quoteClickHouse(t.isDeleted) + " = 0"
	}
	rows, err := ch.Query(ctx, sql)
	if err != nil {
		return fmt.Errorf("reading the destination: %w", err)
	}
	defer rows.Close()
	cells := newRow(t)
	var text []byte
	for rows.Next() {
		if err := rows.Scan(&text); err != nil {
			return fmt.Errorf("reading the destination: %w", err)
		}
		cells.reset()
		r := rowBinary{rest: text}
		for i := range t.columns {
			if err := cells.addDestination(i, &r); err != nil {
				return fmt.Errorf("reading the destination: column %s: %w", t.columns[i].name, err)
			}
		}
		add(cells.finish())
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the destination: %w", err)
	}
	return nil
}

// rowBinary reads ClickHouse's format RowBinary.
type rowBinary struct{ rest []byte }

var errRowBinary = errors.New("a row of format RowBinary is cut short")

// nullable reads a Nullable(String).
func (r *rowBinary) nullable() (value []byte, isNull bool, err error) {
	if len(r.rest) == 0 {
		return nil, false, errRowBinary
	}
	isNull = r.rest[0] != 0
	r.rest = r.rest[1:]
	if isNull {
		return nil, true, nil
	}
	n, err := r.length()
	if err != nil {
		return nil, false, err
	}
	if uint64(len(r.rest)) < n {
		return nil, false, errRowBinary
	}
	value, r.rest = r.rest[:n], r.rest[n:]
	return value, false, nil
}

// length reads the number of bytes of a String, or of elements of an Array.
func (r *rowBinary) length() (uint64, error) {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		return 0, errRowBinary
	}
	r.rest = r.rest[size:]
	return n, nil
}
