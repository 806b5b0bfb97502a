package rows

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/bloblang"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/internal/change"
)

func table(name string, columns ...change.Column) *change.Table {
	t := &change.Table{Schema: "public", Name: name, OID: 16384, Identity: change.IdentityDefault, Version: 7, Columns: columns, Key: []int{0}}
	t.Columns[0].InKey = true
	return t
}

func builtIn(oid uint32, name string) *change.Type {
	return &change.Type{OID: oid, Name: name, Schema: "pg_catalog", Kind: change.TypeBase}
}

func orders() *change.Table {
	return table(
		"orders",
		change.Column{Name: "id", Type: builtIn(20, "int8"), TypeMod: -1, NotNull: true},
		change.Column{Name: "total", Type: builtIn(1700, "numeric"), TypeMod: 655366},
		change.Column{Name: "photo", Type: builtIn(17, "bytea"), TypeMod: -1},
	)
}

func customers() *change.Table {
	return table("customers", change.Column{Name: "name", Type: builtIn(25, "text"), TypeMod: -1, NotNull: true})
}

// message is a row or control as the input writes it.
func message(t *change.Table, operation string, body any) *service.Message {
	m := service.NewMessage(nil)
	m.SetStructuredMut(body)
	m.MetaSetMut(change.MetaOperation, operation)
	m.MetaSetMut(change.MetaLSN, change.FormatLSN(100))
	m.MetaSetMut(change.MetaCommitLSN, change.FormatLSN(200))
	m.MetaSetMut(change.MetaCommitTime, "1700000000123")
	m.MetaSetMut(change.MetaTransactionID, "42")
	m.MetaSetImmut(change.MetaSchema, service.ImmutableAny{V: t.Describe()})
	return m
}

func order(operation string, body map[string]any) *service.Message {
	return message(orders(), operation, body)
}

// cells returns a batch's tuples as text, one string a row: kinds and values.
func cells(t *testing.T, b *change.Batch) []string {
	t.Helper()
	columns := len(b.Table.Columns)
	dst := make([]change.Cell, len(b.Rows)*columns)
	if err := b.Cells(0, len(b.Rows), dst); err != nil {
		t.Fatal(err)
	}
	rows := make([]string, len(b.Rows))
	for r := range rows {
		parts := make([]string, columns)
		for c := range columns {
			cell := dst[c*len(b.Rows)+r]
			parts[c] = string(cell.Kind)
			if cell.Kind == change.Text || cell.Kind == change.Binary {
				parts[c] += ":" + string(cell.Bytes(b.Data))
			}
		}
		rows[r] = strings.Join(parts, " ")
	}
	return rows
}

func read(t *testing.T, messages ...*service.Message) []Item {
	t.Helper()
	items, err := Read(messages)
	if err != nil {
		t.Fatal(err)
	}
	return items
}

func TestRowsBecomeTuplesWithTheirPosition(t *testing.T) {
	items := read(t,
		order("read", map[string]any{"id": int64(1), "total": "1.50", "photo": "AP8="}),
		order("insert", map[string]any{"id": int64(2), "total": nil, "photo": nil}),
		order("update", map[string]any{"id": int64(2), "photo": nil}),
		order("delete", map[string]any{"id": int64(2)}),
		order("delete", map[string]any{"id": int64(3), "total": "1", "photo": nil}),
	)
	if len(items) != 1 {
		t.Fatalf("%d items", len(items))
	}
	b := items[0].Batch
	want := []string{"t:1 t:1.50 b:\x00\xff", "t:2 n n", "t:2 a n", "t:2 a a", "t:3 t:1 n"}
	if got := cells(t, b); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if !reflect.DeepEqual(items[0].Messages, []int{0, 1, 2, 3, 4}) {
		t.Errorf("messages %v", items[0].Messages)
	}
	if !reflect.DeepEqual(b.Table, orders()) {
		t.Errorf("table %+v", b.Table)
	}
	for i, want := range []change.Row{
		{LSN: 100, Operation: change.Read},
		{LSN: 100, Operation: change.Insert},
		{LSN: 100, Operation: change.Update},
		{LSN: 100, Operation: change.Delete, KeyOnly: true},
		{LSN: 100, Operation: change.Delete},
	} {
		want.Offset = b.Rows[i].Offset
		if b.Rows[i] != want {
			t.Errorf("row %d: got %+v, want %+v", i, b.Rows[i], want)
		}
	}
	transaction := change.Transaction{XID: 42, CommitLSN: 200, CommitTime: time.UnixMilli(1700000000123).UTC()}
	if !reflect.DeepEqual(b.Transactions, []change.Transaction{transaction}) {
		t.Errorf("transactions %+v", b.Transactions)
	}
}

