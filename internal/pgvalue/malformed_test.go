package pgvalue

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/penstock/penstock/internal/change"
)

// binaryTypes has one type of each binary format, and arrays of them.
func binaryTypes() []*change.Type {
	var types []*change.Type
	for oid, name := range map[uint32]string{
		16: "bool", 17: "bytea", 18: "char", 19: "name", 20: "int8", 21: "int2", 23: "int4", 25: "text", 26: "oid", 28: "xid",
		114: "json", 700: "float4", 701: "float8", 790: "money", 1042: "bpchar", 1043: "varchar", 1082: "date", 1083: "time",
		1114: "timestamp", 1184: "timestamptz", 1186: "interval", 1266: "timetz", 1700: "numeric", 2950: "uuid", 3802: "jsonb", 5069: "xid8",
	} {
		types = append(types, &change.Type{OID: oid, Name: name, Schema: "pg_catalog", Kind: change.TypeBase})
		if name == "money" {
			types[len(types)-1].MoneyDigits = 2
		}
	}
	types = append(
		types,
		&change.Type{OID: 20000, Name: "mood", Schema: "public", Kind: change.TypeEnum},
		&change.Type{OID: 20001, Name: "citext", Schema: "public", Kind: change.TypeBase},
		&change.Type{OID: 20002, Name: "vector", Schema: "public", Kind: change.TypeBase},
		&change.Type{OID: 20003, Name: "halfvec", Schema: "public", Kind: change.TypeBase},
	)
	// In the order of OIDs, so that an index means the same in every run.
	for i := range types {
		for j := range i {
			if types[j].OID > types[i].OID {
				types[i], types[j] = types[j], types[i]
			}
		}
	}
	for _, elem := range types {
		types = append(types, arrayOfType(elem))
	}
	return types
}

func arrayOfType(elem *change.Type) *change.Type {
	return &change.Type{OID: elem.OID + 30000, Name: "_" + elem.Name, Schema: elem.Schema, Kind: change.TypeArray, Elem: elem, Delim: ','}
}

func TestMalformedValuesAreRefused(t *testing.T) {
	for _, tc := range []struct{ typ, binary string }{
		{"bool", ""},
		{"bool", "\x01\x01"},
		{"int2", "\x01"},
		{"int4", "\x01\x02\x03"},
		{"int8", strings.Repeat("\x00", 9)},
		{"uuid", strings.Repeat("\x00", 15)},
		{"interval", strings.Repeat("\x00", 12)},
		{"timetz", strings.Repeat("\x00", 8)},
		{"timetz", strings.Repeat("\x00", 8) + "\x7f\xff\xff\xff"},
		{"time", strings.Repeat("\xff", 8)},
		{"date", "\x7f\xff\xff\xfe"},
		{"timestamp", "\x7f\xff\xff\xff\xff\xff\xff\xfe"},
		{"char", ""},
		{"jsonb", ""},
		{"jsonb", "\x02{}"},
		{"numeric", "\x00\x01\x00\x00\x00\x00\x00"},
		{"numeric", "\x00\x01\x00\x00\x00\x00\x00\x00"},                   // digit missing
		{"numeric", "\x00\x01\x00\x00\x00\x00\x00\x00\x27\x10"},           // digit 10000
		{"numeric", "\x00\x00\x00\x00\x12\x34\x00\x00"},                   // sign
		{"numeric", "\x00\x00\x00\x00\x00\x00\x40\x00"},                   // scale
		{"_int4", "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00"},         // header
		{"_int4", "\x00\x00\x00\x07" + strings.Repeat("\x00", 64)},        // dimensions
		{"_int4", array1("\x7f\xff\xff\xff", "")},                         // more elements than bytes
		{"_int4", array1("\xff\xff\xff\xff", "")},                         // negative length
		{"_int4", array1("\x00\x00\x00\x01", "\x00\x00\x00\x02\x00\x07")}, // an int4 of 2 bytes
		{"_int4", array1("\x00\x00\x00\x01", "\x00\x00\x00\x08\x00\x07")}, // element cut short
		{"_int4", array1("\x00\x00\x00\x01", "\xff\xff\xff\xff\x00")},     // byte behind the end
		{"_int4", array1("\x00\x00\x00\x00", "\x00")},                     // byte behind the end of none
		{"vector", "\x00\x02\x00\x00\x00\x00\x00\x00"},
		{"halfvec", "\x00"},
	} {
		for _, typ := range binaryTypes() {
			if typ.Name != tc.typ {
				continue
			}
			got, err := AppendText([]byte("kept"), typ, -1, []byte(tc.binary))
			if !errors.Is(err, ErrMalformed) || string(got) != "kept" {
				t.Errorf("%s %x: %q, %v", tc.typ, tc.binary, got, err)
			}
			if v, err := Structured(typ, -1, change.Binary, []byte(tc.binary)); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s %x: structured %v, %v", tc.typ, tc.binary, v, err)
			}
		}
	}
}

