// Package pgoutput reads the messages of PostgreSQL's logical replication
// protocol (PostgreSQL docs 55.5 and 55.9, protocol versions 1 to 4) as the
// output plugin pgoutput writes them, and the frames of the replication stream
// that carry them.
//
// Nothing is copied that can be looked at in place: tuples and contents alias
// the parsed message. Every length is checked against the message before it is
// used; a message that is cut short, runs on behind its end, or holds a kind or
// flag that the protocol does not define is an error.
package pgoutput

import (
	"fmt"
	"time"
)

// Kind is a message's first byte.
type Kind byte

// The kinds of messages. Kinds marked "xid" carry the transaction's id behind
// the kind byte while they are part of a streamed transaction.
const (
	KindBegin            Kind = 'B'
	KindCommit           Kind = 'C'
	KindOrigin           Kind = 'O'
	KindRelation         Kind = 'R' // xid
	KindType             Kind = 'Y' // xid
	KindInsert           Kind = 'I' // xid
	KindUpdate           Kind = 'U' // xid
	KindDelete           Kind = 'D' // xid
	KindTruncate         Kind = 'T' // xid
	KindLogicalMessage   Kind = 'M' // xid
	KindStreamStart      Kind = 'S'
	KindStreamStop       Kind = 'E'
	KindStreamCommit     Kind = 'c'
	KindStreamAbort      Kind = 'A'
	KindBeginPrepare     Kind = 'b'
	KindPrepare          Kind = 'P'
	KindCommitPrepared   Kind = 'K'
	KindRollbackPrepared Kind = 'r'
	KindStreamPrepare    Kind = 'p'
)

var kindNames = [...]string{
	KindBegin: "begin", KindCommit: "commit", KindOrigin: "origin", KindRelation: "relation",
	KindType: "type", KindInsert: "insert", KindUpdate: "update", KindDelete: "delete",
	KindTruncate: "truncate", KindLogicalMessage: "logical message",
	KindStreamStart: "stream start", KindStreamStop: "stream stop",
	KindStreamCommit: "stream commit", KindStreamAbort: "stream abort",
	KindBeginPrepare: "begin prepare", KindPrepare: "prepare", KindCommitPrepared: "commit prepared",
	KindRollbackPrepared: "rollback prepared", KindStreamPrepare: "stream prepare",
}

// String returns the message's name in the documentation, in lower case.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return fmt.Sprintf("unknown (%q)", byte(k))
}

// Message is one parsed message. Only Kind, XID where the message was part of a
// streamed transaction, and the field that Kind names are valid; the others
// still hold what earlier messages left, so that one Message can be used for a
// whole stream without being cleared.
type Message struct {
	Kind Kind
	// XID of the transaction, or subtransaction, that a change inside a streamed
	// transaction belongs to; 0 outside.
	XID uint32

	Begin            Begin
	Commit           Commit
	Origin           Origin
	Relation         Relation
	Type             Type
	Insert           Insert
	Update           Update
	Delete           Delete
	Truncate         Truncate
	LogicalMessage   LogicalMessage
	StreamStart      StreamStart
	StreamCommit     StreamCommit
	StreamAbort      StreamAbort
	Prepare          Prepare // also of begin prepare and stream prepare
	CommitPrepared   CommitPrepared
	RollbackPrepared RollbackPrepared
}

// Timestamp is a point in time as the server sends it: microseconds since
// 2000-01-01 00:00 UTC.
type Timestamp int64

// unixEpochOffset is 2000-01-01 in seconds since the Unix epoch.
const unixEpochOffset = 946684800

// Time returns the timestamp in UTC, exact over the type's whole range.
func (t Timestamp) Time() time.Time {
	return time.Unix(int64(t)/1_000_000+unixEpochOffset, int64(t)%1_000_000*1000).UTC()
}

// TimestampOf returns t in whole microseconds.
func TimestampOf(t time.Time) Timestamp {
	return Timestamp((t.Unix()-unixEpochOffset)*1_000_000 + int64(t.Nanosecond())/1000)
}

// Begin opens a transaction. LSNs are WAL positions throughout.
type Begin struct {
	FinalLSN   uint64 // of the commit record: Commit.CommitLSN to come
	CommitTime Timestamp
	XID        uint32
}

