package pgvalue

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/penstock/penstock/internal/change"
)

func typeNamed(t *testing.T, name string) *change.Type {
	t.Helper()
	elem, isArray := strings.CutSuffix(name, "[]")
	for _, typ := range binaryTypes() {
		if typ.Name == elem && typ.Kind != change.TypeArray {
			if isArray {
				return arrayOfType(typ)
			}
			return typ
		}
	}
	if name == "inet" {
		return &change.Type{OID: 869, Name: "inet", Schema: "pg_catalog", Kind: change.TypeBase}
	}
	t.Fatalf("no type %s", name)
	return nil
}

func TestBodiesThatProcessorsChangedBecomeText(t *testing.T) {
	noon := time.Date(2024, 2, 29, 12, 0, 0, 123456789, time.FixedZone("", 2*3600))
	for _, tc := range []struct {
		typ  string
		body any
		want string
	}{
		{"int4", 5, "5"},
		{"int4", int8(-5), "-5"},
		{"int4", int16(-5), "-5"},
		{"int4", int32(-5), "-5"},
		{"int4", uint8(5), "5"},
		{"int4", uint16(5), "5"},
		{"int4", uint32(5), "5"},
		{"int4", uint(5), "5"},
		{"int8", uint64(math.MaxUint64), "18446744073709551615"},
		{"int8", float64(1 << 60), "1152921504606846976"},
		{"int8", 1.5, "1.5"},
		{"int8", math.NaN(), "NaN"},
		{"int8", json.Number("9223372036854775807"), "9223372036854775807"},
		{"int8", json.Number("1e3"), "1000"},
		{"int8", "masked", "masked"},
		{"xid8", json.Number("18446744073709551615"), "18446744073709551615"},
		{"bool", "true", "t"},
		{"bool", "false", "f"},
		{"bool", "maybe", "maybe"},
		{"float4", 0.1, "0.1"},
		{"float4", float32(0.1), "0.1"},
		{"float4", 0.30000000000000004, "0.30000000000000004"},
		{"float4", 1e300, "1e+300"},
		{"float8", int64(1e15), "1e+15"},
		{"float8", json.Number("-0"), "-0"},
		{"float8", json.Number("1e2"), "100"},
		{"float8", "NaN", "NaN"},
		{"numeric", 12.5, "12.5"},
		{"numeric", 1e22, "10000000000000000000000"},
		{"numeric", math.Inf(-1), "-Infinity"},
		{"numeric", json.Number("1.10"), "1.10"},
		{"numeric", json.Number("-1.25e3"), "-1250"},
		{"numeric", json.Number("1.25E+1"), "12.5"},
		{"numeric", json.Number("125e-5"), "0.00125"},
		{"numeric", json.Number("0.5e2"), "50"},
		{"money", 12.5, "12.50"},
		{"money", 12, "12.00"},
		{"money", "-7.1", "-7.10"},
		{"money", "7.1000", "7.10"},
		{"money", json.Number("1e2"), "100.00"},
		{"money", "***", "***"},
		{"text", 5, "5"},
		{"text", 5.5, "5.5"},
		{"text", json.Number("5.50"), "5.50"},
		{"text", true, "true"},
		{"text", []byte("raw"), "raw"},
		{"text", noon, "2024-02-29T10:00:00.123456789Z"},
		{"inet", "10.0.0.1", "10.0.0.1"},
		{"bytea", "AP8=", `\x00ff`},
		{"bytea", `\x00ff`, `\x00ff`},
		{"bytea", []byte{0, 255}, `\x00ff`},
		{"timestamptz", noon, "2024-02-29 10:00:00.123457+00"},
		{"timestamptz", "2024-02-29T12:00:00+02:00", "2024-02-29 10:00:00+00"},
		{"timestamptz", "2024-02-29T12:00:00.1Z", "2024-02-29 12:00:00.1+00"},
		{"timestamptz", "2024-02-29T12:00:00.1234567Z", "2024-02-29 12:00:00.123457+00"},
		{"timestamptz", "yesterday", "yesterday"},
		{"timestamp", noon, "2024-02-29 10:00:00.123457"},
		{"timestamp", "2024-02-29T12:00:00Z", "2024-02-29 12:00:00"},
		{"timestamp", "2024-02-29T12:00:00", "2024-02-29 12:00:00"},
		{"date", noon, "2024-02-29"},
		{"date", "2024-02-29", "2024-02-29"},
		{"json", map[string]any{"b": []any{1, nil}, "a": "<&>"}, `{"a":"<&>","b":[1,null]}`},
		{"jsonb", []any{json.Number("9007199254740993")}, `[9007199254740993]`},
		{"jsonb", json.Number("1.10"), "1.10"},
		{"jsonb", true, "true"},
		{"jsonb", `{"a":  1}`, `{"a":  1}`},
		{"int4[]", []any{1, nil, json.Number("3")}, "{1,NULL,3}"},
		{"int4[]", []any{}, "{}"},
		{"int4[]", []any{[]any{1}, []any{2}}, "{{1},{2}}"},
		{"int4[]", "[0:0]={1}", "[0:0]={1}"},
		{"text[]", []any{"", "NULL", `a"b\c`, "d e", "f"}, `{"","NULL","a\"b\\c","d e",f}`},
		{"jsonb[]", []any{map[string]any{"a": 1}, "null"}, `{"{\"a\":1}","null"}`},
		{"vector", []any{1, 0.5}, "[1,0.5]"},
		{"vector", "[1,2]", "[1,2]"},
		{"vector[]", []any{[]any{1}, []any{0.5}}, `{[1],[0.5]}`},
	} {
		got, err := AppendStructured([]byte("kept "), typeNamed(t, tc.typ), tc.body)
		if err != nil || string(got) != "kept "+tc.want {
			t.Errorf("%s %#v: got %q, %v, want %q", tc.typ, tc.body, got, err, tc.want)
		}
	}
}

