package snapshot

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/pgvalue"
	"github.com/penstock/penstock/lifecycle"
)

const (
	// rowsPerBlock is the guess for a relation without statistics: what fits an
	// 8 kB page of rows of about 80 bytes.
	rowsPerBlock = 100
	// minChunkBlocks keeps chunks of wide rows worth a query: half a megabyte.
	minChunkBlocks = 64
	// maxChunkBlocks keeps chunks of a relation that is nearly empty, or whose
	// statistics are from when it was, small enough to repeat: a gigabyte.
	maxChunkBlocks = 1 << 17
)

// Plan returns the relations that hold the table's rows (its leaves where it is
// partitioned), cut into chunks of about chunkRows rows by the size that each
// has now.
func Plan(ctx context.Context, conn *pgx.Conn, server *catalog.Server, t *catalog.Table, chunkRows int) ([]lifecycle.LoadPart, error) {
	rows, err := conn.Query(ctx, `
		SELECT n.nspname, c.relname, pg_relation_size(c.oid), coalesce(pg_relation_filenode(c.oid), 0), c.relpages, c.reltuples::float8
		  FROM (SELECT relid FROM pg_partition_tree($1::oid::regclass) WHERE isleaf UNION SELECT $1::oid) leaf (oid)
		  JOIN pg_class c ON c.oid = leaf.oid AND c.relkind = 'r'
		  JOIN pg_namespace n ON n.oid = c.relnamespace
		 ORDER BY 1, 2`, t.OID)
	if err != nil {
		return nil, fmt.Errorf("planning the load of %s: %w", t, catalog.Explain(err))
	}
	parts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (part lifecycle.LoadPart, err error) {
		var schema, name string
		var size int64
		var pages int32
		var tuples float64
		if err := row.Scan(&schema, &name, &size, &part.Filenode, &pages, &tuples); err != nil {
			return part, err
		}
		perBlock := float64(rowsPerBlock)
		if pages > 0 && tuples > 0 {
			perBlock = tuples / float64(pages)
		}
		part.Relation = pgx.Identifier{schema, name}.Sanitize()
		part.Blocks = uint32(size / server.BlockSize)
		part.ChunkBlocks = uint32(min(max(minChunkBlocks, float64(chunkRows)/perBlock), maxChunkBlocks))
		return part, nil
	})
	if err != nil {
		return nil, fmt.Errorf("planning the load of %s: %w", t, catalog.Explain(err))
	}
	return parts, nil
}

// Stale says that a relation was written anew (VACUUM FULL, CLUSTER, TRUNCATE,
// some ALTER TABLE) since its load was planned. Its rows are then on other
// pages, also those of chunks that are done, so the load has to begin again.
func Stale(ctx context.Context, conn *pgx.Conn, parts []lifecycle.LoadPart) (bool, error) {
	for _, part := range parts {
		var stale bool
		err := conn.QueryRow(ctx, `SELECT coalesce(pg_relation_filenode(to_regclass($1)) <> $2::oid AND $2::oid <> 0, false)`, part.Relation, part.Filenode).Scan(&stale)
		if err != nil {
			return false, fmt.Errorf("looking at %s: %w", part.Relation, catalog.Explain(err))
		}
		if stale {
			return true, nil
		}
	}
	return false, nil
}

// Chunk is a range of pages of one relation.
type Chunk struct {
	Table *catalog.Table
	// Part and Number tell the chunk from the others of its table: the index of
	// its LoadPart, and its number there.
	Part   int
	Number uint32
	// Relation is the quoted name of the table or leaf.
	Relation string
	// Filenode of the relation when it was planned, 0 where that is not known.
	Filenode uint32
	// First and Last are pages; Last is not in the chunk, 0 means no end.
	First, Last uint32
}

func (c Chunk) String() string {
	return fmt.Sprintf("%s chunk %d of %s", c.Table, c.Number, c.Relation)
}

// Unfinished returns the chunks of a table's parts that are not done.
func Unfinished(t *catalog.Table, parts []lifecycle.LoadPart) []Chunk {
	var chunks []Chunk
	for p, part := range parts {
		total := uint32(part.Chunks())
		for n := range total {
			if part.Done.Has(n) {
				continue
			}
			chunk := Chunk{
				Table: t, Part: p, Number: n, Relation: part.Relation, Filenode: part.Filenode,
				First: n * part.ChunkBlocks, Last: (n + 1) * part.ChunkBlocks,
			}
			if n == total-1 {
				// Pages that came after the plan belong to the last chunk.
				chunk.Last = 0
			}
			chunks = append(chunks, chunk)
		}
	}
	return chunks
}

// blocks returns the number of pages to expect, for the size of buffers.
func (c Chunk) blocks() int {
	if c.Last == 0 {
		return minChunkBlocks
	}
	return int(c.Last - c.First)
}

// copyStatement returns the COPY that reads the chunk, and which of its columns
// come as text. PostgreSQL docs, COPY; a ctid condition makes a TID Range Scan.
func (c Chunk) copyStatement() (sql string, textColumns []bool) {
	columns := make([]string, len(c.Table.Columns))
	for i, column := range c.Table.Columns {
		var text bool
		if columns[i], text = selectColumn(column); text {
			if textColumns == nil {
				textColumns = make([]bool, len(columns))
			}
			textColumns[i] = true
		}
	}
	condition := fmt.Sprintf("ctid >= '(%d,0)'::tid", c.First)
	if c.Last != 0 {
		condition += fmt.Sprintf(" AND ctid < '(%d,0)'::tid", c.Last)
	}
	if c.Table.RowFilter != "" {
		condition += " AND (" + c.Table.RowFilter + ")"
	}
	return fmt.Sprintf("COPY (SELECT %s FROM ONLY %s WHERE %s) TO STDOUT (FORMAT binary)",
		strings.Join(columns, ", "), c.Relation, condition), textColumns
}

// selectColumn returns how a column is selected: as it is where its binary
// format is one that we read, else as the text that the type's output function
// prints. A cast to text would not do: some types have one that prints
// otherwise (inet adds the netmask).
func selectColumn(c change.Column) (expression string, text bool) {
	name := pgx.Identifier{c.Name}.Sanitize()
	if pgvalue.Binary(c.Type) {
		return name, false
	}
	// IS DISTINCT FROM NULL, for a row of NULLs is not NULL but IS NULL.
	return fmt.Sprintf("CASE WHEN %s IS DISTINCT FROM NULL THEN pg_catalog.format('%%s', %s) END", name, name), true
}

// literal writes a string constant.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
