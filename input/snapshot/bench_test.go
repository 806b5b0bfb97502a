package snapshot

import (
	"sync/atomic"
	"testing"

	"github.com/penstock/penstock/internal/change"
)

// BenchmarkRun reads a table of a million rows and 8 columns, about 130 bytes a
// row, into a sink that drops it.
func BenchmarkRun(b *testing.B) {
	const rows = 1000000
	d := newDatabase(b,
		"CREATE TABLE wide (id bigint PRIMARY KEY, customer int, status text, price numeric(12,2), note text, created timestamptz, updated timestamptz, payload jsonb)",
		`INSERT INTO wide SELECT n, n % 100000, (ARRAY['new','paid','shipped'])[n % 3 + 1], n * 0.01, 'note ' || n, now(), now(), jsonb_build_object('n', n) FROM generate_series(1, 1000000) n`,
		"VACUUM ANALYZE wide")
	table := d.table("wide")
	anchor := d.export()
	for _, bb := range []struct {
		name        string
		parallelism int
	}{{"1 session", 1}, {"2 sessions", 2}, {"4 sessions", 4}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			var read, bytes atomic.Int64
			for range b.N {
				err := Run(b.Context(), d.source, anchor, Unfinished(table, d.plan(table, 250000)), Options{Parallelism: bb.parallelism, MaxTables: 4, Limits: Limits{Rows: 1 << 17, Bytes: 8 << 20}},
					batches(func(batch *change.Batch) error {
						read.Add(int64(len(batch.Rows)))
						bytes.Add(int64(len(batch.Data)))
						return nil
					}))
				if err != nil {
					b.Fatal(err)
				}
			}
			if read.Load() != int64(rows*b.N) {
				b.Fatalf("read %d rows", read.Load())
			}
			b.SetBytes(bytes.Load() / int64(b.N))
			b.ReportMetric(float64(read.Load())/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