func TestTablesAreGatheredUpToTheNextControl(t *testing.T) {
	name := map[string]any{"name": "Ada"}
	id := map[string]any{"id": 1}
	block := service.NewMessage(nil)
	payload := &change.Batch{Table: orders()}
	block.SetStructured(payload)
	items := read(t,
		order("insert", id), message(customers(), "insert", name), order("insert", id), message(customers(), "insert", name), // 0-3
		order("truncate", map[string]any{}),                                                   // 4
		order("insert", id), block, order("insert", id), message(customers(), "insert", name), // 5-8
	)
	var got []any
	for _, item := range items {
		switch {
		case item.Control != nil:
			got = append(got, item.Control.Operation.String(), item.Messages)
		case item.Batch == payload:
			got = append(got, "block", item.Messages)
		default:
			got = append(got, item.Batch.Table.Name, item.Messages)
			if len(item.Batch.Rows) != len(item.Messages) {
				t.Errorf("%d rows of messages %v", len(item.Batch.Rows), item.Messages)
			}
		}
	}
	want := []any{
		"orders",
		[]int{0, 2},
		"customers",
		[]int{1, 3},
		"truncate",
		[]int{4},
		"orders",
		[]int{5},
		"block",
		[]int{6},
		"orders",
		[]int{7},
		"customers",
		[]int{8},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestADefinitionIsParsedOnce(t *testing.T) {
	shared := service.ImmutableAny{V: orders().Describe()}
	var messages service.MessageBatch
	for range 3 {
		m := order("insert", map[string]any{"id": 1})
		m.MetaSetImmut(change.MetaSchema, shared)
		messages = append(messages, m)
	}
	// The same by content, as after a trip through JSON.
	messages = append(messages, order("insert", map[string]any{"id": 1}))
	later := orders()
	later.Version = 8
	messages = append(messages, message(later, "insert", map[string]any{"id": 1}))
	items := read(t, messages...)
	if len(items) != 2 || len(items[0].Batch.Rows) != 4 || items[1].Batch.Table.Version != 8 {
		t.Errorf("%+v", items)
	}
}

func TestControls(t *testing.T) {
	m := order("schema", map[string]any{})
	before := customers()
	m.MetaSetImmut(change.MetaPrevious, service.ImmutableAny{V: before.Describe()})
	c := read(t, m)[0].Control
	want := &change.Control{
		Operation: change.Schema, Table: orders(), Previous: before, LSN: 100,
		Transaction: change.Transaction{XID: 42, CommitLSN: 200, CommitTime: time.UnixMilli(1700000000123).UTC()},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	for _, operation := range []string{"truncate", "table_begin", "table_done"} {
		if c := read(t, order(operation, map[string]any{}))[0].Control; c == nil || c.Operation.String() != operation {
			t.Errorf("%s: %+v", operation, c)
		}
	}
	// What setup sends has no transaction.
	setup := order("schema", map[string]any{})
	for _, key := range []string{change.MetaCommitLSN, change.MetaCommitTime, change.MetaTransactionID} {
		setup.MetaDelete(key)
	}
	if c := read(t, setup)[0].Control; c.Transaction != (change.Transaction{}) || c.Previous != nil {
		t.Errorf("setup: %+v", c)
	}
}

func TestRowsSurviveJSON(t *testing.T) {
	for name, decode := range map[string]func([]byte) any{
		"json.Number": func(text []byte) any {
			decoder := json.NewDecoder(bytes.NewReader(text))
			decoder.UseNumber()
			var v any
			if err := decoder.Decode(&v); err != nil {
				t.Fatal(err)
			}
			return v
		},
		"float64": func(text []byte) any {
			var v any
			if err := json.Unmarshal(text, &v); err != nil {
				t.Fatal(err)
			}
			return v
		},
		"text": func(text []byte) any { return string(text) },
	} {
		m := order("update", map[string]any{"id": int64(12345), "total": "1.50", "photo": "AP8="})
		for _, key := range []string{change.MetaSchema, change.MetaCommitTime, change.MetaTransactionID} {
			v, _ := m.MetaGetMut(key)
			if number, ok := v.(string); ok {
				v = json.Number(number)
			}
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			m.MetaSetMut(key, decode(text))
		}
		body, err := m.AsBytes()
		if err != nil {
			t.Fatal(err)
		}
		m.SetBytes(body)
		b := read(t, m)[0].Batch
		if got := cells(t, b)[0]; got != "t:12345 t:1.50 b:\x00\xff" {
			t.Errorf("%s: %q", name, got)
		}
		if b.Transactions[0].XID != 42 || b.Transactions[0].CommitTime.UnixMilli() != 1700000000123 || !reflect.DeepEqual(b.Table, orders()) {
			t.Errorf("%s: %+v of %+v", name, b.Transactions, b.Table)
		}
	}
}

func TestAMappingMayMaskAColumnOfAnyType(t *testing.T) {
	mapping, err := bloblang.Parse(`root = this
		root.id = this.id.string() + "x"
		root.total = 12.5
		root.photo = deleted()`)
	if err != nil {
		t.Fatal(err)
	}
	m, err := order("insert", map[string]any{"id": int64(1), "total": "1.50", "photo": "AP8="}).BloblangQuery(mapping)
	if err != nil {
		t.Fatal(err)
	}
	if got := cells(t, read(t, m)[0].Batch)[0]; got != "t:1x t:12.5 a" {
		t.Errorf("%q", got)
	}
}

func TestMessagesThatCannotBeReadSayWhy(t *testing.T) {
	without := func(key string) *service.Message {
		m := order("insert", map[string]any{"id": 1})
		m.MetaDelete(key)
		return m
	}
	with := func(key string, v any) *service.Message {
		m := order("insert", map[string]any{"id": 1})
		m.MetaSetMut(key, v)
		return m
	}
	for _, tc := range []struct {
		name    string
		message *service.Message
		want    string
	}{
		{"foreign", service.NewMessage([]byte(`{"id":1}`)), `no metadata "operation": the clickhouse output takes messages of the postgres_cdc input only`},
		{"no JSON", service.NewMessage([]byte(`plain text`)), "neither a row nor a block"},
		{"no definition", without(change.MetaSchema), `no metadata "schema"`},
		{"no position", without(change.MetaLSN), `no metadata "lsn"`},
		{"operation", with(change.MetaOperation, "upsert"), `"operation" of a message is upsert (string), not an operation`},
		{"operation's type", with(change.MetaOperation, 1), `not an operation`},
		{"position", with(change.MetaLSN, "16/B374D848"), "not a WAL position"},
		{"commit position", with(change.MetaCommitLSN, "?"), "not a WAL position"},
		{"transaction", with(change.MetaTransactionID, "-1"), "not a transaction id"},
		{"commit time", with(change.MetaCommitTime, 1.5), "not a number of milliseconds"},
		{"definition's type", with(change.MetaSchema, int64(5)), "not the definition of a table"},
		{"definition's JSON", with(change.MetaSchema, "{"), "not the definition of a table"},
		{"definition's content", with(change.MetaSchema, map[string]any{"table": "orders"}), "does not define a table"},
		{"body", message(orders(), "insert", []any{1}), "of public.orders holds []interface {} where an object"},
		{"field", order("insert", map[string]any{"id": 1, "z": 1, "extra": 2}), `the field "extra", which is no column of public.orders: add the column to the source table, or remove the field in the mapping`},
		{"no key", order("insert", map[string]any{"total": "1"}), `column "id" of public.orders cannot be taken from the message: the row has no such field`},
		{"value", order("insert", map[string]any{"id": map[string]any{}}), `column "id" of public.orders cannot be taken from the message: writing a value of type int8: got map[string]interface {}, want a number`},
		{"bytea", order("insert", map[string]any{"id": 1, "photo": "***"}), "not base64"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Read(service.MessageBatch{order("insert", map[string]any{"id": 1}), tc.message})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			var at *Error
			var failure *change.Failure
			if !errors.As(err, &at) || at.Message != 1 || !errors.As(err, &failure) || failure.Fix == "" {
				t.Errorf("%#v names no message or no fix", err)
			}
		})
	}
}
