package rows

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/internal/change"
)

func orders() *change.Table {
	return &change.Table{
		Schema: "public", Name: "orders", OID: 16384, Key: []int{0}, Identity: change.IdentityDefault,
		Columns: []change.Column{
			{Name: "id", Type: &change.Type{OID: 23, Name: "int4", Schema: "pg_catalog", Kind: change.TypeBase}, TypeMod: -1, NotNull: true, InKey: true},
			{Name: "note", Type: &change.Type{OID: 25, Name: "text", Schema: "pg_catalog", Kind: change.TypeBase}, TypeMod: -1},
		},
	}
}

// batch holds an insert, an update to NULL and a delete by key of row 7, in two
// transactions.
func batch() *change.Batch {
	b := &change.Batch{
		Table: orders(), Format: change.TuplePgoutput,
		Transactions: []change.Transaction{
			{XID: 700, CommitLSN: 0x110, CommitTime: time.UnixMilli(1700000000123)},
			{XID: 701, CommitLSN: 0x220, CommitTime: time.UnixMilli(1700000000456)},
		},
	}
	for _, tuple := range []string{"\x00\x02b\x00\x00\x00\x04\x00\x00\x00\x07t\x00\x00\x00\x02hi", "\x00\x02t\x00\x00\x00\x017n", "\x00\x02t\x00\x00\x00\x017n"} {
		b.Rows = append(b.Rows, change.Row{Offset: uint32(len(b.Data))})
		b.Data = append(b.Data, tuple...)
	}
	b.Rows[0].LSN, b.Rows[0].Operation = 0x100, change.Insert
	b.Rows[1].LSN, b.Rows[1].Operation, b.Rows[1].Transaction = 0x200, change.Update, 1
	b.Rows[2].LSN, b.Rows[2].Operation, b.Rows[2].Transaction, b.Rows[2].KeyOnly = 0x210, change.Delete, 1, true
	return b
}

// stringsOf returns all metadata that is a string.
func stringsOf(t *testing.T, m *service.Message) map[string]string {
	t.Helper()
	got := map[string]string{}
	if err := m.MetaWalkMut(func(key string, v any) error {
		if s, ok := v.(string); ok {
			got[key] = s
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestEachRowIsAFlatObjectWithItsMetadata(t *testing.T) {
	messages, err := Messages(batch(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		body map[string]any
		meta map[string]string
	}{
		{map[string]any{"id": int64(7), "note": "hi"}, map[string]string{
			"operation": "insert", "lsn": "0000000000000100", "commit_lsn": "0000000000000110", "commit_ts_ms": "1700000000123", "transaction_id": "700",
		}},
		{map[string]any{"id": int64(7), "note": nil}, map[string]string{
			"operation": "update", "lsn": "0000000000000200", "commit_lsn": "0000000000000220", "commit_ts_ms": "1700000000456", "transaction_id": "701",
		}},
		{map[string]any{"id": int64(7)}, map[string]string{
			"operation": "delete", "lsn": "0000000000000210", "commit_lsn": "0000000000000220", "commit_ts_ms": "1700000000456", "transaction_id": "701",
		}},
	}
	if len(messages) != len(want) {
		t.Fatalf("%d messages", len(messages))
	}
	for i, m := range messages {
		body, err := m.AsStructuredMut()
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(body, want[i].body) {
			t.Errorf("row %d: body %#v, want %#v", i, body, want[i].body)
		}
		want[i].meta["database_schema"], want[i].meta["table"] = "public", "orders"
		if got := stringsOf(t, m); !reflect.DeepEqual(got, want[i].meta) {
			t.Errorf("row %d: metadata %v, want %v", i, got, want[i].meta)
		}
		if key, _ := m.MetaGetMut(change.MetaKey); !reflect.DeepEqual(key, []any{"id"}) {
			t.Errorf("row %d: key %v", i, key)
		}
		if schema, _ := m.MetaGetMut(change.MetaSchema); !reflect.DeepEqual(schema, orders().Describe()) {
			t.Errorf("row %d: schema %v", i, schema)
		}
	}
}

func TestOneRowsMetadataIsNotAnothers(t *testing.T) {
	messages, err := Messages(batch(), nil)
	if err != nil {
		t.Fatal(err)
	}
	schema, _ := messages[0].MetaGetMut(change.MetaSchema)
	schema.(map[string]any)["table"] = "changed"
	messages[0].MetaSetMut(change.MetaTable, "changed")
	if schema, _ := messages[1].MetaGetMut(change.MetaSchema); schema.(map[string]any)["table"] != "orders" {
		t.Error("a definition changed by one processor changed for all rows")
	}
	if table, _ := messages[1].MetaGet(change.MetaTable); table != "orders" {
		t.Errorf("table %q", table)
	}
}

func TestAValueThatCannotBeReadNamesItsColumn(t *testing.T) {
	for name, tuple := range map[string]string{
		"binary of another length": "\x00\x02b\x00\x00\x00\x02\x00\x07n",
		"text":                     "\x00\x02t\x00\x00\x00\x01xn",
		"unchanged, not resolved":  "\x00\x02un",
	} {
		b := batch()
		b.Data = append(b.Data, tuple...)
		b.Rows = append(b.Rows, change.Row{LSN: 0x230, Offset: uint32(len(b.Data) - len(tuple)), Operation: change.Update})
		_, err := Messages(b, nil)
		var failure *change.Failure
		if !errors.As(err, &failure) || failure.Table != "public.orders" || !strings.Contains(failure.Reason, `column "id" of public.orders at 0000000000000230`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAControlIsAnEmptyObject(t *testing.T) {
	m := Control(&change.Control{Operation: change.Truncate, Table: orders(), LSN: 0x300, Transaction: change.Transaction{XID: 9}})
	body, err := m.AsBytes()
	if err != nil || string(body) != "{}" {
		t.Errorf("body %s, %v", body, err)
	}
	got := stringsOf(t, m)
	if got["operation"] != "truncate" || got["lsn"] != "0000000000000300" || got["transaction_id"] != "9" {
		t.Errorf("metadata %v", got)
	}
	setup := stringsOf(t, Control(&change.Control{Operation: change.Schema, Table: orders()}))
	if _, ok := setup["transaction_id"]; ok || setup["operation"] != "schema" || setup["lsn"] != "0000000000000000" {
		t.Errorf("metadata of setup %v", setup)
	}
}

func TestARunLongerThanAStrip(t *testing.T) {
	b := batch()
	first := b.Rows[0]
	b.Rows = nil
	for i := range 2*strip + 3 {
		first.LSN = uint64(i)
		b.Rows = append(b.Rows, first)
	}
	messages, err := Messages(b, nil)
	if err != nil || len(messages) != len(b.Rows) {
		t.Fatalf("%d messages, %v", len(messages), err)
	}
	for i, m := range messages {
		if lsn, _ := m.MetaGet(change.MetaLSN); lsn != change.FormatLSN(uint64(i)) {
			t.Fatalf("message %d has LSN %s", i, lsn)
		}
	}
}
