package stream

import (
	"encoding/binary"
	"fmt"

	"github.com/penstock/penstock/input/pgoutput"
	"github.com/penstock/penstock/internal/change"
)

// relation is a table as the stream last announced it.
type relation struct {
	// table is nil for a table that is published but not replicated.
	table *change.Table
	// columns maps each column of table to its place in the tuples sent, -1 for
	// one that the server leaves out: it is generated, or newer than the change.
	columns []int
	// verbatim says that tuples are laid out just like table.
	verbatim bool
	batch    *Assembled
	// lastBytes and lastRows are the size of the last batch, and taken says in
	// which delivery it was: the next one may be about as large.
	lastBytes, lastRows int
	taken               uint64
	// cells is scratch for walking tuples.
	newCells, oldCells []change.Cell
}

// newRelation lays out what the stream sends as the table is. No column of the
// key may be missing.
func newRelation(table *change.Table, sent *pgoutput.Relation) (*relation, error) {
	r := &relation{table: table}
	if table == nil {
		return r, nil
	}
	r.columns = make([]int, len(table.Columns))
	r.verbatim = len(table.Columns) == len(sent.Columns)
	for i := range table.Columns {
		r.columns[i] = -1
		for j := range sent.Columns {
			if sent.Columns[j].Name == table.Columns[i].Name {
				r.columns[i] = j
			}
		}
		if c := &table.Columns[i]; r.columns[i] < 0 && c.InKey {
			return nil, fmt.Errorf("the stream does not carry key column %q of %s", c.Name, table)
		}
		r.verbatim = r.verbatim && r.columns[i] == i
	}
	r.newCells = make([]change.Cell, len(sent.Columns))
	r.oldCells = make([]change.Cell, len(sent.Columns))
	return r, nil
}

// walk finds the values of a tuple; it has been validated by the parser.
func walk(tuple pgoutput.Tuple, cells []change.Cell) {
	at := 2
	for c := range cells[:min(len(cells), tuple.Columns())] {
		kind := change.CellKind(tuple[at])
		at++
		cell := change.Cell{Kind: kind}
		if kind == change.Text || kind == change.Binary {
			cell.Length = int32(binary.BigEndian.Uint32(tuple[at:]))
			cell.Offset = uint32(at + 4)
			at += 4 + int(cell.Length)
		}
		cells[c] = cell
	}
}

// walkOld walks an old tuple into r.oldCells, and checks it.
func (r *relation) walkOld(old pgoutput.Tuple, kind byte) error {
	if err := checkColumns(r, old); err != nil {
		return err
	}
	walk(old, r.oldCells)
	if kind == pgoutput.KeyOld {
		return r.checkOldKey()
	}
	return nil
}

// checkNewKey refuses a row whose key the server thinks we know. It does not
// leave one out without sending the old one, but before 14.2 it did.
func (r *relation) checkNewKey() error {
	for _, k := range r.table.Key {
		if r.newCells[r.columns[k]].Kind == change.Unchanged {
			return fmt.Errorf("the stream has no value of key column %q of %s", r.table.Columns[k].Name, r.table)
		}
	}
	return nil
}

// checkOldKey refuses an old tuple of the replica identity that lacks a column of
// the key: such columns are never NULL, so it was not sent. That is how a
// partition looks whose identity is another than the partitioned table's.
func (r *relation) checkOldKey() error {
	for _, k := range r.table.Key {
		if r.oldCells[r.columns[k]].Kind == change.Null {
			return &change.Failure{
				Class: "replica_identity", Table: r.table.String(),
				Reason: fmt.Sprintf("the stream has no old value of key column %q of %s: the replica identity of a partition, or of the table since setup, does not cover it", r.table.Columns[k].Name, r.table),
				Fix:    "give every partition the replica identity of the partitioned table, then resync the table",
			}
		}
	}
	return nil
}

// keyChanged compares the key columns of two walked tuples. An unchanged TOAST
// value in the new one is the same as in the old.
func (r *relation) keyChanged(old, tuple pgoutput.Tuple) bool {
	for _, k := range r.table.Key {
		c := r.columns[k]
		was, is := r.oldCells[c], r.newCells[c]
		if is.Kind == change.Unchanged {
			continue
		}
		if was.Kind != is.Kind || string(was.Bytes(old)) != string(is.Bytes(tuple)) {
			return true
		}
	}
	return false
}

// previous is the old tuple of an update, walked into relation.oldCells.
type previous struct {
	tuple pgoutput.Tuple // nil where none was sent
	full  bool           // it holds every column, not the key alone
}

// appendTuple appends a walked tuple in the table's layout to dst. What the
// server left out becomes missing. An unchanged TOAST value is taken from the
// old tuple where that has it: a full one has all, another only the key's.
// unresolved says that unchanged values remain.
func (r *relation) appendTuple(dst []byte, tuple pgoutput.Tuple, cells []change.Cell, old previous, missing change.CellKind) (_ []byte, unresolved bool) {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(r.columns)))
	for i, c := range r.columns {
		cell, bytes := change.Cell{Kind: missing}, []byte(tuple)
		if c >= 0 {
			cell = cells[c]
			if cell.Kind == change.Unchanged && old.tuple != nil && (old.full || r.table.Columns[i].InKey) {
				cell, bytes = r.oldCells[c], old.tuple
			}
		}
		dst = append(dst, byte(cell.Kind))
		switch cell.Kind {
		case change.Text, change.Binary:
			dst = binary.BigEndian.AppendUint32(dst, uint32(cell.Length))
			dst = append(dst, cell.Bytes(bytes)...)
		case change.Unchanged:
			unresolved = true
		}
	}
	return dst, unresolved
}
