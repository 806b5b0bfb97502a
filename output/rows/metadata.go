package rows

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/internal/change"
)

// metadata reads what the input wrote beside a row. Values may have been through
// JSON, or through a system that keeps strings only.
type metadata struct{ m *service.Message }

// get returns a value that must not be changed.
func (m metadata) get(key string) (any, bool) {
	v, ok := m.m.MetaGetImmut(key)
	if shared, immutable := v.(service.ImmutableAny); immutable {
		v = shared.V
	}
	return v, ok && v != nil
}

// missing is the error of a message that was not made by our input, or lost
// what the input wrote.
func missing(key string) error {
	return &change.Failure{
		Class:  "mapping",
		Reason: fmt.Sprintf("a message has no metadata %q", key),
		Fix:    "the clickhouse output takes messages of the postgres_cdc input only; let processors keep their metadata",
	}
}

func invalid(key string, v any, want string) error {
	return &change.Failure{
		Class:  "mapping",
		Reason: fmt.Sprintf("metadata %q of a message is %v (%T), not %s", key, v, v, want),
		Fix:    "let processors keep the metadata that the postgres_cdc input wrote",
	}
}

func (m metadata) operation() (change.Operation, error) {
	v, ok := m.get(change.MetaOperation)
	if !ok {
		return 0, missing(change.MetaOperation)
	}
	name, _ := v.(string)
	operation, ok := change.ParseOperation(name)
	if !ok {
		return 0, invalid(change.MetaOperation, v, "an operation")
	}
	return operation, nil
}

// lsn reads a WAL position.
func (m metadata) lsn(key string, required bool) (uint64, error) {
	v, ok := m.get(key)
	if !ok {
		if required {
			return 0, missing(key)
		}
		return 0, nil
	}
	text, _ := v.(string)
	lsn, err := change.ParseLSN(text)
	if err != nil {
		return 0, invalid(key, v, "a WAL position")
	}
	return lsn, nil
}

// transaction reads the commit. It is not needed to store a row, so it may be
// missing.
func (m metadata) transaction() (change.Transaction, error) {
	var t change.Transaction
	var err error
	if t.CommitLSN, err = m.lsn(change.MetaCommitLSN, false); err != nil {
		return t, err
	}
	if v, ok := m.get(change.MetaTransactionID); ok {
		xid, ok := integer(v)
		if !ok || xid < 0 || xid > math.MaxUint32 {
			return t, invalid(change.MetaTransactionID, v, "a transaction id")
		}
		t.XID = uint32(xid)
	}
	if v, ok := m.get(change.MetaCommitTime); ok {
		ms, ok := integer(v)
		if !ok {
			return t, invalid(change.MetaCommitTime, v, "a number of milliseconds")
		}
		t.CommitTime = time.UnixMilli(ms).UTC()
	}
	return t, nil
}

// integer reads a whole number of the kinds that JSON and Bloblang make of one.
func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		return n, err == nil
	case json.Number:
		n, err := v.Int64()
		return n, err == nil
	case int64:
		return v, true
	case int:
		return int64(v), true
	case uint64:
		return int64(v), v <= math.MaxInt64
	case float64:
		return int64(v), v == math.Trunc(v) && math.Abs(v) < 1<<53
	}
	return 0, false
}

// definitions parses table definitions, each once.
type definitions struct {
	// byAddress finds the map that the input shares between its messages.
	byAddress map[uintptr]*change.Table
	// parsed are compared by content, for messages that no longer share one.
	parsed []definition
}

type definition struct {
	description any // keeps the address in byAddress from being used again
	table       *change.Table
}

// of returns the definition in the metadata called key.
func (d *definitions) of(meta metadata, key string) (*change.Table, error) {
	v, ok := meta.get(key)
	if !ok {
		return nil, missing(key)
	}
	if text, serialized := v.(string); serialized {
		v = nil
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return nil, invalid(key, text, "the definition of a table")
		}
	}
	fields, ok := v.(map[string]any)
	if !ok {
		return nil, invalid(key, v, "the definition of a table")
	}
	address := reflect.ValueOf(fields).Pointer()
	if table, ok := d.byAddress[address]; ok {
		return table, nil
	}
	for _, known := range d.parsed {
		if reflect.DeepEqual(known.description, v) {
			return known.table, nil
		}
	}
	table, err := change.Parse(fields)
	if err != nil {
		return nil, &change.Failure{
			Class:  "mapping",
			Reason: fmt.Sprintf("metadata %q of a message does not define a table", key),
			Fix:    "let processors keep the metadata that the postgres_cdc input wrote",
			Err:    err,
		}
	}
	if d.byAddress == nil {
		d.byAddress = make(map[uintptr]*change.Table, 1)
	}
	d.byAddress[address] = table
	d.parsed = append(d.parsed, definition{fields, table})
	return table, nil
}
