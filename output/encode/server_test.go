package encode

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/devstack/devtest"
	"github.com/penstock/penstock/internal/pgvalue"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

// source is a session with the settings that Penstock's own sessions have.
type source struct {
	testing.TB
	conn   *pgconn.PgConn
	tables int
}

func newSource(t testing.TB) *source {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), devtest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	s := &source{TB: t, conn: conn}
	for _, setting := range []string{"TimeZone=UTC", "DateStyle=ISO", "IntervalStyle=iso_8601", "extra_float_digits=3", "bytea_output=hex"} {
		s.exec("SET " + setting)
	}
	return s
}

func (s *source) exec(sql string) {
	s.Helper()
	if err := s.conn.Exec(s.Context(), sql).Close(); err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
}

// query returns the rows as text, NULL as "NULL".
func (s *source) query(sql string) [][]string {
	s.Helper()
	result := s.conn.ExecParams(s.Context(), sql, nil, nil, nil, nil).Read()
	if result.Err != nil {
		s.Fatalf("%s: %v", sql, result.Err)
	}
	rows := make([][]string, len(result.Rows))
	for i, row := range result.Rows {
		for _, value := range row {
			text := string(value)
			if value == nil {
				text = "NULL"
			}
			rows[i] = append(rows[i], text)
		}
	}
	return rows
}

// version returns the major version of the server.
func (s *source) version() int {
	s.Helper()
	n, err := strconv.Atoi(s.query("SHOW server_version_num")[0][0])
	if err != nil {
		s.Fatal(err)
	}
	return n / 10000
}

// table creates a table (id, v) with one row per SQL expression, and returns
// its name and definition.
func (s *source) table(pgType string, values []string) (string, *change.Table) {
	s.Helper()
	s.tables++
	name := fmt.Sprintf("t%d", s.tables)
	s.exec(fmt.Sprintf("CREATE TABLE %s (id int4 PRIMARY KEY, v %s)", name, pgType))
	for start := 0; start < len(values); start += 500 {
		var sql strings.Builder
		for i, v := range values[start:min(start+500, len(values))] {
			separator := ","
			if i == 0 {
				separator = fmt.Sprintf("INSERT INTO %s VALUES ", name)
			}
			fmt.Fprintf(&sql, "%s(%d, %s)", separator, start+i, v)
		}
		s.exec(sql.String())
	}
	return name, s.define(name)
}

func (s *source) define(table string) *change.Table {
	s.Helper()
	t := &change.Table{Schema: "public", Name: table, Key: []int{0}}
	for _, r := range s.query(fmt.Sprintf(
		"SELECT attname, atttypid, atttypmod, attnotnull FROM pg_attribute WHERE attrelid = '%s'::regclass AND attnum > 0 ORDER BY attnum", table)) {
		modifier, _ := strconv.ParseInt(r[2], 10, 32)
		t.Columns = append(t.Columns, change.Column{
			Name: r[0], Type: s.resolve(r[1]), TypeMod: int32(modifier), NotNull: r[3] == "t", InKey: r[0] == "id",
		})
	}
	return t
}

func (s *source) resolve(oid string) *change.Type {
	s.Helper()
	r := s.query(`SELECT t.oid, typname, nspname, typtype, typcategory, typelem, typdelim, typbasetype
		FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace WHERE t.oid = ` + oid)[0]
	number, _ := strconv.ParseUint(r[0], 10, 32)
	t := &change.Type{OID: uint32(number), Name: r[1], Schema: r[2], Kind: change.TypeKind(r[3][0]), Delim: r[6][0]}
	switch {
	case r[3] == "d":
		return s.resolve(r[7])
	case r[4] == "A" && r[5] != "0":
		t.Kind, t.Elem = change.TypeArray, s.resolve(r[5])
		t.Delim = t.Elem.Delim
	case t.Name == "money":
		t.MoneyDigits = 2
	}
	return t
}

// The forms in which a row may travel.
const (
	formCopy = 1 + iota
	formText
	formBinary
	formRows // through the body of a message
)

// batch reads the table in one form. Its LSN is the form, to tell the rows
// apart at the destination.
func (s *source) batch(name string, table *change.Table, form int) *change.Batch {
	s.Helper()
	b := &change.Batch{Table: table, Transactions: []change.Transaction{{}}, Format: change.TuplePgoutput}
	if form == formCopy {
		s.copyInto(b, name)
		return b
	}
	if form == formRows {
		return s.rowsBatch(s.batch(name, table, formText))
	}
	var formats []int16
	kind := byte(change.Text)
	if form == formBinary {
		formats, kind = []int16{1}, byte(change.Binary)
	}
	result := s.conn.ExecParams(s.Context(), "SELECT * FROM "+name+" ORDER BY id", nil, nil, nil, formats).Read()
	if result.Err != nil {
		s.Fatal(result.Err)
	}
	for _, row := range result.Rows {
		b.Rows = append(b.Rows, change.Row{LSN: uint64(form), Offset: uint32(len(b.Data)), Operation: change.Insert})
		b.Data = binary.BigEndian.AppendUint16(b.Data, uint16(len(row)))
		for _, value := range row {
			b.Data = appendCell(b.Data, kind, value)
		}
	}
	return b
}