// array1 is a one-dimensional int4[] in binary format.
func array1(length, elements string) string {
	return "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x17" + length + "\x00\x00\x00\x01" + elements
}

func TestMalformedTextIsRefused(t *testing.T) {
	for _, tc := range []struct{ typ, text string }{
		{"bool", "yes?"},
		{"int4", "1.5"},
		{"int4", ""},
		{"float8", "one"},
		{"bytea", "escape\\000"},
		{"bytea", `\x0`},
		{"money", "free"},
		{"money", "99999999999999999999"},
		{"vector", "1,2"},
		{"vector", "[1,x]"},
		{"_int4", "1,2"},
		{"_int4", "{1,2"},
		{"_int4", "{1,x}"},
	} {
		for _, typ := range binaryTypes() {
			if typ.Name != tc.typ {
				continue
			}
			if v, err := Structured(typ, -1, change.Text, []byte(tc.text)); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s %q: %v, %v", tc.typ, tc.text, v, err)
			}
		}
	}
}

func TestUnchangedIsNotNull(t *testing.T) {
	text := &change.Type{OID: 25, Name: "text", Schema: "pg_catalog", Kind: change.TypeBase}
	if v, err := Structured(text, -1, change.Unchanged, nil); !errors.Is(err, ErrUnchanged) {
		t.Errorf("%v, %v", v, err)
	}
	for _, kind := range []change.CellKind{change.Null, change.Absent} {
		if v, err := Structured(text, -1, kind, nil); v != nil || err != nil {
			t.Errorf("%c: %v, %v", kind, v, err)
		}
	}
}

// FuzzAppendText feeds any bytes to any type: no panic, and whatever is taken
// for a value means the same as the text it prints.
func FuzzAppendText(f *testing.F) {
	types := binaryTypes()
	for i := range types {
		for _, size := range []int{0, 1, 2, 4, 8, 12, 16} {
			f.Add(uint8(i), bytes.Repeat([]byte{0}, size))
		}
		f.Add(uint8(i), []byte(array1("\x00\x00\x00\x01", "\x00\x00\x00\x04\x00\x00\x00\x07")))
		f.Add(uint8(i), []byte(array1("\x00\x00\x00\x02", "\x00\x00\x00\x00\xff\xff\xff\xff")))
	}
	f.Add(uint8(0), []byte("\x00\x02\x00\x00\x00\x00\x00\x02\x00\x0c\x0d\x80"))
	f.Fuzz(func(t *testing.T, index uint8, value []byte) {
		typ := types[int(index)%len(types)]
		text, err := AppendText([]byte("kept"), typ, -1, value)
		fromBinary, structuredErr := Structured(typ, -1, change.Binary, value)
		if (err == nil) != (structuredErr == nil) {
			t.Fatalf("%s %x: text fails with %v, structured with %v", typ, value, err, structuredErr)
		}
		if !bytes.HasPrefix(text, []byte("kept")) {
			t.Fatalf("%s %x: overwrote dst: %q", typ, value, text)
		}
		if text = text[4:]; err != nil {
			if len(text) > 0 {
				t.Fatalf("%s %x: left %q behind", typ, value, text)
			}
			return
		}
		fromText, err := Structured(typ, -1, change.Text, text)
		if err != nil || !reflect.DeepEqual(fromText, fromBinary) {
			t.Fatalf("%s %x: binary is %#v, its text %q is %#v, %v", typ, value, fromBinary, text, fromText, err)
		}
		if back, err := AppendStructured(nil, typ, fromBinary); err != nil || !bytes.Equal(back, text) {
			t.Fatalf("%s %x: %q, from a body %q, %v", typ, value, text, back, err)
		}
	})
}

// FuzzTextArray feeds any text to the reader of array literals: no panic, and
// as many elements as it said.
func FuzzTextArray(f *testing.F) {
	for _, literal := range []string{`{}`, `{a,"b\"c",NULL}`, `{{1,2},{3,4}}`, `[0:1]={x, y }`, `{{}}`, `{"`, `{\`, `{a\ b}`, `{{1},2}`} {
		f.Add([]byte(literal))
	}
	f.Fuzz(func(t *testing.T, literal []byte) {
		r, err := TextArray(literal, ',', nil)
		if err != nil {
			return
		}
		n, product := 0, 1
		for {
			if _, _, ok := r.Next(); !ok {
				break
			}
			n++
		}
		for d := range r.Dims() {
			product *= r.DimLen(d)
		}
		if r.Dims() == 0 {
			product = 0
		}
		if r.Err() != nil || n != r.Len() || n != product {
			t.Fatalf("%q: %d elements of %d, %d by its dimensions, %v", literal, n, r.Len(), product, r.Err())
		}
	})
}
