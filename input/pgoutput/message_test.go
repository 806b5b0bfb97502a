package pgoutput

import (
	"encoding/binary"
	"errors"
	"reflect"
	"testing"
	"time"
)

// wire builds messages by hand, field by field, as the documentation lists them.
type wire []byte

func (w wire) b(v ...byte) wire    { return append(w, v...) }
func (w wire) i16(v uint16) wire   { return binary.BigEndian.AppendUint16(w, v) }
func (w wire) i32(v uint32) wire   { return binary.BigEndian.AppendUint32(w, v) }
func (w wire) i64(v uint64) wire   { return binary.BigEndian.AppendUint64(w, v) }
func (w wire) s(v string) wire     { return append(append(w, v...), 0) }
func (w wire) value(v string) wire { return append(w.i32(uint32(len(v))), v...) }
func kind(k Kind) wire             { return wire{byte(k)} }

var (
	tupleA = wire{}.i16(4).b('n').b('u').b('t').value("café").b('b').value("\x00\x00\x00\x07")
	tupleB = wire{}.i16(1).b('t').value("")
)

type messageCase struct {
	name     string
	inStream bool
	msg      wire
	want     Message
}

// messageCases has at least one message of every kind.
func messageCases() []messageCase {
	return []messageCase{
		{"begin", false, kind('B').i64(0x16B374D848).i64(1_000_000).i32(757), Message{Begin: Begin{0x16B374D848, 1_000_000, 757}}},
		{"commit", false, kind('C').b(0).i64(10).i64(20).i64(30), Message{Commit: Commit{10, 20, 30}}},
		{"origin", false, kind('O').i64(10).s("node_b"), Message{Origin: Origin{10, "node_b"}}},
		{
			"relation", false,
			kind('R').i32(16384).s("public").s("orders").b('d').i16(2).b(1).s("id").i32(23).i32(0xFFFFFFFF).b(0).s("total").i32(1700).i32(655366),
			Message{Relation: Relation{16384, "public", "orders", 'd', []RelationColumn{{true, "id", 23, -1}, {false, "total", 1700, 655366}}}},
		},
		{
			"relation in pg_catalog without columns", true,
			kind('R').i32(7).i32(16384).s("").s("empty").b('f').i16(0),
			Message{XID: 7, Relation: Relation{16384, "pg_catalog", "empty", 'f', []RelationColumn{}}},
		},
		{"type", false, kind('Y').i32(16400).s("shop").s("mood"), Message{Type: Type{16400, "shop", "mood"}}},
		{"type in stream", true, kind('Y').i32(9).i32(16400).s("").s("mood"), Message{XID: 9, Type: Type{16400, "pg_catalog", "mood"}}},
		{"insert", false, kind('I').i32(16384).b('N').b(tupleA...), Message{Insert: Insert{16384, Tuple(tupleA)}}},
		{"insert in stream", true, kind('I').i32(800).i32(16384).b('N').b(tupleB...), Message{XID: 800, Insert: Insert{16384, Tuple(tupleB)}}},
		{"insert into a table without columns", false, kind('I').i32(16384).b('N').i16(0), Message{Insert: Insert{16384, Tuple{0, 0}}}},
		{"update", false, kind('U').i32(16384).b('N').b(tupleA...), Message{Update: Update{16384, NoOld, nil, Tuple(tupleA)}}},
		{"update of the key", false, kind('U').i32(16384).b('K').b(tupleB...).b('N').b(tupleA...), Message{Update: Update{16384, KeyOld, Tuple(tupleB), Tuple(tupleA)}}},
		{"update with the old row", true, kind('U').i32(1).i32(16384).b('O').b(tupleA...).b('N').b(tupleB...), Message{XID: 1, Update: Update{16384, FullOld, Tuple(tupleA), Tuple(tupleB)}}},
		{"delete by key", false, kind('D').i32(16384).b('K').b(tupleB...), Message{Delete: Delete{16384, KeyOld, Tuple(tupleB)}}},
		{"delete by row", true, kind('D').i32(5).i32(16384).b('O').b(tupleA...), Message{XID: 5, Delete: Delete{16384, FullOld, Tuple(tupleA)}}},
		{"truncate", false, kind('T').i32(2).b(3).i32(16384).i32(16385), Message{Truncate: Truncate{[]uint32{16384, 16385}, true, true}}},
		{"truncate in stream", true, kind('T').i32(6).i32(1).b(2).i32(16384), Message{XID: 6, Truncate: Truncate{[]uint32{16384}, false, true}}},
		{"logical message", false, kind('M').b(1).i64(99).s("penstock").value("beat"), Message{LogicalMessage: LogicalMessage{true, 99, "penstock", []byte("beat")}}},
		{"logical message in stream", true, kind('M').i32(6).b(0).i64(99).s("").value(""), Message{XID: 6, LogicalMessage: LogicalMessage{false, 99, "", []byte{}}}},
		{"stream start", false, kind('S').i32(750).b(1), Message{StreamStart: StreamStart{750, true}}},
		{"stream start again", false, kind('S').i32(750).b(0), Message{StreamStart: StreamStart{750, false}}},
		{"stream stop", true, kind('E'), Message{}},
		{"stream commit", false, kind('c').i32(750).b(0).i64(1).i64(2).i64(3), Message{StreamCommit: StreamCommit{750, 1, 2, 3}}},
		{"stream abort", false, kind('A').i32(750).i32(751), Message{StreamAbort: StreamAbort{750, 751, 0, 0}}},
		{"stream abort, parallel", false, kind('A').i32(750).i32(751).i64(4).i64(5), Message{StreamAbort: StreamAbort{750, 751, 4, 5}}},
		{"begin prepare", false, kind('b').i64(1).i64(2).i64(3).i32(4).s("gid-1"), Message{Prepare: Prepare{1, 2, 3, 4, "gid-1"}}},
		{"prepare", false, kind('P').b(0).i64(1).i64(2).i64(3).i32(4).s("gid-1"), Message{Prepare: Prepare{1, 2, 3, 4, "gid-1"}}},
		{"stream prepare", false, kind('p').b(0).i64(1).i64(2).i64(3).i32(4).s("gid-1"), Message{Prepare: Prepare{1, 2, 3, 4, "gid-1"}}},
		{"commit prepared", false, kind('K').b(0).i64(1).i64(2).i64(3).i32(4).s("gid-1"), Message{CommitPrepared: CommitPrepared{1, 2, 3, 4, "gid-1"}}},
		{"rollback prepared", false, kind('r').b(0).i64(1).i64(2).i64(3).i64(4).i32(5).s("gid-1"), Message{RollbackPrepared: RollbackPrepared{1, 2, 3, 4, 5, "gid-1"}}},
	}
}

