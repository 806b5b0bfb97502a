package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/penstock/penstock/internal/verify"
	"github.com/penstock/penstock/lifecycle"
	"github.com/penstock/penstock/lifecycle/api"
)

var tables = []string{"plain", "pair", "whole", "tree", "by_index"}

// schema has every kind of key: one column, several in an order of their own,
// the whole row, a partitioned table, and a unique index as replica identity.
const schema = `
CREATE TABLE plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, amount numeric(12,2), tags text[], doc jsonb, big text, at timestamptz DEFAULT now());
ALTER TABLE plain ALTER big SET STORAGE EXTERNAL;
CREATE TABLE pair (note text, b text, a int, PRIMARY KEY (a, b));
CREATE TABLE whole (a int, b text);
ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE tree (id int, region text, v int, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE tree_eu PARTITION OF tree FOR VALUES IN ('eu');
CREATE TABLE tree_us (v int, region text NOT NULL, id int NOT NULL);
ALTER TABLE tree ATTACH PARTITION tree_us FOR VALUES IN ('us');
CREATE TABLE by_index (code text NOT NULL, v double precision);
CREATE UNIQUE INDEX by_index_code ON by_index (code);
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_code;
INSERT INTO plain (name, amount, tags, doc, big) SELECT 'n' || g, g / 3.0, ARRAY['t' || g % 5, NULL], jsonb_build_object('g', g), repeat(md5(g::text), 200) FROM generate_series(1, 3000) g;
INSERT INTO pair SELECT 'note ' || g, 'b' || g % 10, g FROM generate_series(1, 3000) g;
INSERT INTO whole SELECT g, 'w' || g FROM generate_series(1, 500) g;
INSERT INTO tree SELECT g, CASE WHEN g % 2 = 0 THEN 'eu' ELSE 'us' END, g * 10 FROM generate_series(1, 1000) g;
INSERT INTO by_index SELECT 'c' || g, g / 7.0 FROM generate_series(1, 1000) g;
`

// changes is every kind of change, in transactions of one and of many. n makes
// the rows of each call its own.
func changes(t testing.TB, e *ends, n int) {
	t.Helper()
	f := func(format string) string { return strings.ReplaceAll(format, "{n}", fmt.Sprint(n)) }
	e.source(t,
		f(`INSERT INTO plain (name, big) VALUES ('single {n}', repeat('x', 5000))`),
		f(`UPDATE plain SET name = 'updated {n}' WHERE id = {n}`), // big is unchanged, and out of line
		f(`DELETE FROM plain WHERE id = 100 + {n}`),
		f(`UPDATE pair SET a = a + 1000000 * ({n} + 1), note = NULL WHERE a = 20 + {n}`), // a changed key
		f(`UPDATE whole SET b = b || ' {n}' WHERE a % 7 = {n} % 7`),
		f(`DELETE FROM whole WHERE a = 50 + {n}`),
		f(`UPDATE tree SET region = CASE region WHEN 'eu' THEN 'us' ELSE 'eu' END WHERE id = 10 + {n}`), // moves between partitions
		f(`UPDATE by_index SET v = NULL WHERE code = 'c{n}'`),
		f(`UPDATE by_index SET code = 'moved {n}' WHERE code = 'c' || 500 + {n}`),
	)
	e.transaction(t,
		f(`INSERT INTO plain (name, amount, tags, doc) SELECT 'many {n}', g, '{}', 'null' FROM generate_series(1, 500) g`),
		f(`UPDATE plain SET amount = amount + 1 WHERE id BETWEEN 200 AND 400`),
		f(`UPDATE plain SET amount = amount * 2 WHERE id BETWEEN 300 AND 500`), // the same rows twice in a transaction
		f(`DELETE FROM pair WHERE a BETWEEN 100 + {n} * 10 AND 105 + {n} * 10`),
		f(`INSERT INTO pair SELECT 'again {n}', 'b' || g % 10, g FROM generate_series(100 + {n} * 10, 105 + {n} * 10) g ON CONFLICT DO NOTHING`), // deleted and inserted
		f(`INSERT INTO tree VALUES (100000 + {n}, 'eu', 1), (200000 + {n}, 'us', 2)`),
		f(`DELETE FROM tree WHERE id = 100000 + {n}`), // inserted and deleted
		`SAVEPOINT s`,
		f(`INSERT INTO plain (name) VALUES ('never {n}')`),
		f(`UPDATE pair SET note = 'never {n}'`),
		`ROLLBACK TO SAVEPOINT s`,
		f(`INSERT INTO plain (name) VALUES ('after savepoint {n}')`),
	)
	e.source(t, `BEGIN`, f(`UPDATE plain SET name = 'rolled back {n}'`), `ROLLBACK`)
}

