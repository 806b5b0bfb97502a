package rows_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/input/catalog"
	inrows "github.com/penstock/penstock/input/rows"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/devstack/devtest"
	"github.com/penstock/penstock/internal/pgvalue"
	"github.com/penstock/penstock/output/rows"
)

// The two halves of `format: rows` meet only here: what the input makes of a row
// has to be what the output takes it for.

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

const everyType = `
	CREATE TYPE mood AS ENUM ('sad', 'so so');
	CREATE DOMAIN price AS numeric(12,2);
	CREATE TABLE everything (
		id int8 PRIMARY KEY, flag bool, small int2, whole int4, o oid, x8 xid8, r float4, d float8, n numeric, p price, m money,
		t text, v varchar(20), c char(5), nm name, ch "char", b bytea, u uuid, day date, ts timestamp, tz timestamptz, ti time,
		tiz timetz, iv interval, j json, jb jsonb, md mood, ia int4[], ta text[], ba bytea[], tza timestamptz[], jba jsonb[], ma money[],
		ip inet, ips inet[], rg int4range, bx box[]);
	INSERT INTO everything VALUES
		(1, true, -5, 6, 7, '8', 0.1, 1e300, 1.10, 2.5, -1234.5, 'a "b" \', 'ü', 'x', 'nm', 'c', '\x00ff', gen_random_uuid(),
		 '2024-02-29', '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.789+02', '24:00', '12:00+05:30', '1 year -2 days 3.5 sec',
		 '{"a": 1e400}', '{"a": 9007199254740993}', 'so so', '{1,NULL,3}', '{"a b",NULL,"c\"d"}', '{"\\x00ff"}', '{2024-01-01}', '{"{\"a\": 1}"}',
		 '{1.5,NULL}', '10.0.0.0/8', '{::1}', '[1,5)', '{(1,2),(3,4);(5,6),(7,8)}'),
		(9223372036854775807, false, -32768, -2147483648, 4294967295, '18446744073709551615', 'NaN', '-Infinity', 'NaN', -0.01, 92233720368547758.07,
		 '', '', '', '', '', '', '00000000-0000-0000-0000-000000000000', 'infinity', '-infinity', '0044-03-15 00:00:00+00 BC', '00:00', '00:00-15:59',
		 '0', 'null', '"x"', 'sad', '{{1,2},{3,4}}', '[0:1]={a,b}', '{}', '{infinity}', '{}', '[2:3]={1,2000}', '::1', '{}', 'empty', '{}');
	INSERT INTO everything (id) VALUES (-1);
`

// source reads the table in both formats.
func source(t testing.TB) (*change.Table, map[string]*change.Batch) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, devtest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.PgConn().Exec(ctx, `SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'iso_8601';
		SET extra_float_digits = 3; SET bytea_output = 'hex';`+everyType).ReadAll(); err != nil {
		t.Fatal(err)
	}
	table := &change.Table{Schema: "public", Name: "everything", Key: []int{0}, Identity: change.IdentityDefault}
	if err := conn.QueryRow(ctx, `SELECT 'everything'::regclass::oid`).Scan(&table.OID); err != nil {
		t.Fatal(err)
	}
	if table.Columns, err = catalog.Columns(ctx, conn, catalog.NewTypes(conn, 2), table.OID); err != nil {
		t.Fatal(err)
	}
	table.Columns[0].InKey = true
	formats := make([]int16, len(table.Columns))
	batches := map[string]*change.Batch{"text": fetch(ctx, t, conn, table, formats)}
	for i, c := range table.Columns {
		if pgvalue.Binary(c.Type) {
			formats[i] = 1
		}
	}
	batches["binary"] = fetch(ctx, t, conn, table, formats)
	return table, batches
}

func fetch(ctx context.Context, t testing.TB, conn *pgx.Conn, table *change.Table, formats []int16) *change.Batch {
	t.Helper()
	result := conn.PgConn().ExecParams(ctx, `SELECT * FROM everything ORDER BY id DESC`, nil, nil, nil, formats).Read()
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	b := &change.Batch{
		Table: table, Format: change.TuplePgoutput,
		Transactions: []change.Transaction{{XID: 7, CommitLSN: 1000, CommitTime: time.UnixMilli(1700000000123).UTC()}},
	}
	for i, values := range result.Rows {
		b.Rows = append(b.Rows, change.Row{LSN: uint64(100 + i), Offset: uint32(len(b.Data)), Operation: change.Insert})
		b.Data = binary.BigEndian.AppendUint16(b.Data, uint16(len(values)))
		for c, v := range values {
			if v == nil {
				b.Data = append(b.Data, 'n')
				continue
			}
			b.Data = append(b.Data, "tb"[formats[c]])
			b.Data = append(binary.BigEndian.AppendUint32(b.Data, uint32(len(v))), v...)
		}
	}
	return b
}

