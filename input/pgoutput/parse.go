package pgoutput

import "fmt"

// Flags of single messages, PostgreSQL docs 55.9.
const (
	noFlags                 = 0
	flagFirstSegment        = 1
	flagKeyColumn           = 1
	flagTransactional       = 1
	flagTruncateCascade     = 1
	flagTruncateRestartIdty = 2
)

// Parse reads one message into m. inStream says that the message stands between
// a stream start and a stream stop, where changes carry a transaction id of
// their own. On error m is undefined; the error wraps one of [ErrShort],
// [ErrTrailing], [ErrUnknownKind] and [ErrInvalid].
//
// Insert, Update, Delete, Truncate and all messages without names allocate
// nothing.
func Parse(msg []byte, inStream bool, m *Message) error {
	if len(msg) == 0 {
		return fmt.Errorf("parsing a replication message: %w in its kind", ErrShort)
	}
	m.Kind, m.XID = Kind(msg[0]), 0
	c := cursor{rest: msg[1:]}
	if inStream && carriesXID(m.Kind) {
		m.XID = c.uint32("transaction id")
	}
	m.parse(&c)
	if err := c.done(); err != nil {
		return fmt.Errorf("parsing a replication message of kind %v: %w", m.Kind, err)
	}
	return nil
}

func carriesXID(k Kind) bool {
	switch k {
	case KindInsert, KindUpdate, KindDelete, KindTruncate, KindRelation, KindType, KindLogicalMessage:
		return true
	}
	return false
}

func (m *Message) parse(c *cursor) {
	switch m.Kind {
	case KindInsert:
		m.Insert.parse(c)
	case KindUpdate:
		m.Update.parse(c)
	case KindDelete:
		m.Delete.parse(c)
	case KindBegin:
		m.Begin = Begin{FinalLSN: c.uint64("final LSN"), CommitTime: c.time("commit time"), XID: c.uint32("xid")}
	case KindCommit:
		c.flags("flags", noFlags)
		m.Commit = Commit{CommitLSN: c.uint64("commit LSN"), EndLSN: c.uint64("end LSN"), Time: c.time("commit time")}
	case KindOrigin:
		m.Origin = Origin{CommitLSN: c.uint64("commit LSN"), Name: c.text("name")}
	case KindRelation:
		m.Relation.parse(c)
	case KindType:
		m.Type = Type{OID: c.uint32("type OID"), Namespace: c.namespace("namespace"), Name: c.text("name")}
	case KindTruncate:
		m.Truncate.parse(c)
	case KindLogicalMessage:
		m.LogicalMessage.parse(c)
	case KindStreamStart:
		m.StreamStart = StreamStart{XID: c.uint32("xid"), First: c.flags("first segment", flagFirstSegment) != 0}
	case KindStreamStop:
	case KindStreamCommit:
		m.StreamCommit.parse(c)
	case KindStreamAbort:
		m.StreamAbort.parse(c)
	case KindBeginPrepare:
		m.Prepare.parse(c)
	case KindPrepare, KindStreamPrepare:
		c.flags("flags", noFlags)
		m.Prepare.parse(c)
	case KindCommitPrepared:
		c.flags("flags", noFlags)
		m.CommitPrepared = CommitPrepared{
			CommitLSN: c.uint64("commit LSN"), EndLSN: c.uint64("end LSN"), Time: c.time("commit time"),
			XID: c.uint32("xid"), GID: c.text("gid"),
		}
	case KindRollbackPrepared:
		c.flags("flags", noFlags)
		m.RollbackPrepared = RollbackPrepared{
			PrepareEndLSN: c.uint64("prepare end LSN"), RollbackEndLSN: c.uint64("rollback end LSN"),
			PrepareTime: c.time("prepare time"), RollbackTime: c.time("rollback time"),
			XID: c.uint32("xid"), GID: c.text("gid"),
		}
	default:
		c.err, c.rest = ErrUnknownKind, nil
	}
}

