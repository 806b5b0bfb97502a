package encode

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/pgvalue"
)

// benchColumn makes the binary values of one column.
type benchColumn struct {
	name    string
	typ     *change.Type
	typeMod int32
	chType  string
	value   func(r *rand.Rand, row int) []byte
}

func builtin(oid uint32, name string) *change.Type {
	return &change.Type{OID: oid, Name: name, Schema: "pg_catalog", Kind: change.TypeBase, Delim: ','}
}

func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
func be64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

func words(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz     "[r.IntN(31)]
	}
	return b
}

// numericOf makes the binary form of an amount with two digits behind the point.
func numericOf(cents int64) []byte {
	sign := uint16(numericPositive)
	if cents < 0 {
		sign, cents = numericNegative, -cents
	}
	var groups []uint16
	if rest := cents % 100; rest != 0 {
		groups = append(groups, uint16(rest*100))
	}
	weight := -1
	for whole := cents / 100; whole > 0; whole /= 10000 {
		groups = append([]uint16{uint16(whole % 10000)}, groups...)
		weight++
	}
	b := binary.BigEndian.AppendUint16(nil, uint16(len(groups)))
	b = binary.BigEndian.AppendUint16(b, uint16(int16(weight)))
	b = binary.BigEndian.AppendUint16(b, sign)
	b = binary.BigEndian.AppendUint16(b, 2)
	for _, g := range groups {
		b = binary.BigEndian.AppendUint16(b, g)
	}
	return b
}

// mixedColumns are the eight columns of the design's measurements, and four
// that cost more.
func mixedColumns() []benchColumn {
	int4 := builtin(23, "int4")
	return []benchColumn{
		{"id", builtin(20, "int8"), -1, "Int64", func(_ *rand.Rand, row int) []byte { return be64(uint64(row)) }},
		{"quantity", int4, -1, "Nullable(Int32)", func(r *rand.Rand, _ int) []byte { return be32(r.Uint32N(100000)) }},
		{"name", builtin(25, "text"), -1, "Nullable(String)", func(r *rand.Rand, _ int) []byte { return words(r, 20) }},
		{"note", builtin(25, "text"), -1, "Nullable(String)", func(r *rand.Rand, _ int) []byte { return words(r, 60) }},
		{"amount", builtin(1700, "numeric"), 12<<16 + 2 + 4, "Nullable(Decimal(12, 2))", func(r *rand.Rand, _ int) []byte { return numericOf(r.Int64N(1e9) - 1e8) }},
		{"created", builtin(1184, "timestamptz"), -1, "Nullable(DateTime64(6, 'UTC'))", func(r *rand.Rand, _ int) []byte { return be64(uint64(7e14 + r.Int64N(1e14))) }},
		{"active", builtin(16, "bool"), -1, "Nullable(Bool)", func(r *rand.Rand, _ int) []byte { return []byte{byte(r.IntN(2))} }},
		{"score", builtin(701, "float8"), -1, "Nullable(Float64)", func(r *rand.Rand, _ int) []byte { return be64(math.Float64bits(r.NormFloat64())) }},
		{"token", builtin(2950, "uuid"), -1, "Nullable(UUID)", func(r *rand.Rand, _ int) []byte { return append(be64(r.Uint64()), be64(r.Uint64())...) }},
		{"document", builtin(3802, "jsonb"), -1, "Nullable(String)", func(r *rand.Rand, _ int) []byte {
			return fmt.Appendf(nil, "\x01"+`{"a": %d, "b": "%s"}`, r.IntN(1000), words(r, 10))
		}},
		{"state", &change.Type{OID: 99999, Name: "state", Schema: "public", Kind: change.TypeEnum}, -1, "LowCardinality(Nullable(String))", func(r *rand.Rand, _ int) []byte {
			return []byte([]string{"new", "paid", "packed", "sent", "delivered", "returned"}[r.IntN(6)])
		}},
		{"parts", &change.Type{OID: 1007, Name: "_int4", Schema: "pg_catalog", Kind: change.TypeArray, Elem: int4, Delim: ','}, -1, "Array(Nullable(Int32))", func(r *rand.Rand, _ int) []byte {
			n := r.IntN(5) + 1
			b := append(be32(1), be32(0)...)
			b = append(append(append(b, be32(23)...), be32(uint32(n))...), be32(1)...)
			for range n {
				b = append(append(b, be32(4)...), be32(r.Uint32N(1000))...)
			}
			return b
		}},
	}
}

