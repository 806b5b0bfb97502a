package rows

import (
	"strconv"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/internal/change"
)

// marker writes the metadata of messages about one table. What messages have in
// common is made once and shared: metadata holds interfaces, and making one of
// a string allocates.
type marker struct {
	schema, table    any
	key, description service.ImmutableValue

	operation     change.Operation
	operationName any

	lsn     uint64
	lsnText any

	last                            *change.Transaction
	commitLSN, commitTime, commitID any
}

func markerOf(t *change.Table) *marker {
	description := t.Describe()
	return &marker{
		schema: t.Schema, table: t.Name,
		key:         service.ImmutableAny{V: description["key"]},
		description: service.ImmutableAny{V: description},
		lsnText:     change.FormatLSN(0),
	}
}

// row writes what every message has.
func (k *marker) row(m *service.Message, operation change.Operation, lsn uint64) {
	if operation != k.operation {
		k.operation, k.operationName = operation, operation.String()
	}
	if lsn != k.lsn {
		k.lsn, k.lsnText = lsn, change.FormatLSN(lsn)
	}
	m.MetaSetMut(change.MetaOperation, k.operationName)
	m.MetaSetMut(change.MetaDatabaseSchema, k.schema)
	m.MetaSetMut(change.MetaTable, k.table)
	m.MetaSetMut(change.MetaLSN, k.lsnText)
	m.MetaSetImmut(change.MetaKey, k.key)
	m.MetaSetImmut(change.MetaSchema, k.description)
}

// transaction writes what messages of one transaction share.
func (k *marker) transaction(m *service.Message, t *change.Transaction) {
	if t != k.last {
		k.last = t
		k.commitLSN = change.FormatLSN(t.CommitLSN)
		k.commitTime = strconv.FormatInt(t.CommitTime.UnixMilli(), 10)
		k.commitID = strconv.FormatUint(uint64(t.XID), 10)
	}
	m.MetaSetMut(change.MetaCommitLSN, k.commitLSN)
	m.MetaSetMut(change.MetaCommitTime, k.commitTime)
	m.MetaSetMut(change.MetaTransactionID, k.commitID)
}
