package snapshot

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/devstack/devtest"
	"github.com/penstock/penstock/lifecycle"
)

// patience is how long tests wait for what must happen.
const patience = time.Minute

// database is one with tables.
type database struct {
	t      testing.TB
	source *catalog.Source
	db     *pgx.Conn
	server *catalog.Server
}

func newDatabase(t testing.TB, statements ...string) *database {
	t.Helper()
	before := goleak.IgnoreCurrent()
	dsn := devtest.Postgres(t)
	t.Cleanup(func() { goleak.VerifyNone(t, devtest.IgnoreServers(), before) })
	source, err := catalog.NewSource(dsn, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &database{t: t, source: source}
	if d.db, err = source.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.db.Close(context.Background()) })
	if d.server, err = catalog.ReadServer(t.Context(), d.db); err != nil {
		t.Fatal(err)
	}
	d.exec("SET search_path = public")
	d.exec(statements...)
	return d
}

func (d *database) exec(statements ...string) {
	d.t.Helper()
	for _, s := range statements {
		if _, err := d.db.Exec(d.t.Context(), s); err != nil {
			d.t.Fatalf("%s: %v", s, err)
		}
	}
}

func (d *database) table(name string) *catalog.Table {
	d.t.Helper()
	tables, err := catalog.Tables(d.t.Context(), d.db, d.server, &catalog.Selection{Include: []string{"public." + name}}, nil, false)
	if err != nil {
		d.t.Fatal(err)
	}
	return tables[0]
}

func (d *database) plan(t *catalog.Table, chunkRows int) []lifecycle.LoadPart {
	d.t.Helper()
	parts, err := Plan(d.t.Context(), d.db, d.server, t, chunkRows)
	if err != nil {
		d.t.Fatal(err)
	}
	return parts
}

func (d *database) export() *Anchor {
	d.t.Helper()
	anchor, err := Export(d.t.Context(), d.source)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(anchor.Close)
	return anchor
}

// pages plans chunks of so many pages, to have many.
func (d *database) pages(t *catalog.Table, pages uint32) []lifecycle.LoadPart {
	d.t.Helper()
	parts := d.plan(t, 1000)
	for i := range parts {
		parts[i].ChunkBlocks = pages
	}
	return parts
}

// ids collects the first column, an int4, of what a run gives, and what it
// says of chunks.
type ids struct {
	limits Limits
	copied func(Chunk) error
	batch  func(context.Context) error

	mu   sync.Mutex
	ids  []int
	done []Chunk
	bad  []string
}