func (m *Insert) parse(c *cursor) {
	m.RelationOID = c.uint32("relation OID")
	if kind := c.byte("kind of the tuple"); kind != 'N' {
		c.invalid("kind of the tuple", kind)
	}
	m.New = c.tuple()
}

func (m *Update) parse(c *cursor) {
	m.RelationOID = c.uint32("relation OID")
	m.OldKind, m.Old = NoOld, nil
	kind := c.byte("kind of the first tuple")
	if kind == KeyOld || kind == FullOld {
		m.OldKind, m.Old = kind, c.tuple()
		kind = c.byte("kind of the second tuple")
	}
	if kind != 'N' {
		c.invalid("kind of the new tuple", kind)
	}
	m.New = c.tuple()
}

func (m *Delete) parse(c *cursor) {
	m.RelationOID = c.uint32("relation OID")
	m.OldKind = c.byte("kind of the tuple")
	if m.OldKind != KeyOld && m.OldKind != FullOld {
		c.invalid("kind of the tuple", m.OldKind)
	}
	m.Old = c.tuple()
}

func (m *Relation) parse(c *cursor) {
	m.OID = c.uint32("relation OID")
	m.Namespace = c.namespace("namespace")
	m.Name = c.text("name")
	m.Identity = c.byte("replica identity")
	switch m.Identity {
	case 'd', 'n', 'f', 'i':
	default:
		c.invalid("replica identity", m.Identity)
	}
	columns := int(c.uint16("number of columns"))
	// A column takes at least 10 bytes: a wrong number must not allocate for
	// columns that cannot be there.
	if columns > len(c.rest)/10 {
		c.short("columns")
		columns = 0
	}
	m.Columns = make([]RelationColumn, columns)
	for i := range m.Columns {
		m.Columns[i] = RelationColumn{
			Key:     c.flags("flags of a column", flagKeyColumn) != 0,
			Name:    c.text("name of a column"),
			TypeOID: c.uint32("type of a column"),
			TypeMod: int32(c.uint32("type modifier of a column")),
		}
	}
}

func (m *Truncate) parse(c *cursor) {
	relations := c.uint32("number of relations")
	flags := c.flags("flags", flagTruncateCascade|flagTruncateRestartIdty)
	m.Cascade = flags&flagTruncateCascade != 0
	m.RestartIdentity = flags&flagTruncateRestartIdty != 0
	m.OIDs = m.OIDs[:0]
	if int64(relations) > int64(len(c.rest)/4) {
		c.short("relation OIDs")
		return
	}
	for range relations {
		m.OIDs = append(m.OIDs, c.uint32("relation OID"))
	}
}

func (m *LogicalMessage) parse(c *cursor) {
	m.Transactional = c.flags("flags", flagTransactional) != 0
	m.LSN = c.uint64("LSN")
	m.Prefix = c.text("prefix")
	length := c.uint32("length of the content")
	if int64(length) > int64(len(c.rest)) {
		c.short("content")
		return
	}
	m.Content = c.rest[:length:length]
	c.rest = c.rest[length:]
}

func (m *StreamCommit) parse(c *cursor) {
	m.XID = c.uint32("xid")
	c.flags("flags", noFlags)
	m.CommitLSN, m.EndLSN = c.uint64("commit LSN"), c.uint64("end LSN")
	m.Time = c.time("commit time")
}

func (m *StreamAbort) parse(c *cursor) {
	*m = StreamAbort{XID: c.uint32("xid"), SubXID: c.uint32("xid of the subtransaction")}
	// Sent only where the subscriber asked for streaming = parallel.
	if len(c.rest) > 0 {
		m.LSN, m.Time = c.uint64("abort LSN"), c.time("abort time")
	}
}

func (m *Prepare) parse(c *cursor) {
	m.PrepareLSN, m.EndLSN = c.uint64("prepare LSN"), c.uint64("end LSN")
	m.Time = c.time("prepare time")
	m.XID = c.uint32("xid")
	m.GID = c.text("gid")
}