// texts returns all values of a batch as text, row by row.
func texts(t testing.TB, b *change.Batch) []string {
	t.Helper()
	columns := b.Table.Columns
	cells := make([]change.Cell, len(b.Rows)*len(columns))
	if err := b.Cells(0, len(b.Rows), cells); err != nil {
		t.Fatal(err)
	}
	out := make([]string, 0, len(cells))
	for r := range b.Rows {
		for c := range columns {
			cell := cells[c*len(b.Rows)+r]
			value := string(cell.Kind)
			switch {
			case cell.Kind == change.Text:
				value = string(cell.Bytes(b.Data))
			case cell.Kind == change.Binary && pgvalue.IsBytea(columns[c].Type):
				value = fmt.Sprintf(`\x%x`, cell.Bytes(b.Data))
			case cell.Kind == change.Binary:
				text, err := pgvalue.AppendText(nil, columns[c].Type, columns[c].TypeMod, cell.Bytes(b.Data))
				if err != nil {
					t.Fatal(err)
				}
				value = string(text)
			}
			out = append(out, fmt.Sprintf("row %d column %s: %s", r, columns[c].Name, value))
		}
	}
	return out
}

func TestRowsOfEveryTypeComeBackAsTheyWere(t *testing.T) {
	table, batches := source(t)
	want := texts(t, batches["binary"])
	if len(want) != 3*len(table.Columns) || !strings.HasPrefix(want[1], "row 0 column flag: f") {
		t.Fatalf("unexpected source %q", want)
	}
	for name, b := range batches {
		messages, err := inrows.Messages(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, encoded := range []bool{false, true} {
			if encoded {
				throughJSON(t, messages)
			}
			items, err := rows.Read(messages)
			if err != nil {
				t.Fatal(err)
			}
			if len(items) != 1 {
				t.Fatalf("%d items", len(items))
			}
			got := items[0].Batch
			for i, text := range texts(t, got) {
				if text != want[i] {
					t.Errorf("%s, through JSON %v: got %q, want %q", name, encoded, text, want[i])
				}
			}
			for i, row := range got.Rows {
				if row.LSN != b.Rows[i].LSN || row.Operation != change.Insert || row.KeyOnly || got.Transactions[row.Transaction] != b.Transactions[0] {
					t.Errorf("%s: row %d is %+v of %+v", name, i, row, got.Transactions)
				}
			}
		}
	}
}

// throughJSON replaces bodies by their bytes, as a message has them that was
// stored in between.
func throughJSON(t *testing.T, messages service.MessageBatch) {
	t.Helper()
	for _, m := range messages {
		body, err := m.AsBytes()
		if err != nil {
			t.Fatal(err)
		}
		m.SetBytes(body)
	}
}

func TestADeleteByKeyCarriesTheKeyOnly(t *testing.T) {
	_, batches := source(t)
	b := batches["binary"]
	b.Rows[0].Operation, b.Rows[0].KeyOnly = change.Delete, true
	b.Rows = b.Rows[:1]
	messages, err := inrows.Messages(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := messages[0].AsBytes()
	if err != nil || string(body) != `{"id":9223372036854775807}` {
		t.Errorf("body %s, %v", body, err)
	}
	items, err := rows.Read(messages)
	if err != nil {
		t.Fatal(err)
	}
	if row := items[0].Batch.Rows[0]; !row.KeyOnly || row.Operation != change.Delete {
		t.Errorf("%+v", row)
	}
}

func TestControlsComeBackAsTheyWere(t *testing.T) {
	table, _ := source(t)
	later := *table
	later.Version = 77
	c := &change.Control{
		Operation: change.Schema, Table: &later, Previous: table, LSN: 77,
		Transaction: change.Transaction{XID: 7, CommitLSN: 1000, CommitTime: time.UnixMilli(1700000000123).UTC()},
	}
	items, err := rows.Read(service.MessageBatch{inrows.Control(c)})
	if err != nil {
		t.Fatal(err)
	}
	got := items[0].Control
	if got.Operation != c.Operation || got.LSN != c.LSN || got.Transaction != c.Transaction || got.Table.Version != 77 || got.Previous.Version != 0 {
		t.Errorf("%+v", got)
	}
	if fmt.Sprint(got.Table.Describe()) != fmt.Sprint(later.Describe()) || fmt.Sprint(got.Previous.Describe()) != fmt.Sprint(table.Describe()) {
		t.Errorf("definition %v", got.Table.Describe())
	}
}