// rowsBatch sends the values of a batch on the way of `format: rows`: into the
// body of a message, and back.
func (s *source) rowsBatch(from *change.Batch) *change.Batch {
	s.Helper()
	columns := from.Table.Columns
	to := &change.Batch{Table: from.Table, Transactions: from.Transactions, Format: change.TuplePgoutput}
	cells := make([]change.Cell, len(columns))
	for i := range from.Rows {
		if err := from.Cells(i, 1, cells); err != nil {
			s.Fatal(err)
		}
		to.Rows = append(to.Rows, change.Row{LSN: formRows, Offset: uint32(len(to.Data)), Operation: change.Insert})
		to.Data = binary.BigEndian.AppendUint16(to.Data, uint16(len(columns)))
		for c, column := range columns {
			v, err := pgvalue.Structured(column.Type, column.TypeMod, cells[c].Kind, cells[c].Bytes(from.Data))
			if err != nil {
				s.Fatal(err)
			}
			if v == nil {
				to.Data = appendCell(to.Data, 0, nil)
				continue
			}
			text, err := pgvalue.AppendStructured(nil, column.Type, v)
			if err != nil {
				s.Fatal(err)
			}
			to.Data = appendCell(to.Data, byte(change.Text), append([]byte{}, text...))
		}
	}
	return to
}

// appendCell appends a column of pgoutput's TupleData.
func appendCell(dst []byte, kind byte, value []byte) []byte {
	if value == nil {
		return append(dst, byte(change.Null))
	}
	dst = append(dst, kind)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(value)))
	return append(dst, value...)
}

func (s *source) copyInto(b *change.Batch, name string) {
	s.Helper()
	columns := make([]string, len(b.Table.Columns))
	b.TextColumns = make([]bool, len(columns))
	for i, c := range b.Table.Columns {
		columns[i] = c.Name
		if !pgvalue.Binary(c.Type) {
			// A cast to text is not what the server prints: inet gains a netmask.
			columns[i] = fmt.Sprintf("CASE WHEN %[1]s IS DISTINCT FROM NULL THEN format('%%s', %[1]s) END", c.Name)
			b.TextColumns[i] = true
		}
	}
	var out bytes.Buffer
	sql := fmt.Sprintf("COPY (SELECT %s FROM %s ORDER BY id) TO STDOUT (FORMAT binary)", strings.Join(columns, ", "), name)
	if _, err := s.conn.CopyTo(s.Context(), &out, sql); err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
	b.Format, b.Data = change.TupleCopy, out.Bytes()
	const header = 11 + 4 + 4 // signature, flags, length of the extension
	for at := header; ; {
		fields := int16(binary.BigEndian.Uint16(b.Data[at:]))
		if fields < 0 {
			return
		}
		b.Rows = append(b.Rows, change.Row{LSN: formCopy, Offset: uint32(at), Operation: change.Read})
		at += 2
		for range fields {
			length := int32(binary.BigEndian.Uint32(b.Data[at:]))
			at += 4 + int(max(length, 0))
		}
	}
}

// destination is a ClickHouse database.
type destination struct {
	testing.TB
	client *ch.Client
	tables int
}

func newDestination(t testing.TB) *destination {
	t.Helper()
	dsn, err := url.Parse(devtest.ClickHouse(t))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := dsn.User.Password()
	client, err := ch.Dial(t.Context(), ch.Options{
		Address: dsn.Host, Database: strings.TrimPrefix(dsn.Path, "/"), User: dsn.User.Username(), Password: password,
		Settings: []ch.Setting{ch.SettingInt("enable_time_time64_type", 1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return &destination{TB: t, client: client}
}

func (d *destination) exec(sql string) {
	d.Helper()
	if err := d.client.Do(d.Context(), ch.Query{Body: sql}); err != nil {
		d.Fatalf("%s: %v", sql, err)
	}
}

// table creates a table (id, v) with metadata columns.
func (d *destination) table(chType string) (string, []Column) {
	d.Helper()
	d.tables++
	name := fmt.Sprintf("t%d", d.tables)
	columns := []Column{
		{"id", "Int32"},
		{"v", chType},
		{"_version", "UInt64"},
		{"_is_deleted", "UInt8"},
		{"_synced_at", "DateTime64(6, 'UTC')"},
	}
	definitions := make([]string, len(columns))
	for i, c := range columns {
		definitions[i] = "`" + c.Name + "` " + c.Type
	}
	d.exec(fmt.Sprintf("CREATE TABLE %s (%s) ENGINE = Memory", name, strings.Join(definitions, ", ")))
	return name, columns
}

func (d *destination) insert(table string, b *Block) {
	d.Helper()
	input := b.Input()
	if err := d.client.Do(d.Context(), ch.Query{Body: input.Into(table), Input: input}); err != nil {
		d.Fatalf("inserting into %s: %v", table, err)
	}
}

// strings returns one column of strings.
func (d *destination) strings(sql string) []string {
	d.Helper()
	var column proto.ColStr
	var all []string
	if err := d.client.Do(d.Context(), ch.Query{
		Body:   sql,
		Result: proto.ResultColumn{Data: &column},
		OnResult: func(_ context.Context, _ proto.Block) error {
			for i := range column.Rows() {
				all = append(all, column.Row(i))
			}
			return nil
		},
	}); err != nil {
		d.Fatalf("%s: %v", sql, err)
	}
	return all
}

// values returns what was stored in one form, as ClickHouse prints it, in the
// order of id.
func (d *destination) values(table string, form int) []string {
	d.Helper()
	return d.strings(fmt.Sprintf("SELECT CAST(ifNull(toString(v), 'NULL') AS String) AS s FROM %s WHERE _version = %d ORDER BY id", table, form))
}

func metadataOptions(p Policy) Options {
	return Options{
		Unrepresentable: p, Version: "_version", IsDeleted: "_is_deleted", SyncedAt: "_synced_at",
		Now: func() time.Time { return time.UnixMicro(1700000000123456) },
	}
}
