package pgoutput

import (
	"encoding/binary"
	"fmt"
)

// The first bytes of the CopyData messages that a replication stream is made of
// (PostgreSQL docs 55.4, START_REPLICATION).
const (
	FrameXLogData      byte = 'w'
	FrameKeepalive     byte = 'k'
	FrameStandbyStatus byte = 'r'
)

// XLogData carries one message of the output plugin.
type XLogData struct {
	Start      uint64 // WAL position of Data; 0 for messages that have none
	End        uint64 // current end of WAL on the server
	ServerTime Timestamp
	Data       []byte // for [Parse]; aliases the frame
}

// ParseXLogData reads a frame that begins with [FrameXLogData].
func ParseXLogData(frame []byte) (XLogData, error) {
	c := cursor{rest: frame}
	c.frame(FrameXLogData)
	x := XLogData{Start: c.uint64("start"), End: c.uint64("end"), ServerTime: c.time("server time"), Data: c.rest}
	if c.err != nil {
		return XLogData{}, fmt.Errorf("parsing a frame of WAL data: %w", c.err)
	}
	return x, nil
}

// Keepalive is the server's sign of life.
type Keepalive struct {
	End            uint64 // current end of WAL on the server
	ServerTime     Timestamp
	ReplyRequested bool // answer at once, or be disconnected
}

// ParseKeepalive reads a frame that begins with [FrameKeepalive].
func ParseKeepalive(frame []byte) (Keepalive, error) {
	c := cursor{rest: frame}
	c.frame(FrameKeepalive)
	k := Keepalive{End: c.uint64("end"), ServerTime: c.time("server time"), ReplyRequested: c.byte("reply requested") != 0}
	if err := c.done(); err != nil {
		return Keepalive{}, fmt.Errorf("parsing a keepalive: %w", err)
	}
	return k, nil
}

func (c *cursor) frame(want byte) {
	if kind := c.byte("kind of the frame"); kind != want {
		c.invalid("kind of the frame", kind)
	}
}

// StandbyStatus tells the server how far the stream was taken. The positions
// are those of the last byte + 1.
type StandbyStatus struct {
	Written uint64 // received
	Flushed uint64 // durable downstream: the server may recycle WAL before it
	Applied uint64
	// Time of this machine's clock.
	Time           Timestamp
	ReplyRequested bool // ask for a keepalive at once
}

// StandbyStatusSize is the length of an encoded [StandbyStatus] in bytes.
const StandbyStatusSize = 1 + 4*8 + 1

// Append appends the content of the CopyData message to dst.
func (s StandbyStatus) Append(dst []byte) []byte {
	dst = append(dst, FrameStandbyStatus)
	dst = binary.BigEndian.AppendUint64(dst, s.Written)
	dst = binary.BigEndian.AppendUint64(dst, s.Flushed)
	dst = binary.BigEndian.AppendUint64(dst, s.Applied)
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.Time))
	if s.ReplyRequested {
		return append(dst, 1)
	}
	return append(dst, 0)
}
