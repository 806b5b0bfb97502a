package stream

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/penstock/penstock/input/pgoutput"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/devstack/devtest"
)

// BenchmarkAssembler takes messages as the server sends them to rows of a
// batch: a table of 8 columns, about 130 bytes a row. Allocations are those of
// a batch of 10000 rows, so none for each row.
func BenchmarkAssembler(b *testing.B) {
	names := []string{"id", "a", "b", "c", "d", "e", "f", "g"}
	tb := table("*id", "a", "b", "c", "d", "e", "f", "g")
	values := func(id int) []string {
		v := []string{strconv.Itoa(1000000 + id)}
		for range names[1:] {
			v = append(v, strings.Repeat("v", 11))
		}
		return v
	}
	key := []string{"1000001", null, null, null, null, null, null, null}
	insert := bytesOf(byte('I'), uint32(1), byte('N'), []byte(tuple(values(1)...)))
	update := bytesOf(byte('U'), uint32(1), byte('N'), []byte(tuple(values(1)...)))
	rekey := bytesOf(byte('U'), uint32(1), byte('K'), []byte(tuple(key...)), byte('N'), []byte(tuple(values(2)...)))
	full := bytesOf(byte('U'), uint32(1), byte('O'), []byte(tuple(values(1)...)), byte('N'), []byte(tuple(values(1)...)))
	remove := bytesOf(byte('D'), uint32(1), byte('K'), []byte(tuple(key...)))
	other := []string{"g", "f", "e", "d", "c", "b", "a", "id"}
	for _, tt := range []struct {
		name    string
		sent    []string
		message []byte
	}{
		{"insert", names, insert},
		{"update", names, update},
		{"update of the key", names, rekey},
		{"update of a full row", names, full},
		{"delete", names, remove},
		{"insert with columns in another order", other, insert},
	} {
		b.Run(tt.name, func(b *testing.B) {
			r, err := newRelation(tb, announce(tt.sent...))
			if err != nil {
				b.Fatal(err)
			}
			var a assembler
			var m pgoutput.Message
			a.begin(change.Transaction{XID: 1})
			b.SetBytes(int64(len(tt.message)))
			b.ReportAllocs()
			for i := range b.N {
				if err := pgoutput.Parse(tt.message, false, &m); err != nil {
					b.Fatal(err)
				}
				switch m.Kind {
				case pgoutput.KindInsert:
					err = a.insert(r, uint64(i), &m.Insert)
				case pgoutput.KindUpdate:
					err = a.update(r, uint64(i), &m.Update)
				default:
					err = a.delete(r, uint64(i), &m.Delete)
				}
				if err != nil {
					b.Fatal(err)
				}
				if a.rows >= 10000 {
					a.take()
				}
			}
		})
	}
}

// BenchmarkFollow drains a backlog of 1000-row transactions, 8 columns and
// about 130 bytes a row, over TCP: what the server decodes and sends is
// included, and is most of it.
func BenchmarkFollow(b *testing.B) {
	const rows = 500000
	p := newPipe(b, "", "CREATE TABLE wide (id bigint PRIMARY KEY, customer int, status text, price numeric(12,2), note text, created timestamptz, updated timestamptz, payload text)",
		`CREATE PROCEDURE public.load() LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..500 LOOP
		   INSERT INTO public.wide SELECT n, n % 100000, 'shipped', n * 0.01, 'note ' || n, now(), now(), repeat('p', 40) FROM generate_series(i * 1000, i * 1000 + 999) n; COMMIT; END LOOP; END $$`)
	p.exec("CALL public.load()")
	b.ReportAllocs()
	for b.Loop() {
		f := p.follow(Options{Binary: true, SyncInterval: time.Second, DrainTimeout: time.Nanosecond})
		for n := 0; n < rows; {
			d := f.next() // not acked: the next round reads it again
			for _, batch := range d.Batches {
				n += len(batch.Rows)
			}
		}
		_ = f.stop()
		devtest.Eventually(b, patience, "the slot is free", func() (bool, error) {
			return query[bool](p, "SELECT NOT active FROM pg_replication_slots WHERE slot_name = $1", p.name), nil
		})
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}