// Commit closes a transaction.
type Commit struct {
	CommitLSN uint64 // of the commit record
	EndLSN    uint64 // behind the commit record: what may be confirmed
	Time      Timestamp
}

// Origin says where a transaction came from that was itself replicated.
type Origin struct {
	CommitLSN uint64 // on the origin
	Name      string
}

// Relation describes the table that changes with the same OID refer to from
// here on.
type Relation struct {
	OID       uint32
	Namespace string // "pg_catalog" where the server sends it empty
	Name      string
	// Identity is pg_class.relreplident: 'd', 'n', 'f' or 'i'.
	Identity byte
	// Columns in the order in which tuples carry them; a fresh slice for each
	// message.
	Columns []RelationColumn
}

// RelationColumn is one column of a Relation.
type RelationColumn struct {
	// Key marks the columns of the replica identity: every one where it is FULL.
	Key     bool
	Name    string
	TypeOID uint32
	TypeMod int32 // pg_attribute.atttypmod, -1 for none
}

// Type names a type that is not built in, before a Relation that uses it.
type Type struct {
	OID       uint32
	Namespace string // "pg_catalog" where the server sends it empty
	Name      string
}

// Tuple is TupleData as it was sent: Int16 number of columns, then for each a
// kind byte ('n' null, 'u' unchanged TOAST, 't' text, 'b' binary) and, for 't'
// and 'b', Int32 length and the value. It has been walked to its end once, so
// all lengths lie inside. It aliases the message.
type Tuple []byte

// Columns returns the number of columns.
func (t Tuple) Columns() int {
	if len(t) < 2 {
		return 0
	}
	return int(t[0])<<8 | int(t[1])
}

// Insert is a new row.
type Insert struct {
	RelationOID uint32
	New         Tuple
}

// Kinds of old tuples.
const (
	NoOld   byte = 0
	KeyOld  byte = 'K' // holds the replica identity; other columns are sent as null
	FullOld byte = 'O' // holds the whole row (REPLICA IDENTITY FULL)
)

// Update is a changed row.
type Update struct {
	RelationOID uint32
	OldKind     byte  // NoOld, KeyOld (the key changed) or FullOld
	Old         Tuple // nil for NoOld
	New         Tuple
}

// Delete is a removed row.
type Delete struct {
	RelationOID uint32
	OldKind     byte // KeyOld or FullOld
	Old         Tuple
}

// Truncate empties tables.
type Truncate struct {
	// OIDs of the relations; the slice is reused by the next parse.
	OIDs            []uint32
	Cascade         bool
	RestartIdentity bool
}

// LogicalMessage was written by pg_logical_emit_message.
type LogicalMessage struct {
	Transactional bool
	LSN           uint64
	Prefix        string
	Content       []byte // aliases the message
}

// StreamStart opens a run of changes of a transaction still in progress.
type StreamStart struct {
	XID   uint32
	First bool // the first run of this transaction
}

// StreamCommit commits a streamed transaction.
type StreamCommit struct {
	XID       uint32
	CommitLSN uint64
	EndLSN    uint64
	Time      Timestamp
}

// StreamAbort rolls back a streamed transaction, or one of its subtransactions
// where SubXID is not XID.
type StreamAbort struct {
	XID    uint32
	SubXID uint32
	// LSN and Time of the abort, 0 but with protocol version 4 and streaming =
	// parallel.
	LSN  uint64
	Time Timestamp
}

// Prepare is what begin prepare, prepare and stream prepare say about a
// transaction of a two-phase commit.
type Prepare struct {
	PrepareLSN uint64
	EndLSN     uint64
	Time       Timestamp
	XID        uint32
	GID        string
}

// CommitPrepared commits a prepared transaction.
type CommitPrepared struct {
	CommitLSN uint64
	EndLSN    uint64
	Time      Timestamp
	XID       uint32
	GID       string
}

// RollbackPrepared rolls a prepared transaction back.
type RollbackPrepared struct {
	PrepareEndLSN  uint64 // end of the prepared transaction
	RollbackEndLSN uint64 // end of the rollback
	PrepareTime    Timestamp
	RollbackTime   Timestamp
	XID            uint32
	GID            string
}
