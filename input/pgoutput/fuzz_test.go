package pgoutput

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
)

func addSeeds(f *testing.F) {
	for _, tc := range messageCases() {
		f.Add([]byte(tc.msg), tc.inStream)
		f.Add([]byte(tc.msg[:len(tc.msg)/2]), tc.inStream)
	}
}

// FuzzParse holds the parser to what any input must keep: no panic, no slice
// outside the message, and a tuple that is exactly what the message holds.
func FuzzParse(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, msg []byte, inStream bool) {
		var m Message
		if err := Parse(msg, inStream, &m); err != nil {
			return
		}
		prefix := 1 + 4
		if inStream {
			prefix += 4
		}
		switch m.Kind {
		case KindInsert:
			if got := append(append(bytes.Clone(msg[:prefix]), 'N'), m.Insert.New...); !bytes.Equal(got, msg) {
				t.Errorf("tuple does not fill the message: %x of %x", m.Insert.New, msg)
			}
		case KindUpdate:
			got := bytes.Clone(msg[:prefix])
			if m.Update.OldKind != NoOld {
				got = append(append(got, m.Update.OldKind), m.Update.Old...)
			}
			if got = append(append(got, 'N'), m.Update.New...); !bytes.Equal(got, msg) {
				t.Errorf("tuples do not fill the message: %x, %x of %x", m.Update.Old, m.Update.New, msg)
			}
		case KindDelete:
			if got := append(append(bytes.Clone(msg[:prefix]), m.Delete.OldKind), m.Delete.Old...); !bytes.Equal(got, msg) {
				t.Errorf("tuple does not fill the message: %x of %x", m.Delete.Old, msg)
			}
		}
	})
}

// FuzzParseAgainstPglogrepl compares with pglogrepl's parser. Known
// differences, all on purpose:
//   - pglogrepl ignores trailing bytes, unknown flags and unknown kinds of
//     columns and identities, does not check the 'N' of a second tuple, and reads
//     an unterminated prefix of a logical message; here these are errors;
//   - it does not know two-phase commit and the LSN of a parallel stream abort;
//   - it refuses an insert into a table without columns, and a truncate of no
//     tables;
//   - it panics on a message that is cut short, which counts as refusing;
//   - it leaves the namespace pg_catalog empty, as it is sent.
func FuzzParseAgainstPglogrepl(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, msg []byte, inStream bool) {
		var m Message
		err := Parse(msg, inStream, &m)
		switch {
		case errors.Is(err, ErrShort):
			// pglogrepl allocates what a value's length or a number of relations
			// promises, up to 16 GiB, before it finds the bytes missing and panics: not
			// worth asking.
			if strings.HasSuffix(err.Error(), "in value of a column") || m.Kind == KindTruncate {
				return
			}
			if theirs, theirErr := parsePglogrepl(msg, inStream); theirErr == nil && !lenient(theirs) {
				t.Fatalf("refused as %v, pglogrepl read %+v of %x", err, theirs, msg)
			}
		case err != nil:
		case twoPhase(m.Kind):
		default:
			compare(t, msg, inStream, &m)
		}
	})
}

// lenient says whether theirs is of a kind that pglogrepl reads although bytes
// are missing or undefined ones stand in the middle.
func lenient(theirs pglogrepl.Message) bool {
	switch theirs := theirs.(type) {
	case *pglogrepl.LogicalDecodingMessage, *pglogrepl.LogicalDecodingMessageV2:
		return true // prefix without end
	case *pglogrepl.StreamAbortMessageV2:
		return true // half of an abort LSN
	case *pglogrepl.UpdateMessageV2:
		return theirs.OldTupleType != 0 // second kind byte unchecked
	}
	return false
}

func twoPhase(k Kind) bool {
	switch k {
	case KindBeginPrepare, KindPrepare, KindCommitPrepared, KindRollbackPrepared, KindStreamPrepare:
		return true
	}
	return false
}

func parsePglogrepl(msg []byte, inStream bool) (m pglogrepl.Message, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return pglogrepl.ParseV2(msg, inStream)
}

