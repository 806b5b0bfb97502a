package pgvalue

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/penstock/penstock/internal/change"
)

// check holds a value to what the package promises: both formats say the same,
// and what a body holds can be turned back.
func check(t tester, typ *change.Type, typmod int32, v value) {
	t.Helper()
	want := v.text
	fromText, err := Structured(typ, typmod, change.Text, v.text)
	if err != nil {
		t.Errorf("%s %q: structured from text %q: %v", typ, v.literal, v.text, err)
		return
	}
	if moneyIn(typ) {
		want = []byte(strings.NewReplacer("$", "", ",", "", `"`, "").Replace(string(v.text)))
		if typ.Kind == change.TypeArray {
			want = []byte(strings.NewReplacer(`"$`, "", `"-$`, "-", `",`, ",", `"}`, "}", "$", "").Replace(groups(string(v.text))))
		}
	}
	if v.binary != nil {
		text, err := AppendText([]byte("before"), typ, typmod, v.binary)
		if err != nil {
			t.Errorf("%s %q: text of %x: %v", typ, v.literal, v.binary, err)
			return
		}
		if got := bytes.TrimPrefix(text, []byte("before")); !bytes.Equal(got, want) {
			t.Errorf("%s %q: binary %x\ngot text    %q\nserver says %q", typ, v.literal, v.binary, got, want)
		}
		fromBinary, err := Structured(typ, typmod, change.Binary, v.binary)
		if err != nil {
			t.Errorf("%s %q: structured from binary %x: %v", typ, v.literal, v.binary, err)
		}
		if !reflect.DeepEqual(fromBinary, fromText) {
			t.Errorf("%s %q: structured from binary %#v, from text %#v", typ, v.literal, fromBinary, fromText)
		}
	}
	for name, body := range map[string]any{"untouched": fromText, "after JSON": throughJSON(t, fromText)} {
		back, err := AppendStructured(nil, typ, body)
		if err != nil {
			t.Errorf("%s %q: text of %#v %s: %v", typ, v.literal, body, name, err)
			continue
		}
		if !bytes.Equal(back, want) {
			t.Errorf("%s %q: %#v %s became %q, was %q", typ, v.literal, body, name, back, want)
		}
	}
}

func moneyIn(t *change.Type) bool {
	return t.Name == "money" || t.Elem != nil && t.Elem.Name == "money"
}

// groups takes the commas out of amounts like "$1,234.56" inside an array.
func groups(text string) string {
	var b strings.Builder
	quoted := false
	for _, c := range text {
		if c == '"' {
			quoted = !quoted
		}
		if c != ',' || !quoted {
			b.WriteRune(c)
		}
	}
	return b.String()
}

