package pgvalue

import (
	"testing"

	"github.com/penstock/penstock/internal/change"
)

// samples are values in binary format, by type.
var samples = map[string]string{
	"bool":        "\x01",
	"int4":        "\x00\x01\x02\x03",
	"int8":        "\x00\x01\x02\x03\x04\x05\x06\x07",
	"float4":      "\x3d\xcc\xcc\xcd",
	"float8":      "\x40\x09\x21\xfb\x54\x44\x2d\x18",
	"numeric":     "\x00\x03\x00\x01\x00\x00\x00\x02\x00\x0c\x0d\x80\x00\x63",
	"money":       "\x00\x00\x00\x00\x00\x01\xe2\x40",
	"text":        "a customer's name",
	"bytea":       "0123456789abcdef",
	"uuid":        "0123456789abcdef",
	"date":        "\x00\x00\x22\x4d",
	"timestamp":   "\x00\x02\xb8\x4f\x12\x34\x56\x78",
	"timestamptz": "\x00\x02\xb8\x4f\x12\x34\x56\x78",
	"time":        "\x00\x00\x00\x0a\x12\x34\x56\x78",
	"timetz":      "\x00\x00\x00\x0a\x12\x34\x56\x78\xff\xff\xb2\xa8",
	"interval":    "\x00\x00\x00\x00\x00\x12\x34\x56\x00\x00\x00\x03\x00\x00\x00\x0e",
	"jsonb":       "\x01{\"a\": 1}",
	"_int4":       array1("\x00\x00\x00\x02", "\x00\x00\x00\x04\x00\x00\x00\x07\xff\xff\xff\xff"),
	"_text":       array1("\x00\x00\x00\x02", "\x00\x00\x00\x05a \"b\"\x00\x00\x00\x01c"),
	"vector":      "\x00\x02\x00\x00\x3d\xcc\xcc\xcd\x3f\x80\x00\x00",
}

func eachSample(run func(typ *change.Type, value []byte)) {
	for _, typ := range binaryTypes() {
		if sample, ok := samples[typ.Name]; ok {
			run(typ, []byte(sample))
		}
	}
}

func TestTextAllocatesNothing(t *testing.T) {
	buffer := make([]byte, 0, 256)
	seen := 0
	eachSample(func(typ *change.Type, value []byte) {
		seen++
		if n := testing.AllocsPerRun(100, func() {
			if _, err := AppendText(buffer, typ, -1, value); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", typ, n)
		}
	})
	if seen != len(samples) {
		t.Errorf("%d of %d samples have a type", seen, len(samples))
	}
}

func TestReadingArraysAllocatesNothing(t *testing.T) {
	binary := []byte(samples["_text"])
	literal := []byte(`{"a \"b\"",c,NULL}`)
	scratch := make([]byte, 0, 64)
	read := 0
	if n := testing.AllocsPerRun(100, func() {
		b, err := BinaryArray(binary)
		if err != nil {
			t.Fatal(err)
		}
		l, err := TextArray(literal, ',', scratch)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []*ArrayReader{&b, &l} {
			for elem, _, ok := r.Next(); ok; elem, _, ok = r.Next() {
				read += len(elem)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if read%12 != 0 || read == 0 {
		t.Errorf("read %d bytes, not 12 each time", read)
	}
}

func BenchmarkAppendText(b *testing.B) {
	eachSample(func(typ *change.Type, value []byte) {
		b.Run(typ.Name, func(b *testing.B) {
			b.ReportAllocs()
			buffer := make([]byte, 0, 256)
			for b.Loop() {
				if _, err := AppendText(buffer, typ, -1, value); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

func BenchmarkStructured(b *testing.B) {
	eachSample(func(typ *change.Type, value []byte) {
		b.Run(typ.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Structured(typ, -1, change.Binary, value); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}
