package input

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/input/stream"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/pgvalue"
	"github.com/penstock/penstock/lifecycle"
)

// fetcher fills in the values that the stream leaves out: large values that an
// update did not touch, and generated columns before PostgreSQL 18. They are
// looked up in the source by key.
//
// What is found there may be newer than the change. That is harmless: the
// change that made it newer follows with a higher version. If the row is gone
// its deletion follows, and if its key changed both do; until then the values
// are left to the destination's defaults.
type fetcher struct {
	config *config
	pipe   *lifecycle.Pipe
	conn   *pgx.Conn
}

func newFetcher(c *config, pipe *lifecycle.Pipe) *fetcher { return &fetcher{config: c, pipe: pipe} }

func (f *fetcher) close() {
	if f.conn != nil {
		catalog.Close(f.conn)
		f.conn = nil
	}
}

// lookupRows is how many rows one query asks for: enough that the round trip
// does not count, few enough for its parameters (65535) with long keys.
const lookupRows = 500

// complete makes every value of a delivery known. It waits out trouble with
// the source.
func (f *fetcher) complete(ctx context.Context, d *stream.Delivery) error {
	for _, b := range d.Batches {
		for len(b.Unresolved) > 0 {
			n := min(len(b.Unresolved), lookupRows)
			if err := f.resolve(ctx, b.Batch, b.Unresolved[:n]); err != nil {
				return err
			}
			b.Unresolved = b.Unresolved[n:]
		}
	}
	return nil
}

func (f *fetcher) resolve(ctx context.Context, b *change.Batch, rows []int) error {
	switch f.config.unchangedToast {
	case toastFail:
		return f.refuse(b, rows[0])
	case toastNull:
		f.pipe.UnchangedToast(toastNull, len(rows))
		return f.fill(b, rows, nil, nil)
	}
	pause := backoff.NewExponentialBackOff(backoff.WithInitialInterval(shortestPause), backoff.WithMaxInterval(longestPause), backoff.WithMaxElapsedTime(0))
	for {
		err := f.fetch(ctx, b, rows)
		if err == nil {
			f.pipe.UnchangedToast(toastFetch, len(rows))
			return nil
		}
		f.close()
		if isFailure(catalog.Explain(err)) || ctx.Err() != nil {
			return catalog.Explain(err)
		}
		f.pipe.Degrade(err)
		select {
		case <-time.After(pause.NextBackOff()):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *fetcher) refuse(b *change.Batch, row int) error {
	cells := make([]change.Cell, len(b.Table.Columns))
	if err := b.Cells(row, 1, cells); err != nil {
		return err
	}
	for c, cell := range cells {
		if cell.Kind == change.Unchanged {
			return &change.Failure{
				Class: "unchanged_toast", Table: b.Table.String(),
				Reason: fmt.Sprintf("the stream has no value for column %q of %s at %s, and `unchanged_toast` is %s", b.Table.Columns[c].Name, b.Table, change.FormatLSN(b.Rows[row].LSN), toastFail),
				Fix:    "set `unchanged_toast: fetch`, or ALTER TABLE … REPLICA IDENTITY FULL",
			}
		}
	}
	return nil
}

// fetch asks the source for the columns that rows lack.
func (f *fetcher) fetch(ctx context.Context, b *change.Batch, rows []int) error {
	if f.conn == nil {
		conn, err := f.config.source.Connect(ctx)
		if err != nil {
			return err
		}
		f.conn = conn
		// A key may be of an extension's type, whose operators live in any schema.
		_, err = conn.Exec(ctx, `
			SELECT set_config('search_path', 'pg_catalog,' || string_agg(quote_ident(nspname), ','), false)
			  FROM pg_namespace WHERE nspname !~ '^pg_'`)
		if err != nil {
			return fmt.Errorf("preparing to look up values: %w", err)
		}
	}
	lookup, err := newLookup(b, rows)
	if err != nil {
		return err
	}
	result := f.conn.PgConn().ExecParams(ctx, lookup.sql, lookup.values, lookup.types, lookup.formats, lookup.resultFormats)
	found := make(map[int][][]byte, len(rows))
	for result.NextRow() {
		values := result.Values()
		row := make([][]byte, len(values)-1)
		for i, v := range values[1:] {
			if v != nil {
				row[i] = append([]byte{}, v...)
			}
		}
		found[int(binary.BigEndian.Uint32(values[0]))] = row
	}
	if _, err := result.Close(); err != nil {
		return fmt.Errorf("looking up values of %s that the stream leaves out: %w", b.Table, err)
	}
	return f.fill(b, rows, lookup, found)
}

// fill writes the rows' tuples anew, behind the others: with what was found;
// with NULL where there was no lookup; with nothing where the row is gone.
func (f *fetcher) fill(b *change.Batch, rows []int, l *lookup, found map[int][][]byte) error {
	columns := len(b.Table.Columns)
	cells := make([]change.Cell, columns)
	for i, row := range rows {
		if err := b.Cells(row, 1, cells); err != nil {
			return err
		}
		b.Rows[row].Offset = uint32(len(b.Data))
		b.Data = binary.BigEndian.AppendUint16(b.Data, uint16(columns))
		values, present := found[i]
		for c, cell := range cells {
			switch {
			case cell.Kind != change.Unchanged:
				b.Data = appendCell(b.Data, cell.Kind, cell.Bytes(b.Data))
			case l == nil:
				b.Data = append(b.Data, byte(change.Null))
			case !present:
				b.Data = append(b.Data, byte(change.Absent))
			default:
				b.Data = appendCell(b.Data, l.kinds[c], values[l.position[c]])
			}
		}
	}
	return nil
}

// appendCell appends a value as pgoutput would; nil of a kind that has a value
// is NULL.
func appendCell(dst []byte, kind change.CellKind, value []byte) []byte {
	if kind != change.Text && kind != change.Binary {
		return append(dst, byte(kind))
	}
	if value == nil {
		return append(dst, byte(change.Null))
	}
	dst = append(dst, byte(kind))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(value)))
	return append(dst, value...)
}

