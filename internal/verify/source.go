package verify

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// beginSource starts a transaction that sees one state of the database, and in
// which PostgreSQL prints values in the form that design and documentation
// promise.
func beginSource(ctx context.Context, pg *pgx.Conn) (pgx.Tx, error) {
	tx, err := pg.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("beginning to read the source: %w", err)
	}
	_, err = tx.Exec(ctx, `SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'iso_8601';
		SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = 'hex'; SET LOCAL xmloption = 'content';
		SET LOCAL client_encoding = 'UTF8'; SET LOCAL statement_timeout = 0`)
	if err != nil {
		_ = tx.Rollback(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("setting up the session at the source: %w", err)
	}
	return tx, nil
}

func quotePostgres(name string) string { return pgx.Identifier{name}.Sanitize() }

// sourceSQL prints a column through the type's output function, which COPY in
// text format calls. The few casts make printed forms comparable that depend on
// a locale, or are a list in other clothes.
func (c sourceColumn) sourceSQL() string {
	sql := quotePostgres(c.name)
	switch {
	case c.typeName == "money" && c.isArray:
		return sql + "::numeric[]"
	case c.typeName == "money":
		return sql + "::numeric"
	case (c.typeName == "vector" || c.typeName == "halfvec") && !c.isArray:
		return sql + "::real[]"
	}
	return sql
}

// readSource calls add for each row of the source.
func (t *table) readSource(ctx context.Context, tx pgx.Tx, add func(key, row []byte)) error {
	expressions := make([]string, len(t.columns))
	for i, c := range t.columns {
		expressions[i] = c.sourceSQL
	}
	sql := fmt.Sprintf("COPY (SELECT %s FROM %s) TO STDOUT",
		strings.Join(expressions, ", "), pgx.Identifier{t.pair.Schema, t.pair.Table}.Sanitize())
	lines := &copyLines{line: func(line []byte) error { return nil }}
	cells := newRow(t)
	var scratch []byte
	lines.line = func(line []byte) error {
		cells.reset()
		for i := range t.columns {
			field := line
			if i < len(t.columns)-1 {
				end := bytes.IndexByte(line, '\t')
				if end < 0 {
					return fmt.Errorf("a row has %d columns where %d were asked for", i+1, len(t.columns))
				}
				field, line = line[:end], line[end+1:]
			}
			isNull := len(field) == 2 && field[0] == '\\' && field[1] == 'N'
			if !isNull && bytes.IndexByte(field, '\\') >= 0 {
				scratch = unescapeCopy(scratch[:0], field)
				field = scratch
			}
			if err := cells.addSource(i, field, isNull); err != nil {
				return fmt.Errorf("column %s: %w", t.columns[i].name, err)
			}
		}
		add(cells.finish())
		return nil
	}
	if _, err := tx.Conn().PgConn().CopyTo(ctx, lines, sql); err != nil {
		return fmt.Errorf("reading the source: %w", err)
	}
	return nil
}

// copyLines cuts what COPY sends into lines. A line break within a value is
// escaped, so the byte ends the row.
type copyLines struct {
	rest []byte
	line func([]byte) error
}

func (w *copyLines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			w.rest = append(w.rest, p...)
			break
		}
		line := p[:end]
		if len(w.rest) > 0 {
			w.rest = append(w.rest, line...)
			line = w.rest
		}
		if err := w.line(line); err != nil {
			return 0, err
		}
		w.rest, p = w.rest[:0], p[end+1:]
	}
	return n, nil
}

// unescapeCopy undoes the escapes of COPY's text format. PostgreSQL docs, COPY,
// "Text Format".
func unescapeCopy(dst, field []byte) []byte {
	for i := 0; i < len(field); i++ {
		c := field[i]
		if c == '\\' && i+1 < len(field) {
			i++
			switch c = field[i]; c {
			case 'b':
				c = '\b'
			case 'f':
				c = '\f'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			case 'v':
				c = '\v'
			}
		}
		dst = append(dst, c)
	}
	return dst
}