func throughJSON(t tester, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Errorf("%#v: %v", v, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var back any
	if err := decoder.Decode(&back); err != nil {
		t.Errorf("%s: %v", text, err)
	}
	return back
}

const domains = `
	CREATE TYPE mood AS ENUM ('sad', 'so so', 'très "happy"', 'NULL');
	CREATE DOMAIN positive AS numeric(12,3) CHECK (VALUE > 0);
	CREATE DOMAIN very_positive AS positive CHECK (VALUE > 1);
	CREATE DOMAIN tags AS text[];
	CREATE TYPE pair AS (a int, b text);
`

// edge values of every type, as literals.
var edges = []struct {
	sqlType string
	since   int // major version of the server
	values  []string
}{
	{"bool", 0, []string{"t", "f"}},
	{"int2", 0, []string{"-32768", "32767", "0", "-1"}},
	{"int4", 0, []string{"-2147483648", "2147483647", "0"}},
	{"int8", 0, []string{"-9223372036854775808", "9223372036854775807", "0", "9007199254740993"}},
	{"oid", 0, []string{"0", "4294967295"}},
	{"xid", 0, []string{"0", "4294967295"}},
	{"xid8", 0, []string{"0", "18446744073709551615"}},
	{"float4", 0, []string{
		"NaN", "Infinity", "-Infinity", "0", "-0", "1", "0.1", "-1e-30", "1e-45", "3.4028235e38", "1.1754944e-38",
		"999999", "1000000", "1e6", "1234567", "16777216", "16777220", "0.0001", "0.00009999", "1e-4", "1e-5", "8388608", "33554432", "1e15", "1e20",
	}},
	{"float8", 0, []string{
		"NaN", "Infinity", "-Infinity", "0", "-0", "1", "0.1", "1e-30", "5e-324", "2.2250738585072014e-308", "1.7976931348623157e308",
		"0.0001", "0.00009999999999999999", "1e-5", "100000000000000", "999999999999999", "1e15", "1e20", "1e22", "1e23", "9007199254740993",
		"123456789012345678", "18014398509481990", "36028797018963970", "3.141592653589793", "1e100",
	}},
	{"numeric", 0, []string{
		"0", "0.0", "-0", "1", "10000", "9999", "-9999.9999", "0.0001", "0.00000001", "1e60", "-1e60", "1e-60", "1.10", "100.000",
		"12345678901234567890.098765432109876543210", "NaN", "1e131071", "0.1e-16382",
	}},
	{"numeric", 14, []string{"Infinity", "-Infinity"}},
	{"numeric(5,-2)", 15, []string{"0", "12345", "-9999900"}},
	{"numeric(3,5)", 15, []string{"0.00999", "-0.00001"}},
	{"numeric(12,4)", 0, []string{"0", "1", "-12345678.9", "99999999.9999"}},
	{"money", 0, []string{"0", "0.01", "-0.05", "1234.56", "-1234567.89", "92233720368547758.07", "-92233720368547758.08"}},
	{"text", 0, []string{"", " ", "NULL", "a\tb\nc", `"quoted" \ back`, "日本語", "{}", "null"}},
	{"varchar(10)", 0, []string{"", "0123456789"}},
	{"char(5)", 0, []string{"", "a", "日本", "12345"}},
	{"bpchar", 0, []string{"", "a  "}},
	{"name", 0, []string{"", "pg_class"}},
	{`"char"`, 0, []string{"", "a", " "}},
	{`"char"`, 16, []string{`\200`, `\377`, `\001`}},
	{"bytea", 0, []string{"", `\x`, `\x00ff5c`, "abc"}},
	{"uuid", 0, []string{"00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}},
	{"date", 0, []string{
		"infinity", "-infinity", "4713-01-01 BC", "0001-01-01 BC", "0001-01-01", "0044-03-15 BC", "1582-10-15", "1900-02-28", "1900-03-01", "1970-01-01",
		"1999-12-31", "2000-01-01", "2000-02-29", "2000-03-01", "2024-12-31", "9999-12-31", "10000-01-01", "5874897-12-31",
	}},
	{"timestamp", 0, []string{
		"infinity", "-infinity", "4713-01-01 00:00:00 BC", "0001-12-31 23:59:59.999999 BC", "1999-12-31 23:59:59.999999", "2000-01-01 00:00:00",
		"2024-02-29 12:34:56.7", "2024-02-29 12:34:56.700001", "9999-12-31 23:59:59.999999", "10000-01-01 00:00:00.5", "294276-12-31 23:59:59.999999",
	}},
	{"timestamp(0)", 0, []string{"2024-02-29 12:34:56.7"}},
	{"timestamptz", 0, []string{
		"infinity", "-infinity", "4713-01-01 00:00:00+00 BC", "0001-12-31 23:59:59.999999+00 BC", "1969-12-31 23:59:59.999999+00", "2000-01-01 00:00:00+02",
		"2024-02-29 12:34:56.123456-08", "9999-12-31 23:59:59.999999+00", "10000-01-01 00:00:00+00", "294276-12-31 23:59:59.999999+00",
	}},
	{"timestamptz(3)", 0, []string{"2024-02-29 12:34:56.123456-08"}},
	{"time", 0, []string{"00:00:00", "24:00:00", "23:59:59.999999", "01:02:03.04"}},
	{"timetz", 0, []string{"00:00:00+00", "24:00:00-15:59", "12:34:56.789+05:30", "12:00:00-03:30:15", "12:00:00+15:59:59", "12:00:00-00:00:01"}},
	{"interval", 0, []string{
		"0", "1 year", "-1 year", "1 mon", "-13 mons", "1 day", "-1 day 1 sec", "1 year -1 day 2:03:04.000005", "-0.000001 sec", "-1.5 sec", "-1 min 0.5 sec",
		"1 hour", "100000 hours", "-59:59:59.999999", "178000000 years", "-178000000 years", "1 mon ago", "2147483647 days", "-2147483648 days", "1000000000 hours",
	}},
	{"interval", 17, []string{"infinity", "-infinity"}},
	{"json", 0, []string{`{"a": 1e400, "b":  [1,2 , 3]}`, `null`, `"x"`, `9007199254740993`, `{"a":1,"a":2}`, "{\"a\" :\n1}"}},
	{"jsonb", 0, []string{`{"a": 1e40, "b":  [1,2 , 3]}`, `null`, `"x"`, `9007199254740993`, `{"a":1,"a":2}`, `"< & > \u00e9 \" \\"`, `1.10`, `{}`}},
	{"mood", 0, []string{"sad", "so so", `très "happy"`, "NULL"}},
	{"positive", 0, []string{"1.5", "0.001"}},
	{"very_positive", 0, []string{"1.5", "999999999.999"}},
	{"tags", 0, []string{`{a,"b c"}`}},

	{"bool[]", 0, []string{"{}", "{t,f,NULL}"}},
	{"int4[]", 0, []string{"{}", "{1}", "{NULL}", "{1,NULL,-3}", "{{1,2},{3,4}}", "{{{1},{2}},{{3},{4}}}", "[0:1]={1,2}", "[-3:-2][5:6]={{1,2},{NULL,4}}", "[2147483645:2147483646]={1,2}"}},
	{"int8[]", 0, []string{"{9223372036854775807}"}},
	{"text[]", 0, []string{
		`{}`, `{""}`, `{NULL,"NULL","null",nUll2}`, `{"a b","c,d","e{f","g}h","i\"j","k\\l"," m","n\t"}`, `{"\\\\","\"\""}`, "{\"line\nfeed\",\"vertical\vtab\"}",
		`{{"a","b c"},{NULL,"}"}}`, `[5:6]={"x y","z"}`, `{日本,"語 "}`, `{a;b}`,
	}},
	{"bpchar[]", 0, []string{`{"a  ",b}`}},
	{"char(3)[]", 0, []string{`{a,abc}`}},
	{"float4[]", 0, []string{"{0.1,NaN,Infinity,-0}"}},
	{"float8[]", 0, []string{"{0.1,1e20,-Infinity,NULL}"}},
	{"numeric[]", 0, []string{"{1.10,-0.001,NaN,NULL}"}},
	{"money[]", 0, []string{`{}`, `{1.5,-2000000.25,NULL}`, `{{1,2},{3,4}}`, `[3:4]={1,2000}`}},
	{"bytea[]", 0, []string{`{"\\x00","\\x"}`}},
	{"uuid[]", 0, []string{"{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"}},
	{"date[]", 0, []string{"{2024-01-01,infinity,0044-03-15 BC}"}},
	{"timestamp[]", 0, []string{`{"2024-01-01 00:00:00","infinity"}`}},
	{"timestamptz[]", 0, []string{`{"2024-01-01 00:00:00.5+00","0001-01-01 00:00:00+00 BC"}`}},
	{"time[]", 0, []string{"{24:00:00}"}},
	{"timetz[]", 0, []string{"{12:00:00+05:30}"}},
	{"interval[]", 0, []string{"{1 day,-1 mon}"}},
	{"json[]", 0, []string{`{"{\"a\": [1, 2]}",null,"null"}`}},
	{"jsonb[]", 0, []string{`{"{\"a\": [1, 2]}","[1, {\"b\": \"c\\\"d\"}]","9007199254740993",NULL}`}},
	{"mood[]", 0, []string{`{sad,"so so","très \"happy\"","NULL",NULL}`}},
	{"positive[]", 0, []string{"{1.5,2}"}},
	{"name[]", 0, []string{"{a,b}"}},
	{`"char"[]`, 0, []string{`{a,""," "}`}},
	{"oid[]", 0, []string{"{1,4294967295}"}},
	{"xid8[]", 0, []string{"{18446744073709551615}"}},

	// Types that travel as text.
	{"inet", 0, []string{"192.168.0.1", "10.0.0.0/8", "::1"}},
	{"inet[]", 0, []string{"{10.0.0.0/8,::1,NULL}"}},
	{"cidr", 0, []string{"10.0.0.0/8"}},
	{"macaddr", 0, []string{"08:00:2b:01:02:03"}},
	{"bit(3)", 0, []string{"101"}},
	{"varbit", 0, []string{"", "10101"}},
	{"point", 0, []string{"(1,2)"}},
	{"point[]", 0, []string{`{"(1,2)","(3,4)"}`}},
	{"box", 0, []string{"(3,4),(1,2)"}},
	{"box[]", 0, []string{"{(3,4),(1,2);(7,8),(5,6)}"}},
	{"int4range", 0, []string{"empty", "[1,5)", "(,)"}},
	{"int4range[]", 0, []string{`{"[1,5)",empty}`}},
	{"tstzrange", 0, []string{`["2024-01-01 00:00:00+00","2024-01-02 00:00:00+00")`}},
	{"int4multirange", 14, []string{"{[1,3),[5,7)}"}},
	{"pair", 0, []string{`(1,"a b")`, "(,)"}},
	{"pair[]", 0, []string{`{"(1,\"a b\")","(,)"}`}},
	{"tsvector", 0, []string{"'a':1 'b':2"}},
	{"pg_lsn", 0, []string{"16/B374D848"}},
	{"int2vector", 0, []string{"1 2 3"}},
	{"oidvector", 0, []string{"1 2 3"}},
	{"jsonpath", 0, []string{`$."a"`}},
	{"regclass", 0, []string{"pg_class"}},
}

func TestEdgeValuesSayTheSameInBothFormats(t *testing.T) {
	s := connect(t, domains)
	for _, tc := range edges {
		t.Run(tc.sqlType, func(t *testing.T) {
			if s.version < tc.since {
				t.Skipf("needs PostgreSQL %d", tc.since)
			}
			typ, typmod, values := s.read(t, tc.sqlType, tc.values)
			for _, v := range values {
				check(t, typ, typmod, v)
			}
		})
	}
}

// TestBinaryNamesEveryTypeItPromises keeps a type from falling back to text
// unnoticed, where all other tests would still pass.
func TestBinaryNamesEveryTypeItPromises(t *testing.T) {
	s := connect(t, domains)
	text := false
	for _, tc := range edges {
		if tc.sqlType == "inet" {
			text = true
		}
		if s.version < tc.since {
			continue
		}
		if typ, _, _ := s.read(t, tc.sqlType, nil); Binary(typ) == text {
			t.Errorf("Binary(%s) is %v", tc.sqlType, Binary(typ))
		}
	}
}

func TestMoneyReadsBackAsTheSameAmount(t *testing.T) {
	s := connect(t, "")
	typ, typmod, values := s.read(t, "money", []string{"0.07", "-1234567.89", "-92233720368547758.08"})
	for _, v := range values {
		plain, err := AppendText(nil, typ, typmod, v.binary)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, again := s.read(t, "money", []string{string(plain)}); !bytes.Equal(again[0].binary, v.binary) {
			t.Errorf("%s became %s, which reads as %s", v.text, plain, again[0].text)
		}
	}
}
