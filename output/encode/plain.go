package encode

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/penstock/penstock/internal/change"
)

// newBool stores bool in Bool or UInt8, which have the same form: 0 or 1.
func newBool(s *site) encoder {
	return &fixed[uint8]{
		site: s,
		binary: func(b []byte) (uint8, verdict) {
			if len(b) != 1 || b[0] > 1 {
				return 0, malformed
			}
			return b[0], exact
		},
		text: readBool,
		run: func(dst []uint8, data []byte, cells []change.Cell) int {
			for i := range cells {
				c := &cells[i]
				if c.Kind != change.Binary || c.Length != 1 || data[c.Offset] > 1 {
					return i
				}
				dst[i] = data[c.Offset]
			}
			return len(cells)
		},
		input: func(v []uint8) proto.ColInput { return proto.ColUInt8(v) },
	}
}

// readBool reads t and f as PostgreSQL prints them, and the words and digits of
// JSON and mappings.
func readBool(b []byte) (uint8, verdict) {
	switch {
	case len(b) == 1 && (b[0] == 't' || b[0] == '1'), equalFold(b, "true"):
		return 1, exact
	case len(b) == 1 && (b[0] == 'f' || b[0] == '0'), equalFold(b, "false"):
		return 0, exact
	}
	return 0, malformed
}

// newUUID stores uuid in UUID: two UInt64, the most significant first, each in
// ClickHouse's little-endian order, which an int128 of swapped halves writes.
func newUUID(s *site) encoder {
	return &fixed[int128]{
		site: s,
		binary: func(b []byte) (int128, verdict) {
			if len(b) != 16 {
				return int128{}, malformed
			}
			return uuidOf(b), exact
		},
		text: readUUID,
		run: func(dst []int128, data []byte, cells []change.Cell) int {
			for i := range cells {
				c := &cells[i]
				if c.Kind != change.Binary || c.Length != 16 {
					return i
				}
				dst[i] = uuidOf(data[c.Offset:])
			}
			return len(cells)
		},
		input: func(v []int128) proto.ColInput { return proto.ColInt128(v) },
	}
}

func uuidOf(b []byte) int128 {
	_ = b[15]
	return int128{Low: binary.BigEndian.Uint64(b), High: binary.BigEndian.Uint64(b[8:])}
}

// readUUID reads 32 hexadecimal digits, with or without hyphens and braces.
func readUUID(text []byte) (int128, verdict) {
	var b [16]byte
	if len(text) == 36 && text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-' {
		ok := readHex(b[0:4], text[0:]) && readHex(b[4:6], text[9:]) && readHex(b[6:8], text[14:]) &&
			readHex(b[8:10], text[19:]) && readHex(b[10:16], text[24:])
		if ok {
			return uuidOf(b[:]), exact
		}
		return int128{}, malformed
	}
	digits := 0
	for _, c := range text {
		d := hexDigit(c)
		switch {
		case d > 15 && (c == '-' || c == '{' || c == '}'):
			continue
		case d > 15 || digits == 32:
			return int128{}, malformed
		}
		b[digits/2] = b[digits/2]<<4 | d
		digits++
	}
	if digits != 32 {
		return int128{}, malformed
	}
	return uuidOf(b[:]), exact
}

// readHex fills dst from the digits at the head of text.
func readHex(dst, text []byte) bool {
	text = text[:2*len(dst)]
	var bad byte
	for i := range dst {
		hi, lo := hexDigits[text[2*i]], hexDigits[text[2*i+1]]
		dst[i] = hi<<4 | lo
		bad |= hi | lo
	}
	return bad <= 15
}

// hexDigits holds hexDigit of every byte.
var hexDigits = func() (table [256]byte) {
	for c := range table {
		table[c] = hexDigit(byte(c))
	}
	return table
}()

// hexDigit returns the value of a hexadecimal digit, above 15 if c is none.
func hexDigit(c byte) byte {
	switch {
	case c-'0' <= 9:
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0xFF
}

// newIPv4 and newIPv6 store inet and cidr whose netmask is the full one. An IPv4
// address goes into IPv6 as ::ffff:a.b.c.d.
func newIPv4(s *site) encoder {
	place := func(p netip.Prefix, ok bool) (proto.IPv4, verdict) {
		switch {
		case !ok:
			return 0, malformed
		case !p.IsSingleIP() || !p.Addr().Is4():
			return 0, hasNetmask
		}
		return proto.ToIPv4(p.Addr()), exact
	}
	return &fixed[proto.IPv4]{
		site:   s,
		binary: func(b []byte) (proto.IPv4, verdict) { return place(binaryInet(b)) },
		text:   func(b []byte) (proto.IPv4, verdict) { return place(textInet(b)) },
		input:  func(v []proto.IPv4) proto.ColInput { return proto.ColIPv4(v) },
	}
}

func newIPv6(s *site) encoder {
	place := func(p netip.Prefix, ok bool) (proto.IPv6, verdict) {
		switch {
		case !ok:
			return proto.IPv6{}, malformed
		case !p.IsSingleIP():
			return proto.IPv6{}, hasNetmask
		}
		return proto.IPv6(p.Addr().As16()), exact
	}
	return &fixed[proto.IPv6]{
		site:   s,
		binary: func(b []byte) (proto.IPv6, verdict) { return place(binaryInet(b)) },
		text:   func(b []byte) (proto.IPv6, verdict) { return place(textInet(b)) },
		input:  func(v []proto.IPv6) proto.ColInput { return proto.ColIPv6(v) },
	}
}

// The address families of inet's binary format: PostgreSQL, network_send in
// src/backend/utils/adt/network.c.
const (
	inetFamily4 = 2
	inetFamily6 = 3
)

// binaryInet reads a byte each of family, netmask bits, is-cidr and address
// length, then the address.
func binaryInet(b []byte) (netip.Prefix, bool) {
	if len(b) < 4 || len(b) != 4+int(b[3]) {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(b[4:])
	if !ok || (b[0] == inetFamily4) != addr.Is4() || (b[0] == inetFamily6) != addr.Is6() {
		return netip.Prefix{}, false
	}
	p := netip.PrefixFrom(addr, int(b[1]))
	return p, p.IsValid()
}

// textInet reads an address with or without /bits. PostgreSQL omits the bits of
// an inet with a full netmask.
func textInet(b []byte) (netip.Prefix, bool) {
	// The string is read during the call only, so that it may share b's memory.
	text := unsafe.String(unsafe.SliceData(b), len(b))
	for _, c := range b {
		switch c {
		case '/':
			p, err := netip.ParsePrefix(text)
			return p, err == nil
		case '%':
			return netip.Prefix{}, false // an IPv6 zone, which would keep a reference to the text
		}
	}
	addr, err := netip.ParseAddr(text)
	return netip.PrefixFrom(addr, addr.BitLen()), err == nil
}
