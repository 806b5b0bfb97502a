package stream

import (
	"encoding/binary"

	"github.com/penstock/penstock/input/pgoutput"
	"github.com/penstock/penstock/internal/change"
)

// relation is a table as the stream last announced it.
type relation struct {
	// table is nil for a table that is published but not replicated.
	table *change.Table
	// columns maps each column of table to its place in the tuples sent, -1 for
	// a generated column that the server leaves out.
	columns []int
	// verbatim says that tuples are laid out just like table.
	verbatim bool
	batch    *Assembled
	// lastBytes and lastRows are the size of the last batch: the next one will
	// be about as large.
	lastBytes, lastRows int
	// cells is scratch for walking tuples.
	newCells, oldCells []change.Cell
}

func newRelation(table *change.Table, sent *pgoutput.Relation) *relation {
	r := &relation{table: table}
	if table == nil {
		return r
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
		r.verbatim = r.verbatim && r.columns[i] == i
	}
	r.newCells = make([]change.Cell, len(sent.Columns))
	r.oldCells = make([]change.Cell, len(sent.Columns))
	return r
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

// keyChanged compares the key columns of two walked tuples. An unchanged TOAST
// value in the new one is the same as in the old.
func (r *relation) keyChanged(old, tuple pgoutput.Tuple) bool {
	for _, k := range r.table.Key {
		c := r.columns[k]
		if c < 0 {
			continue
		}
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

// appendTuple appends a walked tuple in the table's layout to dst. What the
// server left out becomes missing; an unchanged TOAST value is taken from old
// where that is not nil. unresolved says that unchanged values remain.
func (r *relation) appendTuple(dst []byte, tuple pgoutput.Tuple, cells []change.Cell, old pgoutput.Tuple, missing change.CellKind) (_ []byte, unresolved bool) {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(r.columns)))
	for _, c := range r.columns {
		cell, bytes := change.Cell{Kind: missing}, []byte(tuple)
		if c >= 0 {
			cell = cells[c]
			if cell.Kind == change.Unchanged && old != nil && r.oldCells[c].Kind != change.Unchanged {
				cell, bytes = r.oldCells[c], old
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
