package output

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/redpanda-data/benthos/v4/public/service"
	"go.uber.org/goleak"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/devstack/devtest"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

func noLeaks(t *testing.T) {
	t.Helper()
	ignore := []goleak.Option{devtest.IgnoreServers(), goleak.IgnoreCurrent()}
	t.Cleanup(func() { goleak.VerifyNone(t, ignore...) })
}

func builtIn(name string, oid uint32) *change.Type {
	return &change.Type{Name: name, OID: oid, Schema: "pg_catalog", Kind: change.TypeBase}
}

var (
	int4 = builtIn("int4", 23)
	int8 = builtIn("int8", 20)
	text = builtIn("text", 25)
	date = builtIn("date", 1082)
)

// table makes a definition of public.name whose first column is the key.
func table(name string, version uint64, columns ...change.Column) *change.Table {
	t := &change.Table{Schema: "public", Name: name, OID: 4711, Version: version, Columns: columns, Key: []int{0}, Identity: change.IdentityDefault}
	t.Columns[0].InKey, t.Columns[0].NotNull = true, true
	return t
}

func column(name string, typ *change.Type) change.Column {
	return change.Column{Name: name, Type: typ, TypeMod: -1}
}

// users is the table that most tests use: id int8, name text.
func users() *change.Table { return table("users", 0, column("id", int8), column("name", text)) }

// row is one change: values are int32, int64, string or nil.
type row struct {
	lsn       uint64
	operation change.Operation
	values    []any
}

// commit is when the changes of tests were committed.
var commit = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

// batch makes a batch of tuples in the binary format of COPY.
func batch(t *change.Table, rows ...row) *change.Batch {
	b := &change.Batch{Table: t, Format: change.TupleCopy, Transactions: []change.Transaction{{XID: 7, CommitLSN: 1 << 40, CommitTime: commit}}}
	for _, r := range rows {
		b.Rows = append(b.Rows, change.Row{LSN: r.lsn, Offset: uint32(len(b.Data)), Operation: r.operation})
		b.Data = binary.BigEndian.AppendUint16(b.Data, uint16(len(r.values)))
		for _, v := range r.values {
			b.Data = appendField(b.Data, v)
		}
	}
	return b
}

func appendField(dst []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return binary.BigEndian.AppendUint32(dst, 0xFFFFFFFF)
	case int32:
		return binary.BigEndian.AppendUint32(append(dst, 0, 0, 0, 4), uint32(v))
	case int64:
		return binary.BigEndian.AppendUint64(append(dst, 0, 0, 0, 8), uint64(v))
	case string:
		return append(binary.BigEndian.AppendUint32(dst, uint32(len(v))), v...)
	}
	panic(fmt.Sprintf("no field of type %T", value))
}

// message makes the message of a block or a control.
func message(payload any) *service.Message {
	m := service.NewMessage(nil)
	m.SetStructured(payload)
	source, operation := (*change.Table)(nil), "change"
	switch p := payload.(type) {
	case *change.Batch:
		source = p.Table
	case *change.Control:
		source, operation = p.Table, p.Operation.String()
	}
	m.MetaSetMut(change.MetaDatabaseSchema, source.Schema)
	m.MetaSetMut(change.MetaTable, source.Name)
	m.MetaSetMut(change.MetaOperation, operation)
	return m
}

// rowMessage makes the message of one row of `format: rows`.
func rowMessage(t *change.Table, r row) *service.Message {
	body := make(map[string]any)
	for i, v := range r.values {
		if n, ok := v.(int32); ok {
			v = int64(n)
		}
		body[t.Columns[i].Name] = v
	}
	m := service.NewMessage(nil)
	m.SetStructuredMut(body)
	m.MetaSetMut(change.MetaDatabaseSchema, t.Schema)
	m.MetaSetMut(change.MetaTable, t.Name)
	m.MetaSetMut(change.MetaOperation, r.operation.String())
	m.MetaSetMut(change.MetaLSN, change.FormatLSN(r.lsn))
	m.MetaSetMut(change.MetaSchema, t.Describe())
	return m
}

func messages(payloads ...any) service.MessageBatch {
	b := make(service.MessageBatch, len(payloads))
	for i, p := range payloads {
		b[i] = message(p)
	}
	return b
}

// recorder is an observer that keeps what it is told.
type recorder struct {
	mu       sync.Mutex
	inserted map[string]int
	visible  []time.Time
	lossy    map[string]int
	errors   map[string]int
	degraded bool
	reason   error
}

var _ observer = (*recorder)(nil)

func newRecorder() *recorder {
	return &recorder{inserted: make(map[string]int), lossy: make(map[string]int), errors: make(map[string]int)}
}

func (r *recorder) note(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (r *recorder) Inserted(table string, rows int, _ time.Duration) {
	r.note(func() { r.inserted[table] += rows })
}

func (r *recorder) Visible(commit time.Time) {
	r.note(func() { r.visible = append(r.visible, commit) })
}

func (r *recorder) Lossy(table, column, reason string, n int) {
	r.note(func() { r.lossy[table+"."+column+" "+reason] += n })
}
func (r *recorder) Error(class string) { r.note(func() { r.errors[class]++ }) }
func (r *recorder) Degraded(err error) { r.note(func() { r.degraded, r.reason = true, err }) }
func (r *recorder) Healthy()           { r.note(func() { r.degraded, r.reason = false, nil }) }

func (r *recorder) isDegraded() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.degraded
}

func parse(t testing.TB, yaml string) (*config, error) {
	t.Helper()
	parsed, err := spec().ParseYAML(yaml, nil)
	if err != nil {
		return nil, err
	}
	return parseConfig(parsed)
}

// newTestOutput returns an output that has not connected.
func newTestOutput(t testing.TB, dsn, fields string) (*Output, *recorder) {
	t.Helper()
	conf, err := parse(t, "dsn: "+dsn+"\n"+fields)
	if err != nil {
		t.Fatal(err)
	}
	r := newRecorder()
	o := newOutput(conf, service.MockResources().Logger(), r)
	t.Cleanup(func() {
		if err := o.Close(context.Background()); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return o, r
}

// connected returns a connected output.
func connected(t testing.TB, dsn, fields string) (*Output, *recorder) {
	t.Helper()
	o, r := newTestOutput(t, dsn, fields)
	if err := o.Connect(context.Background()); err != nil {
		t.Fatal(err)
	}
	return o, r
}

func mustWrite(t testing.TB, o *Output, b service.MessageBatch) {
	t.Helper()
	if err := o.WriteBatch(context.Background(), b); err != nil {
		t.Fatal(err)
	}
}

// open returns a connection to a database.
func open(t testing.TB, dsn string) driver.Conn {
	t.Helper()
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func exec(t testing.TB, dsn, statement string) {
	t.Helper()
	if err := open(t, dsn).Exec(context.Background(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// lines returns the rows of a query, as the server prints them between bars.
func lines(t testing.TB, dsn, columns, rest string) string {
	t.Helper()
	var got []string
	rows, err := open(t, dsn).Query(context.Background(), "SELECT concatWithSeparator('|', "+columns+") FROM "+rest)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		got = append(got, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(got, "\n")
}

// usersNow returns the users as they are, by id.
func usersNow(t testing.TB, dsn string) string {
	t.Helper()
	return lines(t, dsn, "toString(id), ifNull(name, 'NULL'), toString(_version)", "public_users FINAL ORDER BY id")
}

func databaseOf(t testing.TB, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}
