package change

import (
	"encoding/json"
	"sync/atomic"
	"time"
)

// Operation is what happened to a row or a table.
type Operation byte

// The operations. Read, Insert, Update and Delete belong to a [Row], the
// others to a [Control].
const (
	Read       Operation = iota + 1 // a row of the snapshot
	Insert                          // also the new row of an update that changed the key
	Update                          // the row after the update
	Delete                          // the row, or its key, before it went away
	Truncate                        // all rows up to a position are gone
	Schema                          // the definition that holds from here on
	TableBegin                      // the load of a table begins
	TableDone                       // every row of a table's load was sent
)

var operationNames = [...]string{
	Read: "read", Insert: "insert", Update: "update", Delete: "delete",
	Truncate: "truncate", Schema: "schema", TableBegin: "table_begin", TableDone: "table_done",
}

// String returns the word used in message metadata, metrics and logs.
func (o Operation) String() string {
	if int(o) < len(operationNames) && operationNames[o] != "" {
		return operationNames[o]
	}
	return "unknown"
}

// ParseOperation returns the operation that String prints as name.
func ParseOperation(name string) (Operation, bool) {
	for op, n := range operationNames {
		if n == name && n != "" {
			return Operation(op), true
		}
	}
	return 0, false
}

// Batch is a run of changes to one table, in WAL order, as bytes on the wire.
type Batch struct {
	Table *Table
	// Rows holds one entry per change.
	Rows []Row
	// Transactions that the rows belong to, see Row.Transaction. A snapshot has
	// one entry, with XID 0 and the time of the snapshot.
	Transactions []Transaction
	// Data holds the tuples, each in Format at its Row.Offset. Less than 4 GiB.
	Data []byte
	// Format says how tuples are laid out.
	Format TupleFormat
	// TextColumns marks the columns whose values are in text format where
	// Format is TupleCopy; nil where all are binary. A TuplePgoutput tuple says
	// so itself.
	TextColumns []bool
	// Receipt is signed by the output that reads the batch.
	Receipt *Receipt
}

// Row is one change in a Batch.
type Row struct {
	// LSN is the WAL position of the change's own record, 0 in a snapshot. Two
	// changes of one key never share it: it is the row's version.
	LSN uint64
	// Offset of the tuple in Batch.Data.
	Offset uint32
	// Transaction is an index into Batch.Transactions.
	Transaction uint32
	Operation   Operation
	// KeyOnly says that the tuple holds values for key columns only (pgoutput's
	// 'K'); the others were not sent, which is not the same as NULL.
	KeyOnly bool
}

// Transaction is the commit that rows belong to.
type Transaction struct {
	XID       uint32
	CommitLSN uint64
	// CommitTime by the clock of the source; of the snapshot's start for
	// snapshot rows.
	CommitTime time.Time
}

// TupleFormat is the layout of a tuple in Batch.Data.
type TupleFormat byte

const (
	// TupleCopy is a tuple of COPY … (FORMAT binary): Int16 number of fields,
	// then for each field Int32 length (-1 for NULL) and the value's bytes.
	// PostgreSQL docs, COPY, "Binary Format".
	TupleCopy TupleFormat = iota + 1
	// TuplePgoutput is the TupleData of the logical replication protocol: Int16
	// number of columns, then for each a kind byte and, for 't' and 'b', Int32
	// length and the value's bytes. PostgreSQL docs 55.9.
	TuplePgoutput
)

// Size returns the bytes that the batch holds in memory, near enough to count
// and limit what is in flight.
func (b *Batch) Size() int { return cap(b.Data) + cap(b.Rows)*24 + cap(b.Transactions)*40 }

// opaque is what a processor or another output meets that looks into a block.
const opaque = "this message is an opaque block of changes for the clickhouse output: set `format: rows` on the postgres_cdc input to process rows or to write them elsewhere"

// MarshalJSON says that the batch is opaque. It is no error, because the engine
// would drop that and go on with an empty message.
func (b *Batch) MarshalJSON() ([]byte, error) { return json.Marshal(opaque) }

// MarshalJSON says that the control is opaque.
func (c *Control) MarshalJSON() ([]byte, error) { return json.Marshal(opaque) }

var (
	_ json.Marshaler = (*Batch)(nil)
	_ json.Marshaler = (*Control)(nil)
)

// Receipt is how the reader of an opaque message tells its sender that it could
// read it. Without it a sender would take the acknowledgement of something that
// saw a message without content for that of an output that stored the changes.
// A nil Receipt takes everything and is never signed.
type Receipt struct{ signed atomic.Bool }

// Sign is called by an output that has read the message.
func (r *Receipt) Sign() {
	if r != nil {
		r.signed.Store(true)
	}
}

// Signed says whether an output has read the message.
func (r *Receipt) Signed() bool { return r != nil && r.signed.Load() }

// Control is a change to a table as a whole. It is a barrier: everything sent
// before it is applied before it, and nothing is sent after it until it is
// applied.
type Control struct {
	Operation Operation // Truncate, Schema, TableBegin or TableDone
	// Table is the definition that holds after the change.
	Table *Table
	// Previous is the definition before a Schema change, nil at setup.
	Previous *Table
	// LSN of the change's own record, 0 during setup and snapshot. A Truncate
	// removes rows whose version is below it.
	LSN         uint64
	Transaction Transaction
	// Receipt is signed by the output that reads the control.
	Receipt *Receipt
}
