package pgoutput

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Why a message was refused; wrapped in the errors of [Parse], [ParseXLogData]
// and [ParseKeepalive].
var (
	ErrShort       = errors.New("message is cut short")
	ErrTrailing    = errors.New("message runs on behind its end")
	ErrUnknownKind = errors.New("unknown kind of message")
	ErrInvalid     = errors.New("value not defined by the protocol")
)

// cursor reads a message from its front. The first thing that is wrong stops
// it: all later reads return zero values, so that a parser reads all fields and
// asks once, at the end.
type cursor struct {
	rest []byte
	err  error
}

// short notes that the message ended inside field.
func (c *cursor) short(field string) {
	if c.err == nil {
		c.err = fmt.Errorf("%w in %s", ErrShort, field)
	}
	c.rest = nil
}

// invalid notes that field holds a value outside the protocol.
func (c *cursor) invalid(field string, value byte) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %s is %#02x", ErrInvalid, field, value)
	}
	c.rest = nil
}

func (c *cursor) byte(field string) byte {
	if len(c.rest) < 1 {
		c.short(field)
		return 0
	}
	v := c.rest[0]
	c.rest = c.rest[1:]
	return v
}

func (c *cursor) uint16(field string) uint16 {
	if len(c.rest) < 2 {
		c.short(field)
		return 0
	}
	v := binary.BigEndian.Uint16(c.rest)
	c.rest = c.rest[2:]
	return v
}

func (c *cursor) uint32(field string) uint32 {
	if len(c.rest) < 4 {
		c.short(field)
		return 0
	}
	v := binary.BigEndian.Uint32(c.rest)
	c.rest = c.rest[4:]
	return v
}

func (c *cursor) uint64(field string) uint64 {
	if len(c.rest) < 8 {
		c.short(field)
		return 0
	}
	v := binary.BigEndian.Uint64(c.rest)
	c.rest = c.rest[8:]
	return v
}

func (c *cursor) time(field string) Timestamp { return Timestamp(c.uint64(field)) }

// text reads a string that ends in a zero byte, and copies it.
func (c *cursor) text(field string) string {
	end := bytes.IndexByte(c.rest, 0)
	if end < 0 {
		c.short(field)
		return ""
	}
	v := string(c.rest[:end])
	c.rest = c.rest[end+1:]
	return v
}

// namespace reads a schema's name. The server sends pg_catalog as an empty
// string to save bytes.
func (c *cursor) namespace(field string) string {
	if name := c.text(field); name != "" || c.err != nil {
		return name
	}
	return "pg_catalog"
}

// flags reads a byte of flags and refuses those outside known: a flag that we
// do not know may change what the message means.
func (c *cursor) flags(field string, known byte) byte {
	v := c.byte(field)
	if v&^known != 0 {
		c.invalid(field, v)
		return 0
	}
	return v
}

// tuple walks over one TupleData and returns its bytes.
func (c *cursor) tuple() Tuple {
	b := c.rest
	if len(b) < 2 {
		c.short("number of columns")
		return nil
	}
	at := 2
	for columns := int(b[0])<<8 | int(b[1]); columns > 0; columns-- {
		if at >= len(b) {
			c.short("kind of a column")
			return nil
		}
		kind := b[at]
		at++
		switch kind {
		case 'n', 'u':
		case 't', 'b':
			if len(b)-at < 4 {
				c.short("length of a value")
				return nil
			}
			// Unsigned, a negative Int32 is longer than any message.
			length := binary.BigEndian.Uint32(b[at:])
			at += 4
			if uint64(length) > uint64(len(b)-at) {
				c.short("value of a column")
				return nil
			}
			at += int(length)
		default:
			c.invalid("kind of a column", kind)
			return nil
		}
	}
	c.rest = b[at:]
	return Tuple(b[:at:at])
}

// done returns the error met, also where bytes are left over.
func (c *cursor) done() error {
	if c.err == nil && len(c.rest) > 0 {
		c.err = fmt.Errorf("%w: %d bytes too many", ErrTrailing, len(c.rest))
	}
	return c.err
}
