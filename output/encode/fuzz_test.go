package encode

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/pgvalue"
)

// everyPair has a source column with each destination type that Check accepts.
func everyPair() (pairs []struct {
	column change.Column
	chType string
},
) {
	money := builtin(790, "money")
	money.MoneyDigits = 2
	array := func(elem *change.Type) *change.Type { return arrayOf(elem).Type }
	types := []*change.Type{
		builtin(16, "bool"), builtin(17, "bytea"), builtin(18, "char"), builtin(20, "int8"), builtin(21, "int2"), builtin(23, "int4"),
		builtin(25, "text"), builtin(26, "oid"), builtin(5069, "xid8"), builtin(114, "json"), builtin(3802, "jsonb"), builtin(869, "inet"),
		builtin(700, "float4"), builtin(701, "float8"), money, builtin(1082, "date"), builtin(1083, "time"), builtin(1114, "timestamp"),
		builtin(1184, "timestamptz"), builtin(1186, "interval"), builtin(1266, "timetz"), builtin(1700, "numeric"), builtin(2950, "uuid"), builtin(3904, "int4range"),
		{OID: 70000, Name: "mood", Schema: "public", Kind: change.TypeEnum},
		{OID: 70001, Name: "vector", Schema: "public", Kind: change.TypeBase},
		{OID: 70002, Name: "halfvec", Schema: "public", Kind: change.TypeBase},
		array(builtin(23, "int4")), array(builtin(25, "text")), array(builtin(1700, "numeric")), array(builtin(1184, "timestamptz")), array(builtin(17, "bytea")), array(money),
	}
	scalars := []string{
		"Bool", "UInt8", "Int16", "Int32", "Int64", "Int128", "Int256", "UInt32", "UInt64", "UInt128", "UInt256", "Float32", "Float64",
		"Decimal(9, 2)", "Decimal(18, 4)", "Decimal(18, 2)", "Decimal(38, 10)", "Decimal(76, 30)", "String", "FixedString(1)", "FixedString(5)", "UUID", "Date", "Date32",
		"DateTime64(6)", "DateTime64(9)", "Time64(6)", "Time64(9)", "IPv4", "IPv6", "Enum8('a' = 1)", "Enum16('b' = 2)", "JSON",
	}
	destinations := []string{"LowCardinality(String)", "LowCardinality(Nullable(String))", "Array(LowCardinality(String))"}
	for _, s := range scalars {
		destinations = append(destinations, s, "Nullable("+s+")", "Array("+s+")", "Array(Array(Nullable("+s+")))")
	}
	for _, t := range types {
		for _, chType := range destinations {
			pair := struct {
				column change.Column
				chType string
			}{column(t, -1), chType}
			if Check(pair.column, chType) == nil {
				pairs = append(pairs, pair)
			}
		}
	}
	return pairs
}

// FuzzAppend puts any bytes into any encoder: a value is stored, refused with an
// error, or both under no policy; nothing panics.
func FuzzAppend(f *testing.F) {
	pairs := everyPair()
	for i := range pairs {
		f.Add(uint16(i), true, byte(i), []byte("\x00\x00\x00\x01\x00\x00\x00\x00"))
		f.Add(uint16(i), false, byte(i), []byte("{1,2}"))
		f.Add(uint16(i), false, byte(i), []byte("-12.5e3"))
	}
	for _, c := range mixedColumns() {
		value := c.value(rand.New(rand.NewPCG(1, 1)), 1)
		text, err := pgvalue.AppendText(nil, c.typ, c.typeMod, value)
		if err != nil {
			f.Fatal(err)
		}
		for i, pair := range pairs {
			if pair.column.Type.OID == c.typ.OID {
				f.Add(uint16(i), true, byte(0), value)
				f.Add(uint16(i), false, byte(0), text)
			}
		}
	}
	f.Fuzz(func(t *testing.T, pair uint16, isBinary bool, policy byte, value []byte) {
		p := pairs[int(pair)%len(pairs)]
		table := &change.Table{Schema: "public", Name: "t", Key: []int{0}, Columns: []change.Column{p.column}}
		b, err := NewBlock(table, []Column{{"v", p.chType}}, Options{Unrepresentable: Policy(policy % 3)})
		if err != nil {
			t.Fatal(err)
		}
		kind := change.Text
		if isBinary {
			kind = change.Binary
		}
		batch := tuples(table, []cell{null}, []cell{{kind, string(value)}}, []cell{absent})
		want := len(batch.Rows)
		if err := b.Append(batch); err != nil {
			want = 0
		}
		if b.Rows() != want {
			t.Fatalf("%d rows, want %d", b.Rows(), want)
		}
		var encoded, written proto.Buffer
		var sent bytes.Buffer
		data := b.Input()[0].Data
		if data.Rows() != want {
			t.Fatalf("%d rows in the column, want %d", data.Rows(), want)
		}
		data.EncodeColumn(&encoded)
		w := proto.NewWriter(&sent, &written)
		data.WriteColumn(w)
		if _, err := w.Flush(); err != nil || !bytes.Equal(sent.Bytes(), encoded.Buf) {
			t.Fatalf("%s in %s: written as %x, encoded as %x", p.column.Type, p.chType, sent.Bytes(), encoded.Buf)
		}
		if !isBinary || want == 0 {
			return
		}
		// The text of a binary value has to give the same.
		text, err := pgvalue.AppendText(nil, p.column.Type, -1, value)
		if err != nil || bytes.Contains(text, []byte("NaN")) { // of which there are many in binary
			return
		}
		b.Reset()
		if err := b.Append(tuples(table, []cell{null}, []cell{{change.Text, string(text)}}, []cell{absent})); err != nil {
			t.Fatalf("%s in %s: the binary value %x is stored, its text %q is not: %v", p.column.Type, p.chType, value, text, err)
		}
		var again proto.Buffer
		data.EncodeColumn(&again)
		if !bytes.Equal(again.Buf, encoded.Buf) {
			t.Fatalf("%s in %s: the binary value %x is stored as %x, its text %q as %x", p.column.Type, p.chType, value, encoded.Buf, text, again.Buf)
		}
	})
}

// FuzzTuples puts any bytes behind the cells' offsets.
func FuzzTuples(f *testing.F) {
	table, columns := everyColumn()
	f.Add(tuples(table, everyRow("1")).Data, byte(change.TuplePgoutput))
	f.Add([]byte("\x00\x08\xff\xff\xff\xff"), byte(change.TupleCopy))
	f.Fuzz(func(t *testing.T, data []byte, format byte) {
		b, err := NewBlock(table, columns, Options{Unrepresentable: Null})
		if err != nil {
			t.Fatal(err)
		}
		batch := &change.Batch{Table: table, Data: data, Format: change.TupleFormat(format), Rows: make([]change.Row, 1)}
		if err := b.Append(batch); (err == nil) != (b.Rows() == 1) {
			t.Fatalf("%d rows, error %v", b.Rows(), err)
		}
	})
}
