package lifecycle

import (
	"context"
	"fmt"
	"testing"

	"github.com/penstock/penstock/internal/change"
)

// BenchmarkUpdate is what a finished chunk costs: a pipe of so many tables of
// 20 columns, on a real file, synced.
func BenchmarkUpdate(b *testing.B) {
	for _, tables := range []int{10, 1000} {
		b.Run(fmt.Sprintf("tables=%d", tables), func(b *testing.B) {
			b.ReportAllocs()
			store, err := FileStore(b.TempDir(), "shop")
			if err != nil {
				b.Fatal(err)
			}
			p := mustOpen(b, Options{Store: store})
			definition := wideTable().Describe()
			update := func(fn func(*State)) {
				if err := p.Update(context.Background(), func(s *State) error { fn(s); return nil }); err != nil {
					b.Fatal(err)
				}
			}
			update(func(s *State) {
				for i := range tables {
					s.Tables[fmt.Sprintf("public.t%d", i)] = &TableState{
						Phase: TableSnapshot, Definition: definition,
						Load: Load{Parts: []LoadPart{{Relation: "t", Blocks: 1 << 20, ChunkBlocks: 1 << 10}}},
					}
				}
			})
			n := uint32(0)
			for b.Loop() {
				n++
				update(func(s *State) { s.Tables["public.t0"].Load.Parts[0].Done.Add(n % 1024) })
			}
		})
	}
}

func wideTable() *change.Table {
	t := &change.Table{Schema: "public", Name: "t", Key: []int{0}, Identity: change.IdentityDefault}
	for i := range 20 {
		t.Columns = append(t.Columns, change.Column{
			Name: fmt.Sprintf("column_%d", i), TypeMod: -1, InKey: i == 0,
			Type: &change.Type{OID: 20, Name: "int8", Schema: "pg_catalog", Kind: change.TypeBase},
		})
	}
	return t
}

// BenchmarkProgress is what counting a batch costs.
func BenchmarkProgress(b *testing.B) {
	b.ReportAllocs()
	p := mustOpen(b, Options{})
	for b.Loop() {
		t := p.Table("public.users")
		t.Changes(change.Insert, 1000)
		p.Received(1 << 20)
		p.InFlight(1 << 20)
	}
}

// BenchmarkStatus is what one look of the API, the page or a scrape costs.
func BenchmarkStatus(b *testing.B) {
	b.ReportAllocs()
	p := mustOpen(b, Options{})
	mustBe(b, p, Running)
	for b.Loop() {
		_ = p.Status()
		_ = served{p}.Tables()
	}
}