func TestBodiesThatFitNoTypeSayWhatTheyAreAndShouldBe(t *testing.T) {
	for _, tc := range []struct {
		typ  string
		body any
		want string
	}{
		{"int4", true, "got bool, want a number"},
		{"int4", []any{}, "got []interface {}, want a number"},
		{"int4", nil, "got null, want a number"},
		{"bool", 1, "got int, want a boolean"},
		{"text", map[string]any{}, "got map[string]interface {}, want a string"},
		{"uuid", 5, "got int, want a string"},
		{"numeric", true, "got bool, want a decimal string or a number"},
		{"numeric", json.Number("1e999999"), "out of range"},
		{"float8", json.Number("1e999"), "out of range"},
		{"money", 1.005, "at most 2 fraction digits"},
		{"timestamp", int64(1700000000), "got int64, want an RFC 3339 string or a time"},
		{"timestamp", time.Date(300000, 1, 1, 0, 0, 0, 0, time.UTC), "out of range"},
		{"interval", time.Now(), "got time.Time, want a string"},
		{"bytea", 5, "got int, want a base64 string"},
		{"bytea", "***", "not base64"},
		{"int4[]", 5, "got int, want an array"},
		{"int4[]", []any{1, true}, "element 2: got bool, want a number"},
		{"vector", []any{"a"}, "element 1: got string"},
		{"jsonb", make(chan int), "want a string or what can be written as JSON"},
	} {
		got, err := AppendStructured([]byte("kept"), typeNamed(t, tc.typ), tc.body)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "writing a value of type "+typeNamed(t, tc.typ).String()) {
			t.Errorf("%s %#v: got %v, want %q", tc.typ, tc.body, err, tc.want)
		}
		if string(got) != "kept" {
			t.Errorf("%s: left %q", tc.typ, got)
		}
	}
}

func TestPgvectorFormats(t *testing.T) {
	for _, tc := range []struct{ typ, binary, text string }{
		{"vector", "\x00\x03\x00\x00\x3f\x80\x00\x00\x3d\xcc\xcc\xcd\xc2\xf6\xe6\x66", "[1,0.1,-123.45]"},
		// 1, the nearest to 0.1, the smallest subnormal, the largest, -2
		{"halfvec", "\x00\x05\x00\x00\x3c\x00\x2e\x66\x00\x01\x7b\xff\xc0\x00", "[1,0.099975586,5.9604645e-08,65504,-2]"},
	} {
		typ := typeNamed(t, tc.typ)
		got, err := AppendText(nil, typ, -1, []byte(tc.binary))
		if err != nil || string(got) != tc.text {
			t.Errorf("%s: got %s, %v, want %s", tc.typ, got, err, tc.text)
		}
		fromBinary, err := Structured(typ, -1, change.Binary, []byte(tc.binary))
		if err != nil {
			t.Error(err)
		}
		fromText, err := Structured(typ, -1, change.Text, []byte(tc.text))
		if err != nil || fmt.Sprint(fromText) != fmt.Sprint(fromBinary) {
			t.Errorf("%s: binary %v, text %v, %v", tc.typ, fromBinary, fromText, err)
		}
	}
}