// lookup is a query for the missing columns of some rows. Keys are passed as
// the bytes that the stream sent.
type lookup struct {
	sql           string
	values        [][]byte
	types         []uint32
	formats       []int16
	resultFormats []int16
	position      []int             // of a table's column in the result, behind the row's number
	kinds         []change.CellKind // of a table's column in the result
}

func newLookup(b *change.Batch, rows []int) (*lookup, error) {
	t := b.Table
	l := &lookup{position: make([]int, len(t.Columns)), kinds: make([]change.CellKind, len(t.Columns))}
	missing := make([]bool, len(t.Columns))
	cells := make([]change.Cell, len(t.Columns))
	tuples := make([]string, len(rows))
	for i, row := range rows {
		if err := b.Cells(row, 1, cells); err != nil {
			return nil, err
		}
		for c := range cells {
			missing[c] = missing[c] || cells[c].Kind == change.Unchanged
		}
		parameters := make([]string, 0, len(t.Key)+1)
		parameters = append(parameters, fmt.Sprintf("%d", i))
		for _, k := range t.Key {
			parameters = append(parameters, l.parameter(t.Columns[k].Type, cells[k], b.Data))
		}
		tuples[i] = "(" + strings.Join(parameters, ", ") + ")"
	}
	selected := []string{"wanted.row"}
	l.resultFormats = []int16{1}
	for c, lacks := range missing {
		if !lacks {
			continue
		}
		l.position[c] = len(selected) - 1
		format := int16(0)
		l.kinds[c] = change.Text
		if pgvalue.Binary(t.Columns[c].Type) {
			l.kinds[c], format = change.Binary, 1
		}
		l.resultFormats = append(l.resultFormats, format)
		selected = append(selected, "source."+pgx.Identifier{t.Columns[c].Name}.Sanitize())
	}
	l.sql = l.statement(t, tuples, selected)
	return l, nil
}

// parameter adds a key's value and returns its placeholder.
func (l *lookup) parameter(typ *change.Type, cell change.Cell, data []byte) string {
	var value []byte
	format := int16(0)
	if cell.Kind == change.Text || cell.Kind == change.Binary {
		value = cell.Bytes(data)
		if value == nil {
			value = []byte{}
		}
	}
	if cell.Kind == change.Binary {
		format = 1
	}
	l.values = append(l.values, value)
	l.types = append(l.types, typ.OID)
	l.formats = append(l.formats, format)
	return fmt.Sprintf("$%d", len(l.values))
}

func (l *lookup) statement(t *change.Table, tuples, selected []string) string {
	names := []string{"row"}
	conditions := make([]string, len(t.Key))
	equals := "="
	if t.KeyIsWholeRow {
		equals = "IS NOT DISTINCT FROM" // any column may be NULL
	}
	for i, k := range t.Key {
		name := fmt.Sprintf("key%d", i)
		names = append(names, name)
		conditions[i] = fmt.Sprintf("source.%s %s wanted.%s", pgx.Identifier{t.Columns[k].Name}.Sanitize(), equals, name)
	}
	return fmt.Sprintf("SELECT %s FROM (VALUES %s) AS wanted (%s) JOIN %s AS source ON %s",
		strings.Join(selected, ", "), strings.Join(tuples, ", "), strings.Join(names, ", "),
		pgx.Identifier{t.Schema, t.Name}.Sanitize(), strings.Join(conditions, " AND "))
}
