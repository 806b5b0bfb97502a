package output

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/devstack/devtest"
)

// ordersBatch is a batch of n rows of eight columns, some 130 bytes each: the table of design §9.
func ordersBatch(n int) *change.Batch {
	orders := table("orders", 0, column("id", int8), column("customer", int8), column("quantity", int4), column("price", int8),
		column("status", text), column("email", text), column("note", text), column("day", date))
	rows := make([]row, n)
	for i := range rows {
		rows[i] = row{0, read, []any{
			int64(i), int64(i % 1000), int32(i % 7), int64(i * 100), "shipped",
			fmt.Sprintf("customer%d@example.org", i%1000), strings.Repeat("lorem ", 6), int32(i % 3650),
		}}
	}
	return batch(orders, rows...)
}

// BenchmarkWriteBatch is a batch of 100 000 rows on its way from message to ClickHouse, encoding and answer included.
// Measured on 2 cores shared with the server.
func BenchmarkWriteBatch(b *testing.B) {
	const rows = 100_000
	block := ordersBatch(rows)
	for _, engine := range []string{"'Null'", "ReplacingMergeTree"} {
		for _, compress := range []string{"lz4", "none"} {
			b.Run(strings.Trim(engine, "'")+"/"+compress, func(b *testing.B) {
				o, _ := connected(b, devtest.ClickHouse(b)+"?compress="+compress, "engine: "+engine)
				m := service.MessageBatch{message(block)}
				mustWrite(b, o, m)
				b.ReportAllocs()
				b.SetBytes(int64(len(block.Data)))
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := o.WriteBatch(b.Context(), m); err != nil {
							b.Error(err)
							return
						}
					}
				})
				b.ReportMetric(float64(b.N*rows)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}
