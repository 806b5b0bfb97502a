package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/internal/change"
)

// copyChunk reads a chunk and hands over its rows in batches.
func copyChunk(ctx context.Context, conn *pgx.Conn, chunk Chunk, taken change.Transaction, limits Limits, deliver func(*change.Batch) error) error {
	sql, textColumns := chunk.copyStatement()
	reader := &copyReader{
		table: chunk.Table.Table, textColumns: textColumns, transaction: taken,
		limits: limits, deliver: deliver,
		capacity: min(limits.Bytes, chunk.blocks()*pageBytes) + pageBytes,
	}
	if _, err := conn.PgConn().CopyTo(ctx, reader, sql); err != nil {
		return fmt.Errorf("copying %s: %w", chunk, catalog.Explain(err))
	}
	if err := reader.finish(); err != nil {
		return fmt.Errorf("copying %s: %w", chunk, err)
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
	capacity    int
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
			Rows:         make([]change.Row, 0, r.capacity/64),
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
	return r.deliver(b)
}

func (r *copyReader) finish() error {
	if !r.ended {
		return fmt.Errorf("COPY ended without its trailer")
	}
	return r.flush()
}
