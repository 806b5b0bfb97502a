package change

import (
	"fmt"
	"strconv"
)

// The metadata of a message, as in Connect's CDC inputs. Rows and blocks carry
// MetaTable and MetaDatabaseSchema; the others are on rows and controls of
// `format: rows`.
const (
	MetaOperation      = "operation"       // [Operation.String]
	MetaDatabaseSchema = "database_schema" // schema of the source table
	MetaTable          = "table"           // name of the source table
	MetaLSN            = "lsn"             // [FormatLSN] of Row.LSN
	MetaCommitLSN      = "commit_lsn"      // [FormatLSN] of Transaction.CommitLSN
	MetaCommitTime     = "commit_ts_ms"    // milliseconds since the Unix epoch, decimal
	MetaTransactionID  = "transaction_id"  // Transaction.XID, decimal
	MetaKey            = "key"             // array of [Table.KeyNames]
	MetaSchema         = "schema"          // [Table.Describe]
	MetaPrevious       = "previous_schema" // the same, of the definition before a schema change
)

// FormatLSN writes a WAL position so that positions sort as text: 16 upper-case
// hexadecimal digits.
func FormatLSN(lsn uint64) string {
	const digits = "0123456789ABCDEF"
	var text [16]byte
	for i := range text {
		text[15-i] = digits[lsn&0xF]
		lsn >>= 4
	}
	return string(text[:])
}

// ParseLSN reads what FormatLSN writes.
func ParseLSN(s string) (uint64, error) {
	lsn, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a WAL position of 16 hexadecimal digits", s)
	}
	return lsn, nil
}