func TestSnapshotThenChangesThenRestart(t *testing.T) {
	t.Parallel()
	formats(t, func(t *testing.T, format string) {
		e := newEnds(t)
		e.source(t, schema)
		o := pipeOptions{format: format, state: t.TempDir()}
		p := e.start(t, o)
		changes(t, e, 1) // while the snapshot is being taken
		p.running()
		changes(t, e, 2)
		e.equal(t, verify.Options{}, tables...)

		p.stop()
		changes(t, e, 3) // while nobody looks
		p = e.start(t, o)
		changes(t, e, 4)
		p.running()
		e.equal(t, verify.Options{}, tables...)

		e.source(t, `TRUNCATE pair`, `INSERT INTO pair VALUES ('after truncate', 'x', 1)`)
		e.equal(t, verify.Options{}, tables...)
	})
}

func TestStopInTheMiddleOfTheSnapshot(t *testing.T) {
	t.Parallel()
	formats(t, func(t *testing.T, format string) {
		e := newEnds(t)
		e.source(t, `CREATE TABLE large (id int PRIMARY KEY, v text)`,
			`INSERT INTO large SELECT g, md5(g::text) FROM generate_series(1, 200000) g`)
		o := pipeOptions{
			format: format, state: t.TempDir(),
			input: []string{"snapshot: {parallelism: 1, chunk_rows: 2000}", "checkpoint_limit: 1"},
		}
		p := e.start(t, o)
		p.until("some of the table is copied", func(d api.PipeDetail) bool {
			return d.Phase == string(lifecycle.Running) || len(d.Tables) > 0 && d.Tables[0].ChunksDone > 0
		})
		p.stop()
		e.source(t, `UPDATE large SET v = 'updated' WHERE id % 1000 = 0`, `DELETE FROM large WHERE id % 1000 = 1`)
		p = e.start(t, o)
		p.running()
		e.equal(t, verify.Options{}, "large")
	})
}

func TestModes(t *testing.T) {
	t.Parallel()
	t.Run("snapshot", func(t *testing.T) {
		t.Parallel()
		e := newEnds(t)
		e.source(t, schema)
		p := e.start(t, pipeOptions{format: "blocks", input: []string{"mode: snapshot"}})
		p.ended()
		for _, table := range tables {
			if r, err := e.compare(t.Context(), table, verify.Options{}); err != nil || !r.Equal() {
				t.Error(r, err)
			}
		}
		var slots int
		if err := e.postgres.QueryRow(t.Context(), "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()").Scan(&slots); err != nil || slots != 0 {
			t.Errorf("%d slots are left: %v", slots, err)
		}
	})
	t.Run("cdc_only", func(t *testing.T) {
		t.Parallel()
		e := newEnds(t)
		e.source(t, `CREATE TABLE t (id int PRIMARY KEY, v text)`, `INSERT INTO t VALUES (1, 'before')`)
		p := e.start(t, pipeOptions{format: "blocks", input: []string{"mode: cdc_only"}})
		p.running()
		e.source(t, `INSERT INTO t VALUES (2, 'after')`, `DELETE FROM t WHERE id = 1`)
		e.equal(t, verify.Options{}, "t")
	})
}

// A large transaction spans batches; it must not be confirmed before its end.
func TestTransactionLargerThanABatch(t *testing.T) {
	t.Parallel()
	formats(t, func(t *testing.T, format string) {
		e := newEnds(t)
		e.source(t, `CREATE TABLE t (id int PRIMARY KEY, v text)`)
		o := pipeOptions{format: format, state: t.TempDir(), input: []string{"sync_max_rows: 1000"}}
		p := e.start(t, o)
		p.running()
		e.source(t, `INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 50000) g`)
		p.until("some of it is on its way", func(d api.PipeDetail) bool { return len(d.Tables) > 0 && d.Tables[0].Changes["insert"] > 0 })
		p.stop() // perhaps in its middle
		e.start(t, o)
		e.equal(t, verify.Options{}, "t")
	})
}
