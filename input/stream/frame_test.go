package stream

import (
	"encoding/binary"
	"strings"
	"testing"
)

// bytesOf concatenates integers of the sizes that the protocol has.
func bytesOf(parts ...any) (b []byte) {
	for _, part := range parts {
		switch part := part.(type) {
		case byte:
			b = append(b, part)
		case uint16:
			b = binary.BigEndian.AppendUint16(b, part)
		case uint32:
			b = binary.BigEndian.AppendUint32(b, part)
		case uint64:
			b = binary.BigEndian.AppendUint64(b, part)
		case string:
			b = append(append(b, part...), 0)
		case []byte:
			b = append(b, part...)
		}
	}
	return b
}

func wal(lsn uint64, message ...any) []byte {
	return bytesOf(byte('w'), lsn, lsn, uint64(0), bytesOf(message...))
}

func begin(lsn, commit uint64) []byte { return wal(lsn, byte('B'), commit, uint64(0), uint32(7)) }

// TestWhatIsNotUnderstoodEndsTheStream guards rules 8 and 9: an error that says
// where, and nothing gathered or confirmed.
func TestWhatIsNotUnderstoodEndsTheStream(t *testing.T) {
	insert := func(lsn uint64) []byte { return wal(lsn, byte('I'), uint32(5), byte('N'), []byte(tuple("1"))) }
	for _, tt := range []struct {
		name   string
		frames [][]byte
		want   []string
	}{
		{"an empty frame", [][]byte{begin(0x10, 0x50), {}}, []string{"0000000000000010", "empty"}},
		{"an unknown frame", [][]byte{begin(0x10, 0x50), {'z'}}, []string{"0000000000000010", "unknown frame"}},
		{"a short frame", [][]byte{begin(0x10, 0x50), {'w', 1}}, []string{"0000000000000010"}},
		{"a short keepalive", [][]byte{begin(0x10, 0x50), {'k', 1}}, []string{"0000000000000010"}},
		{"an unknown message", [][]byte{wal(0x20, byte('Z'))}, []string{"0000000000000020", "unknown kind"}},
		{"an empty message", [][]byte{wal(0x20)}, []string{"0000000000000020"}},
		{"a message cut short", [][]byte{wal(0x20, byte('B'), uint32(1))}, []string{"0000000000000020", "cut short"}},
		{"a streamed transaction", [][]byte{wal(0x20, byte('S'), uint32(1), byte(1))}, []string{"stream start", "0000000000000020", "version 1"}},
		{"a stream stop", [][]byte{wal(0x20, byte('E'))}, []string{"stream stop", "0000000000000020"}},
		{"a prepared transaction", [][]byte{wal(0x20, byte('b'), uint64(1), uint64(2), uint64(3), uint32(4), "gid")}, []string{"begin prepare", "0000000000000020"}},
		{"a relation that was not announced", [][]byte{begin(0x10, 0x50), insert(0x20)}, []string{"insert", "0000000000000020", "relation 5"}},
		{"a change outside a transaction", [][]byte{insert(0x20)}, []string{"insert", "0000000000000020", "outside"}},
		{"a transaction in a transaction", [][]byte{begin(0x10, 0x50), begin(0x20, 0x60)}, []string{"begin", "0000000000000020", "7"}},
		{"a commit without a beginning", [][]byte{wal(0x20, byte('C'), byte(0), uint64(0x50), uint64(0x60), uint64(0))}, []string{"commit", "0000000000000020"}},
		{"a commit of another transaction", [][]byte{begin(0x10, 0x50), wal(0x20, byte('C'), byte(0), uint64(0x51), uint64(0x60), uint64(0))}, []string{"commit", "0000000000000020"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkpoint := NewCheckpoint(1)
			r := NewReader(nil, &following{}, checkpoint, nil, Options{MaxRows: 10, MaxBytes: 1000})
			var err error
			for _, frame := range tt.frames {
				if err = r.frame(t.Context(), frame); err != nil {
					break
				}
			}
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(strings.ReplaceAll(err.Error(), "/", ""), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if r.assembler.rows != 0 || checkpoint.Confirmed() != 1 {
				t.Error("something was gathered or confirmed")
			}
		})
	}
}

// TestMessagesWithoutAChangeAreTaken guards rule 8: each kind has its branch.
func TestMessagesWithoutAChangeAreTaken(t *testing.T) {
	checkpoint := NewCheckpoint(1)
	r := NewReader(nil, &following{}, checkpoint, nil, Options{MaxRows: 10, MaxBytes: 1000})
	for _, frame := range [][]byte{
		begin(0x10, 0x50),
		wal(0x10, byte('O'), uint64(9), "another server"),
		wal(0, byte('Y'), uint32(16400), "public", "mood"),
		wal(0, byte('R'), uint32(5), "public", "not replicated", byte('d'), uint16(0)),
		wal(0x20, byte('I'), uint32(5), byte('N'), []byte(tuple())),
		wal(0x30, byte('T'), uint32(1), byte(0), uint32(5)),
		wal(0x40, byte('M'), byte(1), uint64(0x40), "penstock", uint32(1), []byte("x")),
		bytesOf(byte('k'), uint64(0x48), uint64(0), byte(0)), // inside: says nothing
	} {
		if err := r.frame(t.Context(), frame); err != nil {
			t.Fatal(err)
		}
		if checkpoint.Confirmed() != 1 {
			t.Fatal("confirmed inside a transaction")
		}
	}
	if err := r.frame(t.Context(), wal(0x60, byte('C'), byte(0), uint64(0x50), uint64(0x60), uint64(0))); err != nil {
		t.Fatal(err)
	}
	if got := checkpoint.Confirmed(); got != 0x60 {
		t.Errorf("confirmed %x, want the end of the commit", got)
	}
	if err := r.frame(t.Context(), bytesOf(byte('k'), uint64(0x80), uint64(0), byte(0))); err != nil {
		t.Fatal(err)
	}
	if got := checkpoint.Confirmed(); got != 0x80 {
		t.Errorf("confirmed %x, want the end of the idle WAL", got)
	}
}
