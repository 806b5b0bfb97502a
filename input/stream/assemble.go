package stream

import (
	"fmt"

	"github.com/penstock/penstock/input/pgoutput"
	"github.com/penstock/penstock/internal/change"
)

// Assembled is a batch, and which of its rows still lack values.
type Assembled struct {
	*change.Batch
	// Unresolved are indexes of rows whose tuple holds change.Unchanged for what
	// the stream does not carry: unchanged TOAST values, generated columns, and
	// columns newer than the change. The key columns never do.
	Unresolved []int
}

// assembler gathers changes into one batch per table until they are taken.
type assembler struct {
	open        []*relation // with a batch, in the order begun
	rows, bytes int
	taken       uint64 // how many times all was taken
	transaction change.Transaction
	// transactionRows and transactionBytes came from the open transaction.
	transactionRows, transactionBytes int
}

func (a *assembler) begin(t change.Transaction) {
	a.transaction = t
	a.transactionRows, a.transactionBytes = 0, 0
}

// A batch begins with room for what the last one of its table held, if that was
// in the delivery before: so all of them together hold little more than that
// one did. Tables that were loaded once and then change a row now and then must
// not hold a large buffer each.
const (
	smallBytes = 16 << 10
	smallRows  = 128
)

// room returns what a new batch of r begins with.
func (a *assembler) room(r *relation) (bytes, rows int) {
	if r.taken != a.taken {
		return min(r.lastBytes, smallBytes), min(r.lastRows, smallRows)
	}
	return r.lastBytes + r.lastBytes/8, r.lastRows + r.lastRows/8
}

// take returns the batches gathered so far.
func (a *assembler) take() []*Assembled {
	a.taken++
	taken := make([]*Assembled, len(a.open))
	for i, r := range a.open {
		taken[i] = r.batch
		r.lastBytes, r.lastRows, r.taken = len(r.batch.Data), len(r.batch.Rows), a.taken
		r.batch = nil
	}
	a.open = a.open[:0]
	a.rows, a.bytes = 0, 0
	return taken
}

// replace hands the open batch of a relation over to the one that was announced
// in its place. What the batch holds is laid out as the table is, however the
// stream sends it.
func (a *assembler) replace(old, now *relation) {
	now.batch, now.lastBytes, now.lastRows, now.taken = old.batch, old.lastBytes, old.lastRows, old.taken
	old.batch = nil
	for i, r := range a.open {
		if r == old {
			a.open[i] = now
		}
	}
}

func (a *assembler) insert(r *relation, lsn uint64, m *pgoutput.Insert) error {
	if err := checkColumns(r, m.New); err != nil {
		return err
	}
	b := a.batch(r)
	offset := len(b.Data)
	unresolved := false
	if r.verbatim {
		b.Data = append(b.Data, m.New...) // an insert has no unchanged values
	} else {
		walk(m.New, r.newCells)
		b.Data, unresolved = r.appendTuple(b.Data, m.New, r.newCells, previous{}, change.Unchanged)
	}
	a.row(b, change.Row{LSN: lsn, Offset: uint32(offset), Operation: change.Insert}, unresolved)
	return nil
}

func (a *assembler) update(r *relation, lsn uint64, m *pgoutput.Update) error {
	if err := checkColumns(r, m.New); err != nil {
		return err
	}
	walk(m.New, r.newCells)
	old := previous{tuple: m.Old, full: m.OldKind == pgoutput.FullOld}
	if old.tuple != nil {
		if err := r.walkOld(m.Old, m.OldKind); err != nil {
			return err
		}
	} else if err := r.checkNewKey(); err != nil {
		return err
	}
	b := a.batch(r)
	// Both rows have the same version, so they must not have the same key: the
	// old key is also sent when it only might have changed.
	if old.tuple != nil && r.keyChanged(m.Old, m.New) {
		a.remove(b, r, lsn, m.Old, m.OldKind)
	}
	offset := len(b.Data)
	var unresolved bool
	b.Data, unresolved = r.appendTuple(b.Data, m.New, r.newCells, old, change.Unchanged)
	a.row(b, change.Row{LSN: lsn, Offset: uint32(offset), Operation: change.Update}, unresolved)
	return nil
}

func (a *assembler) delete(r *relation, lsn uint64, m *pgoutput.Delete) error {
	if err := r.walkOld(m.Old, m.OldKind); err != nil {
		return err
	}
	a.remove(a.batch(r), r, lsn, m.Old, m.OldKind)
	return nil
}

// remove adds a row for what an old tuple, walked into r.oldCells, says is gone.
func (a *assembler) remove(b *Assembled, r *relation, lsn uint64, old pgoutput.Tuple, kind byte) {
	offset := len(b.Data)
	b.Data, _ = r.appendTuple(b.Data, old, r.oldCells, previous{}, change.Absent)
	a.row(b, change.Row{LSN: lsn, Offset: uint32(offset), Operation: change.Delete, KeyOnly: kind == pgoutput.KeyOld}, false)
}

func checkColumns(r *relation, tuple pgoutput.Tuple) error {
	if got, want := tuple.Columns(), len(r.newCells); got != want {
		return fmt.Errorf("a tuple of %s has %d columns where its relation has %d", r.table, got, want)
	}
	return nil
}

// batch returns the relation's open batch, with the present transaction as its
// last one.
func (a *assembler) batch(r *relation) *Assembled {
	if r.batch == nil {
		bytes, rows := a.room(r)
		r.batch = &Assembled{Batch: &change.Batch{
			Table: r.table, Format: change.TuplePgoutput,
			Data: make([]byte, 0, bytes),
			Rows: make([]change.Row, 0, rows),
		}}
		a.open = append(a.open, r)
	}
	b := r.batch
	if n := len(b.Transactions); n == 0 || b.Transactions[n-1] != a.transaction {
		b.Transactions = append(b.Transactions, a.transaction)
	}
	return b
}

func (a *assembler) row(b *Assembled, row change.Row, unresolved bool) {
	row.Transaction = uint32(len(b.Transactions) - 1)
	if unresolved {
		b.Unresolved = append(b.Unresolved, len(b.Rows))
	}
	size := len(b.Data) - int(row.Offset)
	b.Rows = append(b.Rows, row)
	a.rows++
	a.bytes += size
	a.transactionRows++
	a.transactionBytes += size
}
