package pgoutput

import (
	"testing"

	"github.com/jackc/pglogrepl"
)

// insertOf8 is an insert of 8 columns and 130 bytes.
func insertOf8() []byte {
	return kind('I').i32(16384).b('N').i16(8).
		b('b').value("\x00\x00\x00\x00\x00\x00\x00\x01").b('b').value("\x00\x00\x00\x07").
		b('t').value("a customer's name").b('t').value("someone@example.com").
		b('b').value("12345678").b('b').value("\x00\x02\x00\x00\x00\x00\x00\x02\x00\x0c\x0d\x80").
		b('n').b('b').value("\x01")
}

func rowMessages() map[string][]byte {
	insert := insertOf8()
	tuple := insert[6:]
	return map[string][]byte{
		"insert": insert,
		"update": kind('U').i32(16384).b('O').b(tuple...).b('N').b(tuple...),
		"delete": kind('D').i32(16384).b('K').b(tuple...),
	}
}

func TestRowMessagesAllocateNothing(t *testing.T) {
	for name, msg := range rowMessages() {
		var m Message
		if n := testing.AllocsPerRun(100, func() {
			if err := Parse(msg, false, &m); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for name, msg := range rowMessages() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(msg)))
			var m Message
			for b.Loop() {
				if err := Parse(msg, false, &m); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/pglogrepl", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(msg)))
			for b.Loop() {
				if _, err := pglogrepl.ParseV2(msg, false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
