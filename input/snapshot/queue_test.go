package snapshot

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/internal/change"
)

// TestQueueGivesEachChunkOnceAndIsFair: at most so many tables are read at the
// same time, more only where the others have nothing left to give, and those
// that are read have about as many readers each.
func TestQueueGivesEachChunkOnceAndIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type progress struct{ left, reading int }
		tables := map[uint32]*progress{}
		var chunks []Chunk
		for oid := range uint32(rapid.IntRange(0, 6).Draw(t, "tables")) {
			n := rapid.IntRange(1, 8).Draw(t, "chunks")
			tables[oid] = &progress{left: n}
			table := &catalog.Table{Table: &change.Table{OID: oid}}
			for i := range n {
				chunks = append(chunks, Chunk{Table: table, Number: uint32(i)})
			}
		}
		most := rapid.IntRange(0, 4).Draw(t, "tables at a time")
		total := map[uint32]int{}
		for oid, p := range tables {
			total[oid] = p.left
		}
		begun := func(oid uint32) bool { return tables[oid].left < total[oid] }
		over := func(oid uint32) bool { return tables[oid].left == 0 && tables[oid].reading == 0 }

		q := newQueue(chunks, most)
		given := map[Chunk]bool{}
		var reading []Chunk
		for len(given) < len(chunks) || len(reading) > 0 {
			if len(reading) > 0 && (len(given) == len(chunks) || rapid.Bool().Draw(t, "finish one")) {
				i := rapid.IntRange(0, len(reading)-1).Draw(t, "finished")
				chunk := reading[i]
				reading = append(reading[:i:i], reading[i+1:]...)
				tables[chunk.Table.OID].reading--
				q.done(chunk)
				continue
			}
			chunk, ok := q.next()
			if !ok {
				t.Fatalf("nothing more after %d of %d chunks", len(given), len(chunks))
			}
			if given[chunk] {
				t.Fatalf("%d of table %d was given twice", chunk.Number, chunk.Table.OID)
			}
			given[chunk] = true
			oid := chunk.Table.OID
			open, withWork := 0, 0
			for other, p := range tables {
				if !begun(other) || over(other) {
					continue
				}
				open++
				if p.left > 0 {
					withWork++
					if begun(oid) && p.reading+1 < tables[oid].reading {
						t.Fatalf("table %d with %d readers gets another, and table %d has %d", oid, tables[oid].reading, other, p.reading)
					}
				}
			}
			if !begun(oid) && open >= max(1, most) && withWork > 0 {
				t.Fatalf("table %d is begun beside %d others, of which %d have work", oid, open, withWork)
			}
			tables[oid].left--
			tables[oid].reading++
			reading = append(reading, chunk)
		}
		if _, ok := q.next(); ok {
			t.Fatal("a chunk is left")
		}
		if len(q.tables) != 0 {
			t.Fatalf("%d tables are left", len(q.tables))
		}
	})
}