func compare(t *testing.T, msg []byte, inStream bool, m *Message) {
	theirs, err := parsePglogrepl(msg, inStream)
	if err != nil {
		if m.Kind == KindInsert && m.Insert.New.Columns() == 0 || m.Kind == KindTruncate && len(m.Truncate.OIDs) == 0 {
			return
		}
		t.Fatalf("read %v, pglogrepl refuses %x: %v", m.Kind, msg, err)
	}
	ours, want := describe(m), describePglogrepl(theirs)
	if ours != want {
		t.Fatalf("of %x\ngot       %s\npglogrepl %s", msg, ours, want)
	}
}

// wrapped is how pglogrepl counts time: in nanoseconds, which overflow outside
// 1678 to 2262.
func wrapped(ts Timestamp) int64 { return (unixEpochOffset*1_000_000 + int64(ts)) * 1000 }

func nanoseconds(t time.Time) int64 { return t.UnixNano() }

func namespace(s string) string {
	if s == "" {
		return "pg_catalog"
	}
	return s
}

func describe(m *Message) string {
	switch m.Kind {
	case KindBegin:
		return fmt.Sprint("begin ", m.Begin.FinalLSN, wrapped(m.Begin.CommitTime), m.Begin.XID)
	case KindCommit:
		return fmt.Sprint("commit ", m.Commit.CommitLSN, m.Commit.EndLSN, wrapped(m.Commit.Time))
	case KindOrigin:
		return fmt.Sprintf("origin %d %q", m.Origin.CommitLSN, m.Origin.Name)
	case KindRelation:
		s := fmt.Sprintf("relation %d %d %q %q %c", m.XID, m.Relation.OID, m.Relation.Namespace, m.Relation.Name, m.Relation.Identity)
		for _, c := range m.Relation.Columns {
			s += fmt.Sprintf(" (%v %q %d %d)", c.Key, c.Name, c.TypeOID, c.TypeMod)
		}
		return s
	case KindType:
		return fmt.Sprintf("type %d %d %q %q", m.XID, m.Type.OID, m.Type.Namespace, m.Type.Name)
	case KindInsert:
		return fmt.Sprintf("insert %d %d %x", m.XID, m.Insert.RelationOID, []byte(m.Insert.New))
	case KindUpdate:
		return fmt.Sprintf("update %d %d %d %x %x", m.XID, m.Update.RelationOID, m.Update.OldKind, []byte(m.Update.Old), []byte(m.Update.New))
	case KindDelete:
		return fmt.Sprintf("delete %d %d %d %x", m.XID, m.Delete.RelationOID, m.Delete.OldKind, []byte(m.Delete.Old))
	case KindTruncate:
		return fmt.Sprint("truncate ", m.XID, m.Truncate.OIDs, m.Truncate.Cascade, m.Truncate.RestartIdentity)
	case KindLogicalMessage:
		l := m.LogicalMessage
		return fmt.Sprintf("message %d %v %d %q %x", m.XID, l.Transactional, l.LSN, l.Prefix, l.Content)
	case KindStreamStart:
		return fmt.Sprint("stream start ", m.StreamStart.XID, m.StreamStart.First)
	case KindStreamStop:
		return "stream stop"
	case KindStreamCommit:
		c := m.StreamCommit
		return fmt.Sprint("stream commit ", c.XID, c.CommitLSN, c.EndLSN, wrapped(c.Time))
	case KindStreamAbort:
		return fmt.Sprint("stream abort ", m.StreamAbort.XID, m.StreamAbort.SubXID)
	}
	return "unknown"
}