func TestEveryKindOfMessageHasItsBranch(t *testing.T) {
	seen := map[Kind]bool{}
	for _, tc := range messageCases() {
		t.Run(tc.name, func(t *testing.T) {
			seen[Kind(tc.msg[0])] = true
			tc.want.Kind = Kind(tc.msg[0])
			var got Message
			if err := Parse(tc.msg, tc.inStream, &got); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
		})
	}
	for k, name := range kindNames {
		if name != "" && !seen[Kind(k)] {
			t.Errorf("no case for kind %q", rune(k))
		}
	}
}

func TestMessagesCutShortOrTooLongAreRefused(t *testing.T) {
	for _, tc := range messageCases() {
		t.Run(tc.name, func(t *testing.T) {
			var m Message
			for cut := range len(tc.msg) {
				// A stream abort has two lengths.
				if tc.msg[0] == byte(KindStreamAbort) && cut == 9 {
					continue
				}
				if err := Parse(tc.msg[:cut:cut], tc.inStream, &m); !errors.Is(err, ErrShort) {
					t.Errorf("cut to %d of %d bytes: %v", cut, len(tc.msg), err)
				}
			}
			err := Parse(append(tc.msg[:len(tc.msg):len(tc.msg)], 0), tc.inStream, &m)
			shorter := tc.msg[0] == byte(KindStreamAbort) && len(tc.msg) == 9
			if shorter && !errors.Is(err, ErrShort) || !shorter && !errors.Is(err, ErrTrailing) {
				t.Errorf("one byte too many: %v", err)
			}
		})
	}
}

func TestWhatTheProtocolDoesNotDefineIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name string
		msg  wire
		want error
	}{
		{"empty", wire{}, ErrShort},
		{"kind", kind('z').i32(1), ErrUnknownKind},
		{"commit flags", kind('C').b(1).i64(1).i64(2).i64(3), ErrInvalid},
		{"identity", kind('R').i32(1).s("a").s("b").b('x').i16(0), ErrInvalid},
		{"column flags", kind('R').i32(1).s("a").s("b").b('d').i16(1).b(2).s("c").i32(23).i32(0), ErrInvalid},
		{"insert of an old tuple", kind('I').i32(1).b('O').b(tupleB...), ErrInvalid},
		{"update with two old tuples", kind('U').i32(1).b('K').b(tupleB...).b('O').b(tupleB...), ErrInvalid},
		{"delete of a new tuple", kind('D').i32(1).b('N').b(tupleB...), ErrInvalid},
		{"kind of a column", kind('I').i32(1).b('N').i16(1).b('x'), ErrInvalid},
		{"our own kind of a column", kind('I').i32(1).b('N').i16(1).b('a'), ErrInvalid},
		{"negative length", kind('I').i32(1).b('N').i16(1).b('t').i32(0xFFFFFFFF), ErrShort},
		{"length near 4 GiB", kind('I').i32(1).b('N').i16(1).b('b').i32(0xFFFFFFF0).b('x'), ErrShort},
		{"truncate flags", kind('T').i32(1).b(4).i32(1), ErrInvalid},
		{"truncate of 2^32-1 relations", kind('T').i32(0xFFFFFFFF).b(0).i32(1), ErrShort},
		{"relation of 65535 columns", kind('R').i32(1).s("a").s("b").b('d').i16(0xFFFF), ErrShort},
		{"message flags", kind('M').b(2).i64(1).s("").value(""), ErrInvalid},
		{"message length", kind('M').b(1).i64(1).s("").i32(0xFFFFFFFF), ErrShort},
		{"first segment", kind('S').i32(1).b(2), ErrInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var m Message
			if err := Parse(tc.msg, false, &m); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestAReusedMessageKeepsNothingOfTheOneBefore(t *testing.T) {
	cases := messageCases()
	for _, first := range cases {
		for _, second := range cases {
			var fresh, reused Message
			if err := Parse(first.msg, first.inStream, &reused); err != nil {
				t.Fatal(err)
			}
			if err := Parse(second.msg, second.inStream, &reused); err != nil {
				t.Fatal(err)
			}
			if err := Parse(second.msg, second.inStream, &fresh); err != nil {
				t.Fatal(err)
			}
			if got, want := payload(&reused), payload(&fresh); reused.XID != fresh.XID || !reflect.DeepEqual(got, want) {
				t.Errorf("%s after %s: got %+v, want %+v", second.name, first.name, got, want)
			}
		}
	}
}

// payload returns the field that m.Kind names.
func payload(m *Message) any {
	switch m.Kind {
	case KindBegin:
		return m.Begin
	case KindCommit:
		return m.Commit
	case KindOrigin:
		return m.Origin
	case KindRelation:
		return m.Relation
	case KindType:
		return m.Type
	case KindInsert:
		return m.Insert
	case KindUpdate:
		return m.Update
	case KindDelete:
		return m.Delete
	case KindTruncate:
		return m.Truncate
	case KindLogicalMessage:
		return m.LogicalMessage
	case KindStreamStart:
		return m.StreamStart
	case KindStreamCommit:
		return m.StreamCommit
	case KindStreamAbort:
		return m.StreamAbort
	case KindPrepare, KindBeginPrepare, KindStreamPrepare:
		return m.Prepare
	case KindCommitPrepared:
		return m.CommitPrepared
	case KindRollbackPrepared:
		return m.RollbackPrepared
	}
	return nil
}

func TestTimestampsCountMicrosecondsSince2000(t *testing.T) {
	for _, tc := range []struct {
		stamp Timestamp
		want  string
	}{
		{0, "2000-01-01T00:00:00Z"},
		{-1, "1999-12-31T23:59:59.999999Z"},
		{820454400_123456, "2025-12-31T00:00:00.123456Z"},
		{9214646400_000000, "2292-01-01T00:00:00Z"},
	} {
		if got := tc.stamp.Time().Format(time.RFC3339Nano); got != tc.want {
			t.Errorf("%d: got %s, want %s", tc.stamp, got, tc.want)
		}
		if got := TimestampOf(tc.stamp.Time()); got != tc.stamp {
			t.Errorf("%d became %d", tc.stamp, got)
		}
	}
}
