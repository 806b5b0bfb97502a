package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/internal/change"
)

// ErrRewritten says that the rows of a relation are not where they were when
// its load was planned, or not visible in the snapshot any more: the table's
// load has to be planned again, with another snapshot. See [Stale].
var ErrRewritten = errors.New("the table was rewritten (VACUUM FULL, CLUSTER, TRUNCATE or ALTER TABLE) while it was being loaded")

// copyChunk reads a chunk and hands over its rows in batches. It leaves conn at
// its savepoint, without a lock on the relation: DDL of the application would
// wait for it, and everybody else for the DDL.
func copyChunk(ctx context.Context, conn *pgx.Conn, chunk Chunk, taken change.Transaction, limits Limits, deliver func(*change.Batch) error) error {
	sql, textColumns := chunk.copyStatement()
	reader := &copyReader{
		table: chunk.Table.Table, textColumns: textColumns, transaction: taken,
		limits: limits, deliver: deliver,
		capacity: min(limits.Bytes, chunk.blocks()*pageBytes) + pageBytes,
	}
	reader.rows = min(limits.Rows, reader.capacity/64)
	_, err := conn.PgConn().CopyTo(ctx, reader, sql)
	gone := chunk.Table.Partitioned && catalog.SQLSTATE(err) == undefinedTable
	switch {
	case gone:
		// The partition was dropped, and its rows with it.
	case err != nil:
		return fmt.Errorf("copying %s: %w", chunk, catalog.Explain(err))
	default:
		if err := reader.finish(); err != nil {
			return fmt.Errorf("copying %s: %w", chunk, err)
		}
	}
	if err := leave(ctx, conn, chunk, gone); err != nil {
		return fmt.Errorf("copying %s: %w", chunk, err)
	}
	return nil
}

// undefinedTable is the SQLSTATE of a relation that does not exist.
const undefinedTable = "42P01"

// leave ends the work on a chunk. While the lock of its COPY is still held it
// makes sure that the relation's file is the one that was planned, and the one
// of the snapshot: a rewrite by ALTER TABLE looks empty to older snapshots
// (PostgreSQL docs 13.6). pg_class shows the snapshot's file, and
// pg_relation_filenode the present one.
func leave(ctx context.Context, conn *pgx.Conn, chunk Chunk, gone bool) error {
	const rollback = "ROLLBACK TO SAVEPOINT chunk" // also lets go of the lock, PostgreSQL docs 13.3
	if gone {
		_, err := conn.Exec(ctx, rollback)
		return err
	}
	results, err := conn.PgConn().Exec(ctx, fmt.Sprintf(`
		SELECT coalesce(now <> planned OR now <> seen, true)
		  FROM (SELECT pg_relation_filenode(relation) AS now, coalesce(nullif(%d::oid, 0), pg_relation_filenode(relation)) AS planned,
		               coalesce((SELECT relfilenode FROM pg_class WHERE oid = relation), pg_relation_filenode(relation)) AS seen
		          FROM to_regclass(%s) relation) files; %s`, chunk.Filenode, literal(chunk.Relation), rollback)).ReadAll()
	if err != nil {
		return catalog.Explain(err)
	}
	if rows := results[0].Rows; len(rows) != 1 || string(rows[0][0]) != "f" {
		return ErrRewritten
	}
	return nil
}

// pageBytes is what a page of rows may grow to as COPY's binary format, near
// enough to size a buffer.
const pageBytes = 8 << 10

// Limits of one batch: it is handed over when it reaches either.
type Limits struct {
	Rows  int
	Bytes int
}

// copyReader takes the messages of COPY … TO STDOUT (FORMAT binary) and
// gathers rows into batches. PostgreSQL sends one message for each row
// (PostgreSQL docs 53.2.6, "always one per row"); the header comes with or
// before the first, the trailer as the last.
type copyReader struct {
	table       *change.Table
	textColumns []bool
	transaction change.Transaction
	limits      Limits
	capacity    int // bytes and rows to expect in a batch
	rows        int
	deliver     func(*change.Batch) error

	batch      *change.Batch
	headerRead bool
	ended      bool
}

// signature begins a binary COPY (PostgreSQL docs, COPY, "File Header").
var signature = []byte("PGCOPY\n\xff\r\n\x00")

func (r *copyReader) Write(message []byte) (int, error) {
	row := message
	if !r.headerRead {
		rest, err := skipHeader(row)
		if err != nil {
			return 0, err
		}
		r.headerRead = true
		row = rest
	}
	if len(row) == 0 {
		return len(message), nil
	}
	if r.ended {
		return 0, fmt.Errorf("%d bytes behind the trailer of COPY", len(row))
	}
	if len(row) == 2 && row[0] == 0xff && row[1] == 0xff {
		r.ended = true
		return len(message), nil
	}
	return len(message), r.add(row)
}

func skipHeader(b []byte) (rest []byte, err error) {
	const fixed = 11 + 4 + 4 // signature, flags, length of the extension
	if len(b) < fixed || !bytes.HasPrefix(b, signature) {
		return nil, fmt.Errorf("COPY did not begin with the signature of its binary format")
	}
	extension := binary.BigEndian.Uint32(b[fixed-4:])
	if uint64(extension) > uint64(len(b)-fixed) {
		return nil, fmt.Errorf("the header extension of COPY is cut short")
	}
	return b[fixed+extension:], nil
}

func (r *copyReader) add(row []byte) error {
	if r.batch == nil {
		r.batch = &change.Batch{
			Table: r.table, Format: change.TupleCopy, TextColumns: r.textColumns,
			Transactions: []change.Transaction{r.transaction},
			Data:         make([]byte, 0, max(r.capacity, len(row))),
			Rows:         make([]change.Row, 0, r.rows),
		}
	}
	b := r.batch
	b.Rows = append(b.Rows, change.Row{Offset: uint32(len(b.Data)), Operation: change.Read})
	b.Data = append(b.Data, row...)
	if len(b.Rows) >= r.limits.Rows || len(b.Data) >= r.limits.Bytes {
		return r.flush()
	}
	return nil
}

func (r *copyReader) flush() error {
	if r.batch == nil {
		return nil
	}
	b := r.batch
	r.batch = nil
	// The next batch will be much like this one.
	r.capacity = min(r.limits.Bytes, len(b.Data)+len(b.Data)/8) + pageBytes
	r.rows = min(r.limits.Rows, len(b.Rows)+len(b.Rows)/8)
	return r.deliver(b)
}

func (r *copyReader) finish() error {
	if !r.ended {
		return fmt.Errorf("COPY ended without its trailer")
	}
	return r.flush()
}