func describePglogrepl(m pglogrepl.Message) string {
	switch m := m.(type) {
	case *pglogrepl.BeginMessage:
		return fmt.Sprint("begin ", uint64(m.FinalLSN), nanoseconds(m.CommitTime), m.Xid)
	case *pglogrepl.CommitMessage:
		return fmt.Sprint("commit ", uint64(m.CommitLSN), uint64(m.TransactionEndLSN), nanoseconds(m.CommitTime))
	case *pglogrepl.OriginMessage:
		return fmt.Sprintf("origin %d %q", uint64(m.CommitLSN), m.Name)
	case *pglogrepl.RelationMessageV2:
		s := fmt.Sprintf("relation %d %d %q %q %c", m.Xid, m.RelationID, namespace(m.Namespace), m.RelationName, m.ReplicaIdentity)
		for _, c := range m.Columns {
			s += fmt.Sprintf(" (%v %q %d %d)", c.Flags == 1, c.Name, c.DataType, c.TypeModifier)
		}
		return s
	case *pglogrepl.TypeMessageV2:
		return fmt.Sprintf("type %d %d %q %q", m.Xid, m.DataType, namespace(m.Namespace), m.Name)
	case *pglogrepl.InsertMessageV2:
		return fmt.Sprintf("insert %d %d %x", m.Xid, m.RelationID, encodeTuple(m.Tuple))
	case *pglogrepl.UpdateMessageV2:
		return fmt.Sprintf("update %d %d %d %x %x", m.Xid, m.RelationID, m.OldTupleType, encodeTuple(m.OldTuple), encodeTuple(m.NewTuple))
	case *pglogrepl.DeleteMessageV2:
		return fmt.Sprintf("delete %d %d %d %x", m.Xid, m.RelationID, m.OldTupleType, encodeTuple(m.OldTuple))
	case *pglogrepl.TruncateMessageV2:
		return fmt.Sprint("truncate ", m.Xid, m.RelationIDs, m.Option&1 != 0, m.Option&2 != 0)
	case *pglogrepl.LogicalDecodingMessageV2:
		return fmt.Sprintf("message %d %v %d %q %x", m.Xid, m.Transactional, uint64(m.LSN), m.Prefix, m.Content)
	case *pglogrepl.StreamStartMessageV2:
		return fmt.Sprint("stream start ", m.Xid, m.FirstSegment == 1)
	case *pglogrepl.StreamStopMessageV2:
		return "stream stop"
	case *pglogrepl.StreamCommitMessageV2:
		return fmt.Sprint("stream commit ", m.Xid, uint64(m.CommitLSN), uint64(m.TransactionEndLSN), nanoseconds(m.CommitTime))
	case *pglogrepl.StreamAbortMessageV2:
		return fmt.Sprint("stream abort ", m.Xid, m.SubXid)
	}
	return fmt.Sprintf("%T", m)
}

func encodeTuple(t *pglogrepl.TupleData) []byte {
	if t == nil {
		return nil
	}
	w := wire{}.i16(t.ColumnNum)
	for _, c := range t.Columns {
		w = w.b(c.DataType)
		if c.DataType == 't' || c.DataType == 'b' {
			w = w.value(string(c.Data))
		}
	}
	return w
}

// FuzzParseFrames checks that frames of any content neither panic nor lose a
// byte.
func FuzzParseFrames(f *testing.F) {
	f.Add([]byte(wire{'w'}.i64(1).i64(2).i64(3).b([]byte("body")...)))
	f.Add([]byte(wire{'k'}.i64(1).i64(2).b(1)))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if x, err := ParseXLogData(frame); err == nil {
			theirs, err := pglogrepl.ParseXLogData(frame[1:])
			if err != nil || uint64(theirs.WALStart) != x.Start || uint64(theirs.ServerWALEnd) != x.End || !bytes.Equal(theirs.WALData, x.Data) {
				t.Errorf("WAL data %x: got %+v, pglogrepl %+v, %v", frame, x, theirs, err)
			}
		}
		if k, err := ParseKeepalive(frame); err == nil {
			theirs, err := pglogrepl.ParsePrimaryKeepaliveMessage(frame[1:])
			if err != nil || uint64(theirs.ServerWALEnd) != k.End || theirs.ReplyRequested != k.ReplyRequested {
				t.Errorf("keepalive %x: got %+v, pglogrepl %+v, %v", frame, k, theirs, err)
			}
		}
	})
}
