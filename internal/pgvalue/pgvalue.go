// Package pgvalue reads single PostgreSQL values, in binary and in text format,
// and writes them as text or as the value of a message's body.
//
// A value means the same in both formats: what it becomes never depends on how
// the server sent it. Text is what the server prints in a session with
// TimeZone=UTC, DateStyle=ISO, IntervalStyle=iso_8601, extra_float_digits=3 and
// bytea_output=hex, and text cells are expected to come from such a session.
// Binary formats are those of the *_send functions in PostgreSQL's
// src/backend/utils/adt.
package pgvalue

import (
	"errors"
	"fmt"

	"github.com/penstock/penstock/internal/change"
)

// ErrMalformed is wrapped by all errors about bytes that are not a value of
// their type.
var ErrMalformed = errors.New("malformed value")

// family is a group of types with one binary format and one text format.
type family byte

const (
	other family = iota // read as text only
	boolean
	smallint
	integer
	bigint
	objectID // oid, xid
	xid8
	real
	double
	numeric
	money
	character // text in either format
	singleByte
	bytea
	uuid
	date
	timestamp
	timestamptz
	timeOfDay
	timetz
	interval
	jsonText
	jsonb
	vector
	halfvec
	array
)

// familyOf looks a type up. OIDs below 16384 belong to PostgreSQL itself and
// never change; types of extensions go by name.
func familyOf(t *change.Type) family {
	switch t.Kind {
	case change.TypeEnum:
		return character
	case change.TypeArray:
		// int2vector and oidvector have elements but print no braces.
		if t.Elem != nil && t.OID != 22 && t.OID != 30 {
			return array
		}
		return other
	case change.TypeComposite, change.TypeRange, change.TypeMultirange, change.TypePseudo:
		return other
	}
	if f, ok := builtIn(t.OID); ok {
		return f
	}
	switch t.Name {
	case "citext":
		return character
	case "vector":
		return vector
	case "halfvec":
		return halfvec
	}
	return other
}

// builtIn looks an OID up; they are listed in src/include/catalog/pg_type.dat.
func builtIn(oid uint32) (family, bool) {
	switch oid {
	case 16:
		return boolean, true
	case 17:
		return bytea, true
	case 18:
		return singleByte, true
	case 20:
		return bigint, true
	case 21:
		return smallint, true
	case 23:
		return integer, true
	case 26, 28: // oid, xid
		return objectID, true
	case 5069:
		return xid8, true
	case 700:
		return real, true
	case 701:
		return double, true
	case 1700:
		return numeric, true
	case 790:
		return money, true
	case 19, 25, 1042, 1043: // name, text, bpchar, varchar
		return character, true
	case 114:
		return jsonText, true
	case 3802:
		return jsonb, true
	case 2950:
		return uuid, true
	case 1082:
		return date, true
	case 1083:
		return timeOfDay, true
	case 1114:
		return timestamp, true
	case 1184:
		return timestamptz, true
	case 1186:
		return interval, true
	case 1266:
		return timetz, true
	}
	return other, false
}

// Binary says whether the package reads t's binary format. Values of other
// types have to be asked for as text.
func Binary(t *change.Type) bool {
	switch familyOf(t) {
	case other:
		return false
	case array:
		return t.Elem.Kind != change.TypeArray && Binary(t.Elem)
	}
	return true
}

// IsBytea says whether t is bytea, whose values are bytes that are no text.
func IsBytea(t *change.Type) bool { return familyOf(t) == bytea }

// sized checks the length of a value in binary format.
func sized(value []byte, want int) error {
	if len(value) != want {
		return fmt.Errorf("%w: %d bytes in binary format, not %d", ErrMalformed, len(value), want)
	}
	return nil
}

// appendDigits appends v in decimal, padded with zeros to width digits.
func appendDigits(dst []byte, v uint64, width int) []byte {
	var b [20]byte
	at := len(b)
	for v > 0 || at > len(b)-width {
		at--
		b[at] = byte('0' + v%10)
		v /= 10
	}
	return append(dst, b[at:]...)
}
