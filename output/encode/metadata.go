package encode

import (
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/penstock/penstock/internal/change"
)

// metadata fills the columns that Penstock adds to each row; those the
// destination does not have are nil.
type metadata struct {
	version   *fixed[uint64]
	deleted   *fixed[uint8]
	synced    *fixed[int64]
	operation encoder

	precision int   // of synced
	now       int64 // ticks, the same for all rows of a block

	words     []byte        // operationWords
	wordCells []change.Cell // of a strip's operations
}

// addMetadata puts the metadata columns that have a name into the block.
func (b *Block) addMetadata(destination []Column) error {
	o := &b.options
	for _, column := range []struct {
		name string
		make func(name string, t chType) (proto.ColInput, error)
	}{
		{o.Version, b.meta.addVersion},
		{o.IsDeleted, b.meta.addDeleted},
		{o.SyncedAt, b.meta.addSynced},
		{o.Operation, b.meta.addOperation},
	} {
		if column.name == "" {
			continue
		}
		if slices.ContainsFunc(b.input, func(c proto.InputColumn) bool { return c.Name == column.name }) {
			return fmt.Errorf("the metadata column %q has the name of another column: name it otherwise under `metadata_columns`", column.name)
		}
		t, err := b.destination(destination, column.name)
		if err != nil {
			return err
		}
		data, err := column.make(column.name, t)
		if err != nil {
			return err
		}
		b.input = append(b.input, proto.InputColumn{Name: column.name, Data: data})
	}
	return nil
}

func wrongMetadata(name string, t chType, want string) error {
	return fmt.Errorf("the metadata column %q is of type %s, want %s", name, t.text, want)
}

func (m *metadata) addVersion(name string, t chType) (proto.ColInput, error) {
	if t.name != "UInt64" && t.name != "Int64" { // the same bytes: a WAL position has less than 63 bits
		return nil, wrongMetadata(name, t, "UInt64")
	}
	m.version = &fixed[uint64]{site: &site{dest: t.text}, input: func(v []uint64) proto.ColInput { return proto.ColUInt64(v) }}
	return m.version, nil
}

func (m *metadata) addDeleted(name string, t chType) (proto.ColInput, error) {
	if t.name != "UInt8" && t.name != "Int8" && t.name != "Bool" {
		return nil, wrongMetadata(name, t, "UInt8")
	}
	m.deleted = &fixed[uint8]{site: &site{dest: t.text}, input: func(v []uint8) proto.ColInput { return proto.ColUInt8(v) }}
	return m.deleted, nil
}

func (m *metadata) addSynced(name string, t chType) (_ proto.ColInput, err error) {
	if t.name != "DateTime64" {
		return nil, wrongMetadata(name, t, "DateTime64(6, 'UTC')")
	}
	if m.precision, _, err = t.ticks(); err != nil {
		return nil, err
	}
	m.synced = &fixed[int64]{site: &site{dest: t.text}, input: func(v []int64) proto.ColInput { return proto.ColInt64(v) }}
	return m.synced, nil
}

// textOID is the OID of PostgreSQL's text.
const textOID = 25

func (m *metadata) addOperation(name string, t chType) (_ proto.ColInput, err error) {
	source := &change.Column{
		Name: name, NotNull: true, TypeMod: -1,
		Type: &change.Type{OID: textOID, Name: "text", Schema: "pg_catalog", Kind: change.TypeBase},
	}
	m.words = []byte(operationWords)
	m.operation, err = newEncoder(columnSite(nil, source, Fail, new(losses)), t)
	return m.operation, err
}

// stamp takes the time of a new block.
func (m *metadata) stamp(now func() time.Time) {
	if m.synced == nil {
		return
	}
	if now == nil {
		now = time.Now
	}
	m.now = now().UnixNano() / int64(pow10[9-m.precision])
}

// operationWords holds the words of the operations, for cells to point into.
const operationWords = "readinsertupdatedelete"

var operationCells = [...]change.Cell{
	change.Read:   {Offset: 0, Length: 4, Kind: change.Text},
	change.Insert: {Offset: 4, Length: 6, Kind: change.Text},
	change.Update: {Offset: 10, Length: 6, Kind: change.Text},
	change.Delete: {Offset: 16, Length: 6, Kind: change.Text},
}

// append adds the metadata of rows whose values have been stored. Only the word
// of an operation can fail, where the column is an Enum that does not list it.
func (m *metadata) append(rows []change.Row) error {
	if m.operation != nil {
		m.wordCells = m.wordCells[:0]
		for i := range rows {
			operation := rows[i].Operation
			if operation < change.Read || operation > change.Delete {
				return fmt.Errorf("row at %s has operation %d, which no row has", change.FormatLSN(rows[i].LSN), operation)
			}
			m.wordCells = append(m.wordCells, operationCells[operation])
		}
		if err := m.operation.append(m.words, m.wordCells); err != nil {
			return err
		}
	}
	if m.version != nil {
		m.version.values = slices.Grow(m.version.values, len(rows))
		for i := range rows {
			m.version.values = append(m.version.values, rows[i].LSN)
		}
	}
	if m.deleted != nil {
		m.deleted.values = slices.Grow(m.deleted.values, len(rows))
		for i := range rows {
			var deleted uint8
			if rows[i].Operation == change.Delete {
				deleted = 1
			}
			m.deleted.values = append(m.deleted.values, deleted)
		}
	}
	if m.synced != nil {
		m.synced.values = slices.Grow(m.synced.values, len(rows))
		for range rows {
			m.synced.values = append(m.synced.values, m.now)
		}
	}
	return nil
}

// columns returns the metadata columns of the block.
func (m *metadata) columns(dst []encoder) []encoder {
	if m.version != nil {
		dst = append(dst, m.version)
	}
	if m.deleted != nil {
		dst = append(dst, m.deleted)
	}
	if m.synced != nil {
		dst = append(dst, m.synced)
	}
	if m.operation != nil {
		dst = append(dst, m.operation)
	}
	return dst
}