func benchTable(columns []benchColumn) (*change.Table, []Column) {
	t := &change.Table{Schema: "public", Name: "mixed", Key: []int{0}}
	var to []Column
	for i, c := range columns {
		t.Columns = append(t.Columns, change.Column{Name: c.name, Type: c.typ, TypeMod: c.typeMod, NotNull: i == 0, InKey: i == 0})
		to = append(to, Column{c.name, c.chType})
	}
	return t, append(to, Column{"_version", "UInt64"}, Column{"_is_deleted", "UInt8"}, Column{"_synced_at", "DateTime64(6, 'UTC')"})
}

// benchBatch makes a batch of random rows in one form.
func benchBatch(tb testing.TB, table *change.Table, columns []benchColumn, form, rows int) *change.Batch {
	tb.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	b := &change.Batch{Table: table, Format: change.TuplePgoutput, Transactions: make([]change.Transaction, 1)}
	if form == formCopy {
		b.Format = change.TupleCopy
	}
	for row := range rows {
		b.Rows = append(b.Rows, change.Row{LSN: uint64(row), Offset: uint32(len(b.Data)), Operation: change.Insert})
		b.Data = binary.BigEndian.AppendUint16(b.Data, uint16(len(columns)))
		for _, c := range columns {
			value := c.value(r, row)
			switch form {
			case formCopy:
				b.Data = append(append(b.Data, be32(uint32(len(value)))...), value...)
			case formBinary:
				b.Data = appendCell(b.Data, byte(change.Binary), value)
			case formText:
				text, err := pgvalue.AppendText(nil, c.typ, c.typeMod, value)
				if err != nil {
					tb.Fatal(err)
				}
				b.Data = appendCell(b.Data, byte(change.Text), text)
			}
		}
	}
	return b
}

const benchRows = 100_000

var benchForms = map[string]int{"copy": formCopy, "pgoutput-binary": formBinary, "pgoutput-text": formText}

func runAppend(b *testing.B, columns []benchColumn, form int) {
	table, to := benchTable(columns)
	batch := benchBatch(b, table, columns, form, benchRows)
	block, err := NewBlock(table, to, metadataOptions(Fail))
	if err != nil {
		b.Fatal(err)
	}
	if err := block.Append(batch); err != nil { // warm-up: the block's memory grows once
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(batch.Data)))
	for b.Loop() {
		block.Reset()
		if err := block.Append(batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
}

func BenchmarkAppend(b *testing.B) {
	for _, set := range []struct {
		name    string
		columns []benchColumn
	}{{"mixed8", mixedColumns()[:8]}, {"mixed12", mixedColumns()}} {
		for _, form := range []string{"copy", "pgoutput-binary", "pgoutput-text"} {
			b.Run(set.name+"/"+form, func(b *testing.B) { runAppend(b, set.columns, benchForms[form]) })
		}
	}
}

// BenchmarkColumn shows what each type costs.
func BenchmarkColumn(b *testing.B) {
	for _, c := range mixedColumns() {
		for _, form := range []string{"copy", "pgoutput-text"} {
			name := c.typ.Name + "/" + form
			if c.name == "note" {
				name = "text60/" + form
			}
			b.Run(strings.TrimPrefix(name, "_"), func(b *testing.B) { runAppend(b, []benchColumn{c}, benchForms[form]) })
		}
	}
}

// BenchmarkWrite shows what it costs to put a block on the wire.
func BenchmarkWrite(b *testing.B) {
	columns := mixedColumns()[:8]
	table, to := benchTable(columns)
	batch := benchBatch(b, table, columns, formCopy, benchRows)
	block, err := NewBlock(table, to, metadataOptions(Fail))
	if err != nil {
		b.Fatal(err)
	}
	if err := block.Append(batch); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(block.Size()))
	w := proto.NewWriter(io.Discard, new(proto.Buffer))
	for b.Loop() {
		wire := proto.Block{Columns: len(block.Input()), Rows: block.Rows()}
		if err := wire.WriteBlock(w, proto.Version, block.Input()); err != nil {
			b.Fatal(err)
		}
		if _, err := w.Flush(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
}
