package insert

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/penstock/penstock/internal/change"
)

// Token computes what insert_deduplication_token is to be for a block: the same for the same rows, also after a restart
// of the program, and different for other rows, because a server drops the whole block when it has seen its token.
//
// It is made of what came from the source, not of the encoded block, which holds the time of its making.
// The time of a transaction is part of it, and for rows of a snapshot that is the time of the snapshot: a table that is
// emptied and loaded again with equal rows is not mistaken for a repetition.
type Token struct {
	hash        *xxhash.Digest
	version     uint64
	rows        int
	first, last uint64
}

// Reset begins the token of the next block for the destination table.
func (t *Token) Reset(table string) {
	if t.hash == nil {
		t.hash = xxhash.New()
	}
	t.hash.Reset()
	_, _ = t.hash.WriteString(table)
	*t = Token{hash: t.hash}
}

// Add adds the rows of a batch, in the order in which they are appended to the block.
func (t *Token) Add(b *change.Batch) {
	if len(b.Rows) == 0 {
		return
	}
	var fixed [32]byte
	put := func(a, b, c, d uint64) {
		binary.LittleEndian.PutUint64(fixed[0:], a)
		binary.LittleEndian.PutUint64(fixed[8:], b)
		binary.LittleEndian.PutUint64(fixed[16:], c)
		binary.LittleEndian.PutUint64(fixed[24:], d)
		_, _ = t.hash.Write(fixed[:])
	}
	_, _ = t.hash.WriteString(b.Table.Schema)
	_, _ = t.hash.WriteString(b.Table.Name)
	put(b.Table.Version, uint64(len(b.Rows)), uint64(len(b.Data)), uint64(b.Format))
	for i := range b.Transactions {
		tx := &b.Transactions[i]
		put(uint64(tx.XID), tx.CommitLSN, uint64(tx.CommitTime.UnixMicro()), 0)
	}
	for i := range b.Rows {
		row := &b.Rows[i]
		put(row.LSN, uint64(row.Offset), uint64(row.Transaction), uint64(row.Operation))
	}
	_, _ = t.hash.Write(b.Data)

	if t.rows == 0 {
		t.first = b.Rows[0].LSN
	}
	t.last = b.Rows[len(b.Rows)-1].LSN
	t.rows += len(b.Rows)
	t.version = max(t.version, b.Table.Version)
}

// String returns the token: version of the definition, number of rows, first and last LSN, hash.
func (t *Token) String() string {
	return fmt.Sprintf("%X-%d-%X-%X-%016x", t.version, t.rows, t.first, t.last, t.hash.Sum64())
}
