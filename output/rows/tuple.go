package rows

import (
	"encoding/binary"
	"fmt"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/pgvalue"
)

// appendRow adds a row to b. On error b may hold half a tuple.
func appendRow(b *change.Batch, meta metadata, operation change.Operation, fields map[string]any) error {
	lsn, err := meta.lsn(change.MetaLSN, true)
	if err != nil {
		return err
	}
	transaction, err := meta.transaction()
	if err != nil {
		return err
	}
	if n := len(b.Transactions); n == 0 || b.Transactions[n-1] != transaction {
		b.Transactions = append(b.Transactions, transaction)
	}
	row := change.Row{
		LSN:         lsn,
		Offset:      uint32(len(b.Data)),
		Transaction: uint32(len(b.Transactions) - 1),
		Operation:   operation,
	}
	absent, err := appendTuple(b, fields)
	if err != nil {
		return err
	}
	row.KeyOnly = operation == change.Delete && absent > 0 && absent == len(b.Table.Columns)-len(b.Table.Key)
	b.Rows = append(b.Rows, row)
	return nil
}

// appendTuple writes the columns in the table's order and returns how many of
// them the body does not have.
func appendTuple(b *change.Batch, fields map[string]any) (absent int, err error) {
	table := b.Table
	b.Data = binary.BigEndian.AppendUint16(b.Data, uint16(len(table.Columns)))
	for i := range table.Columns {
		column := &table.Columns[i]
		v, ok := fields[column.Name]
		switch {
		case ok:
			b.Data, err = appendValue(b.Data, column.Type, v)
		case column.InKey:
			err = fmt.Errorf("the row has no such field, and rows are told apart by it")
		default:
			b.Data = append(b.Data, byte(change.Absent))
			absent++
		}
		if err != nil {
			return 0, &change.Failure{
				Class: "mapping", Table: table.String(),
				Reason: fmt.Sprintf("column %q of %s cannot be taken from the message: %v", column.Name, table, err),
				Fix:    "correct the mapping, or leave the column out with `exclude_columns`",
				Err:    err,
			}
		}
	}
	if len(fields) > len(table.Columns)-absent {
		return 0, unknownField(table, fields)
	}
	return absent, nil
}

// appendValue writes one column's kind, length and value.
func appendValue(dst []byte, t *change.Type, v any) ([]byte, error) {
	if v == nil {
		return append(dst, byte(change.Null)), nil
	}
	kind, write := change.Text, pgvalue.AppendStructured
	if pgvalue.IsBytea(t) {
		kind, write = change.Binary, appendBytea
	}
	at := len(dst)
	dst, err := write(append(dst, byte(kind), 0, 0, 0, 0), t, v)
	if err != nil {
		return dst, err
	}
	binary.BigEndian.PutUint32(dst[at+1:], uint32(len(dst)-at-5))
	return dst, nil
}

func appendBytea(dst []byte, _ *change.Type, v any) ([]byte, error) {
	return pgvalue.AppendBytea(dst, v)
}

// unknownField names the first field, in the alphabet, that is no column.
func unknownField(table *change.Table, fields map[string]any) error {
	first := ""
	for name := range fields {
		if table.Column(name) < 0 && (first == "" || name < first) {
			first = name
		}
	}
	return &change.Failure{
		Class: "mapping", Table: table.String(),
		Reason: fmt.Sprintf("a row has the field %q, which is no column of %s", first, table),
		Fix:    "add the column to the source table, or remove the field in the mapping",
	}
}
