package encode

import "github.com/penstock/penstock/internal/change"

// family groups the source types that are encoded by the same rules.
type family byte

const (
	famOther family = iota // travels as text, or is stored as text only
	famBool
	famInt2
	famInt4
	famInt8
	famOID // also xid
	famXID8
	famFloat4
	famFloat8
	famNumeric
	famMoney
	famText // text, varchar, char(n), citext, name: text and binary format are the same bytes
	famChar // "char"
	famBytea
	famUUID
	famDate
	famTime
	famTimestamp
	famTimestampTZ
	famJSON
	famJSONB
	famEnum
	famInet // also cidr
	famVector
	famHalfvec
	famArray
)

// familyOf sorts a resolved type. Built-in types are told by their fixed OID
// (PostgreSQL, src/include/catalog/pg_type.dat), those of extensions by name.
func familyOf(t *change.Type) family {
	switch t.Kind {
	case change.TypeArray:
		// int2vector and oidvector have elements but print no braces.
		if t.Elem != nil && t.OID != 22 && t.OID != 30 {
			return famArray
		}
		return famOther
	case change.TypeEnum:
		return famEnum
	case change.TypeComposite, change.TypeRange, change.TypeMultirange, change.TypePseudo:
		return famOther
	}
	if f, ok := builtInFamily(t.OID); ok {
		return f
	}
	switch t.Name {
	case "citext":
		return famText
	case "vector":
		return famVector
	case "halfvec":
		return famHalfvec
	}
	return famOther
}

func builtInFamily(oid uint32) (family, bool) {
	switch oid {
	case 16:
		return famBool, true
	case 17:
		return famBytea, true
	case 18:
		return famChar, true
	case 19, 25, 1042, 1043: // name, text, bpchar, varchar
		return famText, true
	case 20:
		return famInt8, true
	case 21:
		return famInt2, true
	case 23:
		return famInt4, true
	case 26, 28: // oid, xid
		return famOID, true
	case 5069:
		return famXID8, true
	case 114:
		return famJSON, true
	case 3802:
		return famJSONB, true
	case 650, 869: // cidr, inet
		return famInet, true
	case 700:
		return famFloat4, true
	case 701:
		return famFloat8, true
	case 790:
		return famMoney, true
	case 1082:
		return famDate, true
	case 1083:
		return famTime, true
	case 1114:
		return famTimestamp, true
	case 1184:
		return famTimestampTZ, true
	case 1700:
		return famNumeric, true
	case 2950:
		return famUUID, true
	}
	return famOther, false
}
