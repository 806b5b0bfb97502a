package stream

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/penstock/penstock/input/pgoutput"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/pgvalue"
)

// null, unchanged and absent stand for cells without a value in tuples that
// tests write as strings; any other string is a value in text format.
const (
	null      = "\x00null"
	unchanged = "\x00unchanged"
)

// tuple writes TupleData as the server does.
func tuple(values ...string) pgoutput.Tuple {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(values)))
	for _, v := range values {
		switch v {
		case null:
			b = append(b, 'n')
		case unchanged:
			b = append(b, 'u')
		default:
			b = append(b, 't')
			b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
			b = append(b, v...)
		}
	}
	return b
}

// column is a text column; a leading * puts it into the key, a leading =
// makes it generated.
func columns(names ...string) (columns []change.Column, key []int) {
	text := &change.Type{OID: 25, Name: "text", Schema: "pg_catalog", Kind: change.TypeBase}
	for i, name := range names {
		c := change.Column{Name: strings.TrimLeft(name, "*="), Type: text, TypeMod: -1}
		if strings.HasPrefix(name, "*") {
			c.InKey = true
			key = append(key, i)
		}
		c.Generated = strings.HasPrefix(name, "=")
		columns = append(columns, c)
	}
	return columns, key
}

func table(names ...string) *change.Table {
	t := &change.Table{OID: 1, Schema: "public", Name: "t", Identity: change.IdentityDefault}
	t.Columns, t.Key = columns(names...)
	return t
}

func announce(names ...string) *pgoutput.Relation {
	sent := &pgoutput.Relation{OID: 1, Namespace: "public", Name: "t", Identity: 'd'}
	for _, name := range names {
		sent.Columns = append(sent.Columns, pgoutput.RelationColumn{Name: name, TypeOID: 25, TypeMod: -1})
	}
	return sent
}

// show writes a row as "operation@lsn a=1 b=∅ c=? d=…": ∅ is NULL, ? not sent,
// … an unchanged TOAST value.
func show(b *change.Batch, row int) string {
	cells := make([]change.Cell, len(b.Table.Columns))
	if err := b.Cells(row, 1, cells); err != nil {
		return err.Error()
	}
	r := b.Rows[row]
	s := fmt.Sprintf("%s@%d", r.Operation, r.LSN)
	for i, cell := range cells {
		value := string(cell.Bytes(b.Data))
		switch cell.Kind {
		case change.Null:
			value = "∅"
		case change.Absent:
			value = "?"
		case change.Unchanged:
			value = "…"
		case change.Binary:
			c := b.Table.Columns[i]
			text, err := pgvalue.AppendText(nil, c.Type, c.TypeMod, cell.Bytes(b.Data))
			if err != nil {
				text = []byte(err.Error())
			}
			value = string(text)
		}
		s += " " + b.Table.Columns[i].Name + "=" + value
	}
	return s
}

func showAll(batches []*Assembled) (rows []string) {
	for _, b := range batches {
		for i := range b.Rows {
			rows = append(rows, show(b.Batch, i))
		}
	}
	return rows
}
