package e2e

import (
	"testing"

	"github.com/penstock/penstock/internal/verify"
)

// Guards rule 17: the destination follows the source's columns, and values are
// matched by name.
func TestColumnsComeGrowAndGo(t *testing.T) {
	t.Parallel()
	formats(t, func(t *testing.T, format string) {
		e := newEnds(t)
		e.source(t, "CREATE TABLE t (id int PRIMARY KEY, v int, gone text)", "INSERT INTO t VALUES (1, 1, 'x')")
		p := e.start(t, pipeOptions{format: format})
		p.running()
		e.source(t, "INSERT INTO t VALUES (2, 2, 'before')", "ALTER TABLE t ADD COLUMN w text", "INSERT INTO t VALUES (3, 3, 'y', 'new')", "UPDATE t SET w = 'set' WHERE id = 1")
		e.equal(t, verify.Options{}, "t")
		e.source(t, "ALTER TABLE t ALTER v TYPE bigint", "INSERT INTO t VALUES (4, 3000000000, 'y', 'new')")
		e.equal(t, verify.Options{}, "t")
		e.transaction(t, "INSERT INTO t VALUES (5, 5, 'last', 'w')", "ALTER TABLE t DROP COLUMN gone", "INSERT INTO t VALUES (6, 6, 'new')")
		e.equal(t, verify.Options{}, "t")
	})
}

// pgoutput does not send stored generated columns before PostgreSQL 18.
func TestGeneratedColumns(t *testing.T) {
	t.Parallel()
	formats(t, func(t *testing.T, format string) {
		e := newEnds(t)
		e.source(t, "CREATE TABLE g (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED, c text)", "INSERT INTO g VALUES (1, 1)")
		p := e.start(t, pipeOptions{format: format})
		p.running()
		e.source(t, "INSERT INTO g VALUES (2, 2)", "UPDATE g SET a = 7", "UPDATE g SET c = 'x'", "UPDATE g SET id = 3 WHERE id = 2", "DELETE FROM g WHERE id = 1")
		e.equal(t, verify.Options{}, "g")
	})
}
