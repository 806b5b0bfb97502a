package rows_test

import (
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	inrows "github.com/penstock/penstock/input/rows"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/output/rows"
)

// eightColumns is a block of rows of 8 columns and some 130 bytes.
func eightColumns(n int) *change.Batch {
	t := &change.Table{Schema: "public", Name: "orders", Key: []int{0}}
	for _, c := range []struct {
		name string
		oid  uint32
		typ  string
	}{
		{"id", 20, "int8"},
		{"customer", 23, "int4"},
		{"name", 25, "text"},
		{"email", 25, "text"},
		{"created", 1184, "timestamptz"},
		{"total", 1700, "numeric"},
		{"note", 25, "text"},
		{"paid", 16, "bool"},
	} {
		t.Columns = append(t.Columns, change.Column{Name: c.name, TypeMod: -1, Type: &change.Type{OID: c.oid, Name: c.typ, Schema: "pg_catalog", Kind: change.TypeBase}})
	}
	t.Columns[0].InKey = true
	b := &change.Batch{Table: t, Format: change.TupleCopy, Transactions: []change.Transaction{{XID: 1, CommitLSN: 2, CommitTime: time.UnixMilli(3)}}}
	for i := range n {
		b.Rows = append(b.Rows, change.Row{LSN: uint64(i), Offset: uint32(len(b.Data)), Operation: change.Insert})
		b.Data = append(b.Data, 0, 8)
		for _, v := range []string{
			"\x00\x00\x00\x00\x00\x00\x00\x01", "\x00\x00\x00\x07", "a customer's name", "someone@example.com",
			"\x00\x02\xb8\x4f\x00\x00\x00\x00", "\x00\x02\x00\x00\x00\x00\x00\x02\x00\x0c\x0d\x80", "a note on the order", "\x01",
		} {
			b.Data = append(append(b.Data, 0, 0, 0, byte(len(v))), v...)
		}
	}
	return b
}

const benchmarkRows = 1000

func perRow(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchmarkRows, "ns/row")
}

func BenchmarkMessages(b *testing.B) {
	batch := eightColumns(benchmarkRows)
	var messages service.MessageBatch
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if messages, err = inrows.Messages(batch, messages[:0]); err != nil {
			b.Fatal(err)
		}
	}
	perRow(b)
}

func BenchmarkRead(b *testing.B) {
	messages, err := inrows.Messages(eightColumns(benchmarkRows), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rows.Read(messages); err != nil {
			b.Fatal(err)
		}
	}
	perRow(b)
}