func (s *ids) Batch(ctx context.Context, c Chunk, b *change.Batch) error {
	if s.batch != nil {
		if err := s.batch(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(b.Rows) == 0 || len(b.Rows) > s.limits.Rows || int(b.Rows[len(b.Rows)-1].Offset) >= s.limits.Bytes {
		s.bad = append(s.bad, fmt.Sprintf("a batch of %s has %d rows and %d bytes", c, len(b.Rows), len(b.Data)))
	}
	if len(b.Transactions) != 1 || b.Transactions[0].XID != 0 || b.Transactions[0].CommitTime.IsZero() {
		s.bad = append(s.bad, fmt.Sprintf("a batch of transactions %+v", b.Transactions))
	}
	cells := make([]change.Cell, len(b.Table.Columns))
	for i := range b.Rows {
		if err := b.Cells(i, 1, cells); err != nil {
			return err
		}
		s.ids = append(s.ids, int(int32(binary.BigEndian.Uint32(cells[0].Bytes(b.Data)))))
	}
	return nil
}

func (s *ids) Copied(_ context.Context, c Chunk) error {
	s.mu.Lock()
	s.done = append(s.done, c)
	s.mu.Unlock()
	if s.copied != nil {
		return s.copied(c)
	}
	return nil
}

func (d *database) run(anchor *Anchor, chunks []Chunk, parallelism int, sink *ids) error {
	if sink.limits == (Limits{}) {
		sink.limits = Limits{Rows: 1000, Bytes: 1 << 20}
	}
	return Run(d.t.Context(), d.source, anchor, chunks, Options{Parallelism: parallelism, MaxTables: 2, Limits: sink.limits}, sink)
}

// want checks that a run gave each of the numbers 1 to n once.
func (s *ids) want(t testing.TB, n int) {
	t.Helper()
	slices.Sort(s.ids)
	if len(s.ids) != n || (n > 0 && (s.ids[0] != 1 || s.ids[n-1] != n || len(slices.Compact(slices.Clone(s.ids))) != n)) {
		t.Errorf("got %d rows from %v to %v, want each of 1 to %d once", len(s.ids), first(s.ids), first(s.ids[max(0, len(s.ids)-1):]), n)
	}
	for _, bad := range s.bad {
		t.Error(bad)
	}
}

func first(ids []int) any {
	if len(ids) == 0 {
		return "none"
	}
	return ids[0]
}

const numbers = "CREATE TABLE numbers (id int, note text)"

func insert(table string, from, to int) string {
	return fmt.Sprintf("INSERT INTO %s (id, note) SELECT n, repeat('x', 100) FROM generate_series(%d, %d) n", table, from, to)
}

// TestPlanCoversEveryPageOnce, whatever the statistics say.
func TestPlanCoversEveryPageOnce(t *testing.T) {
	d := newDatabase(t, numbers)
	for _, tt := range []struct {
		name       string
		statements []string
		chunkRows  int
		chunks     int // 0: any
	}{
		{"empty", nil, 1000, 1},
		{"small", []string{insert("numbers", 1, 10)}, 1000, 1},
		{"without statistics", []string{insert("numbers", 11, 50000)}, 1, 0},
		{"with statistics", []string{"ANALYZE numbers"}, 12000, 5},
		{"nearly empty and not vacuumed", []string{"DELETE FROM numbers WHERE id % 1000 <> 0"}, 1000, 0},
		{"nearly empty", []string{"VACUUM ANALYZE numbers"}, 1000, 1},
		// One row in a terabyte of dead pages: rows for each page are so few
		// that a chunk of rows would not fit 32 bits of pages.
		{"statistics of a bloated table", []string{"UPDATE pg_class SET reltuples = 1, relpages = 100000000 WHERE oid = 'numbers'::regclass"}, 250000, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := *d
			d.t = t
			d.exec(tt.statements...)
			parts := d.plan(d.table("numbers"), tt.chunkRows)
			if len(parts) != 1 || parts[0].Relation != `"public"."numbers"` || parts[0].Filenode == 0 {
				t.Fatalf("parts %+v", parts)
			}
			if b := parts[0].ChunkBlocks; b < minChunkBlocks || b > maxChunkBlocks {
				t.Errorf("chunks of %d pages", b)
			}
			chunks := Unfinished(d.table("numbers"), parts)
			if tt.chunks != 0 && len(chunks) != tt.chunks {
				t.Errorf("%d chunks, want %d", len(chunks), tt.chunks)
			}
			next := uint32(0)
			for i, c := range chunks {
				if c.First != next || (c.Last == 0) != (i == len(chunks)-1) || (c.Last != 0 && c.Last <= c.First) {
					t.Errorf("chunk %d is [%d, %d), want it to begin at %d", i, c.First, c.Last, next)
				}
				next = c.Last
			}
			if len(chunks) > 1 && chunks[len(chunks)-1].First >= parts[0].Blocks {
				t.Error("the last chunk begins behind the end")
			}
		})
	}
}

func TestUnfinishedLeavesOutWhatIsDone(t *testing.T) {
	table := &catalog.Table{Table: &change.Table{}}
	chunks := Unfinished(table, []lifecycle.LoadPart{
		{Relation: "a", Blocks: 300, ChunkBlocks: 100, Done: lifecycle.Chunks{0, 2}},
		{Relation: "b", Blocks: 10, ChunkBlocks: 100},
		{Relation: "c", Blocks: 0, ChunkBlocks: 100, Done: lifecycle.Chunks{0}},
	})
	if len(chunks) != 2 || chunks[0].Part != 0 || chunks[0].First != 100 || chunks[0].Last != 200 || chunks[1].Part != 1 || chunks[1].Last != 0 {
		t.Errorf("got %+v", chunks)
	}
}

func TestRunGivesEveryRowOnce(t *testing.T) {
	const rows = 20000
	for _, parallelism := range []int{0, 1, 8} {
		t.Run(fmt.Sprint(parallelism), func(t *testing.T) {
			d := newDatabase(t, numbers, insert("numbers", 1, rows/2))
			table := d.table("numbers")
			parts := d.pages(table, 7)
			// Behind the plan, but before the snapshot: the last chunk has them.
			d.exec(insert("numbers", rows/2+1, rows))
			anchor := d.export()
			d.exec(insert("numbers", rows+1, rows+100), "DELETE FROM numbers WHERE id < 100", "UPDATE numbers SET id = -id WHERE id BETWEEN 200 AND 300")
			chunks := Unfinished(table, parts)
			sink := &ids{limits: Limits{Rows: 150, Bytes: 10000}}
			if err := d.run(anchor, chunks, parallelism, sink); err != nil {
				t.Fatal(err)
			}
			sink.want(t, rows)
			if len(sink.done) != len(chunks) || len(chunks) < 10 {
				t.Errorf("%d of %d chunks are done", len(sink.done), len(chunks))
			}
		})
	}
}

// TestPartitionsAreReadAsOneTable guards rule 13: two levels, leaves with other
// column orders and dropped columns.
func TestPartitionsAreReadAsOneTable(t *testing.T) {
	d := newDatabase(t,
		"CREATE TABLE events (id int, part int, note text) PARTITION BY LIST (part)",
		"CREATE TABLE leaf1 (gone text, note text, part int, id int)", "ALTER TABLE leaf1 DROP COLUMN gone", "ALTER TABLE events ATTACH PARTITION leaf1 FOR VALUES IN (1)",
		"CREATE TABLE middle PARTITION OF events FOR VALUES IN (2, 3) PARTITION BY RANGE (id)",
		`CREATE TABLE "Leaf 2" PARTITION OF middle FOR VALUES FROM (0) TO (2500)`,
		"CREATE TABLE leaf3 PARTITION OF middle FOR VALUES FROM (2500) TO (9999)",
		"CREATE TABLE leaf4 PARTITION OF events DEFAULT",
		"INSERT INTO events SELECT n, n % 3 + 1, 'x' FROM generate_series(1, 5000) n",
		"ALTER TABLE events ADD COLUMN later text DEFAULT 'l'",
	)
	table := d.table("events")
	parts := d.pages(table, 3)
	var names []string
	for _, p := range parts {
		names = append(names, p.Relation)
	}
	if want := []string{`"public"."Leaf 2"`, `"public"."leaf1"`, `"public"."leaf3"`, `"public"."leaf4"`}; !slices.Equal(names, want) {
		t.Fatalf("parts %q, want %q", names, want)
	}
	sink := &ids{}
	if err := d.run(d.export(), Unfinished(table, parts), 4, sink); err != nil {
		t.Fatal(err)
	}
	sink.want(t, 5000)
}

// TestInheritanceParentIsReadAlone: its children are tables of their own.
func TestInheritanceParentIsReadAlone(t *testing.T) {
	d := newDatabase(t, numbers, "CREATE TABLE child () INHERITS (numbers)", insert("numbers", 1, 10), insert("child", 11, 20))
	table := d.table("numbers")
	sink := &ids{}
	if err := d.run(d.export(), Unfinished(table, d.plan(table, 1000)), 1, sink); err != nil {
		t.Fatal(err)
	}
	sink.want(t, 10)
}

func TestRowFilterOfThePublicationHolds(t *testing.T) {
	d := newDatabase(t, numbers, insert("numbers", 1, 100))
	table := d.table("numbers")
	table.RowFilter = "(id <= 10) OR (note = 'y')"
	sink := &ids{}
	if err := d.run(d.export(), Unfinished(table, d.pages(table, 1)), 2, sink); err != nil {
		t.Fatal(err)
	}
	sink.want(t, 10)
}
