package pgoutput

import (
	"bytes"
	"errors"
	"testing"
)

func TestFramesOfTheReplicationStream(t *testing.T) {
	x, err := ParseXLogData(wire{'w'}.i64(1).i64(2).i64(3).b([]byte("BODY")...))
	if err != nil || x.Start != 1 || x.End != 2 || x.ServerTime != 3 || string(x.Data) != "BODY" {
		t.Errorf("WAL data: got %+v, %v", x, err)
	}
	k, err := ParseKeepalive(wire{'k'}.i64(7).i64(8).b(1))
	if want := (Keepalive{7, 8, true}); err != nil || k != want {
		t.Errorf("keepalive: got %+v, %v", k, err)
	}
	for cut := range 25 {
		if _, err := ParseXLogData(wire{'w'}.i64(1).i64(2).i64(3)[:cut]); !errors.Is(err, ErrShort) {
			t.Errorf("WAL data cut to %d bytes: %v", cut, err)
		}
	}
	for cut := range 18 {
		if _, err := ParseKeepalive(wire{'k'}.i64(7).i64(8).b(1)[:cut]); !errors.Is(err, ErrShort) {
			t.Errorf("keepalive cut to %d bytes: %v", cut, err)
		}
	}
	if _, err := ParseKeepalive(wire{'k'}.i64(7).i64(8).b(1, 0)); !errors.Is(err, ErrTrailing) {
		t.Errorf("keepalive too long: %v", err)
	}
	if _, err := ParseKeepalive(wire{'w'}.i64(7).i64(8).b(1)); !errors.Is(err, ErrInvalid) {
		t.Errorf("keepalive of another kind: %v", err)
	}
}

func TestStandbyStatusLayout(t *testing.T) {
	got := StandbyStatus{Written: 1, Flushed: 2, Applied: 3, Time: -4, ReplyRequested: true}.Append(make([]byte, 0, StandbyStatusSize))
	want := wire{'r'}.i64(1).i64(2).i64(3).i64(^uint64(3)).b(1)
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
	if len(got) != StandbyStatusSize {
		t.Errorf("%d bytes, StandbyStatusSize is %d", len(got), StandbyStatusSize)
	}
}

func TestFramingAllocatesNothing(t *testing.T) {
	frame := wire{'w'}.i64(1).i64(2).i64(3).b([]byte("BODY")...)
	status := make([]byte, 0, StandbyStatusSize)
	if n := testing.AllocsPerRun(100, func() {
		x, _ := ParseXLogData(frame)
		status = StandbyStatus{Written: x.End}.Append(status[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
