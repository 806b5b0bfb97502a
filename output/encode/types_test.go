package encode

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/penstock/penstock/internal/pgvalue"
)

// same says whether ClickHouse's text of a value means what PostgreSQL's does.
type same func(postgres, clickhouse string) bool

func identical(p, c string) bool { return p == c }

// sameNumber compares decimals, of which ClickHouse prints no trailing zeros.
func sameNumber(p, c string) bool {
	if strings.Contains(p, ".") {
		p = strings.TrimRight(strings.TrimRight(p, "0"), ".")
	}
	if strings.Contains(c, ".") {
		c = strings.TrimRight(strings.TrimRight(c, "0"), ".")
	}
	return p == c || p == "-0" && c == "0"
}

// sameFloat compares the floats of the given size that the texts stand for.
func sameFloat(bits int) same {
	return func(p, c string) bool {
		x, err1 := strconv.ParseFloat(p, bits)
		y, err2 := strconv.ParseFloat(c, bits)
		return err1 == nil && err2 == nil && (x == y && math.Signbit(x) == math.Signbit(y) || x != x && y != y)
	}
}

// sameTime compares times; ClickHouse prints all digits and no offset.
func sameTime(digits int) same {
	return func(p, c string) bool {
		p, _ = strings.CutSuffix(p, "+00")
		whole, fraction, _ := strings.Cut(p, ".")
		return c == whole+"."+fraction+strings.Repeat("0", digits-len(fraction))
	}
}

func sameBool(p, c string) bool {
	return p == "t" && (c == "true" || c == "1") || p == "f" && (c == "false" || c == "0")
}

// quoted turns texts into SQL literals.
func quoted(texts ...string) []string {
	for i, t := range texts {
		texts[i] = "'" + strings.ReplaceAll(t, "'", "''") + "'"
	}
	return texts
}

// roundTrip is a source type, values of it, and the destination types that hold
// them all.
type roundTrip struct {
	pgType string
	values []string // SQL expressions; a NULL is added
	to     map[string]same
	// text says that PostgreSQL's text and ClickHouse's are compared after this.
	text func(string) string
	// since is the first server version that has the type, 0 for all.
	since int
}

// TestRoundTrip stores what PostgreSQL sends in each of the three forms, and
// reads it back from ClickHouse.
func TestRoundTrip(t *testing.T) {
	pg, click := newSource(t), newDestination(t)
	pg.exec("CREATE TYPE mood AS ENUM ('sad', 'ok', 'very happy', 'it''s', 'ünïcode')")
	pg.exec("CREATE TYPE pair AS (a int4, b text)")
	pg.exec("CREATE DOMAIN positive AS numeric(12,2) CHECK (VALUE > 0)")
	version := pg.version()
	for _, r := range roundTrips() {
		if version < r.since {
			continue
		}
		t.Run(r.pgType, func(t *testing.T) { r.run(t, pg, click) })
	}
}

func (r *roundTrip) run(t *testing.T, pg *source, click *destination) {
	pg.TB, click.TB = t, t
	name, table := pg.table(r.pgType, append(slices.Clone(r.values), "NULL"))
	texts := pg.query("SELECT v FROM " + name + " ORDER BY id")
	forms := []int{formCopy, formText, formRows}
	if pgvalue.Binary(table.Columns[1].Type) {
		forms = append(forms, formBinary)
	}
	for chType, equal := range r.to {
		if err := Check(table.Columns[1], chType); err != nil {
			t.Error(err)
			continue
		}
		to, columns := click.table(chType)
		block, err := NewBlock(table, columns, metadataOptions(Fail))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, form := range forms {
			if err := block.Append(pg.batch(name, table, form)); err != nil {
				t.Fatalf("form %d into %s: %v", form, chType, err)
			}
		}
		click.insert(to, block)
		for _, form := range forms {
			stored := click.values(to, form)
			if len(stored) != len(texts) {
				t.Fatalf("form %d into %s: %d rows stored, want %d", form, chType, len(stored), len(texts))
			}
			for i := range stored {
				want := texts[i][0]
				if want == "NULL" && stored[i] == emptyOf(chType) {
					continue
				}
				if r.text != nil {
					want = r.text(want)
				}
				if !equal(want, stored[i]) {
					t.Errorf("form %d into %s: PostgreSQL prints %q, ClickHouse %q", form, chType, want, stored[i])
				}
			}
		}
	}
}

// emptyOf is what stands for NULL in a type.
func emptyOf(chType string) string {
	switch {
	case strings.Contains(chType, "Nullable") && !strings.HasPrefix(chType, "Array"):
		return "NULL"
	case strings.HasPrefix(chType, "Array"):
		return "[]"
	case strings.HasPrefix(chType, "Int"), strings.HasPrefix(chType, "Decimal"), strings.HasPrefix(chType, "Float"):
		return "0"
	}
	return ""
}

func nullable(types ...string) []string {
	for i := range types {
		types[i] = "Nullable(" + types[i] + ")"
	}
	return types
}

func into(equal same, types ...string) map[string]same {
	m := make(map[string]same, len(types))
	for _, t := range types {
		m[t] = equal
	}
	return m
}

func and(maps ...map[string]same) map[string]same {
	all := map[string]same{}
	for _, m := range maps {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

func nines(whole, fraction int) string {
	s := strings.Repeat("9", whole)
	if fraction > 0 {
		s += "." + strings.Repeat("9", fraction)
	}
	return s
}

var stringTypes = []string{"String", "Nullable(String)", "LowCardinality(String)", "LowCardinality(Nullable(String))"}

func roundTrips() []roundTrip {
	long := strings.Repeat("long text ", 3000)
	return []roundTrip{
		{pgType: "bool", values: []string{"true", "false"}, to: and(into(sameBool, nullable("Bool", "UInt8")...), into(identical, stringTypes...))},
		{pgType: "int2", values: []string{"0", "-1", "32767", "-32768"}, to: into(identical, append(nullable("Int16", "Int32", "Int64", "Int128", "Int256"), append(stringTypes, "Int16")...)...)},
		{pgType: "int4", values: []string{"0", "-1", "2147483647", "-2147483648", "12"}, to: and(into(sameFloat(64), "Nullable(Float64)"), into(sameNumber, nullable("Decimal(10, 0)", "Decimal(18, 8)", "Decimal(30, 20)")...), into(identical, append(nullable("Int32", "Int64", "Int128", "Int256"), append(stringTypes, "Int64")...)...))},
		{pgType: "int8", values: []string{"0", "-1", "9223372036854775807", "-9223372036854775808"}, to: and(into(sameNumber, nullable("Decimal(19, 0)", "Decimal(76, 57)")...), into(identical, append(nullable("Int64", "Int128", "Int256"), stringTypes...)...))},
		{pgType: "oid", values: []string{"0", "4294967295"}, to: into(identical, nullable("UInt32", "UInt64", "Int64", "UInt128", "UInt256", "Int128", "String", "Decimal(10, 0)")...)},
		{pgType: "xid", values: quoted("3", "4294967295"), to: into(identical, nullable("UInt32", "UInt64", "Int64", "String")...)},
		{pgType: "xid8", values: quoted("0", "18446744073709551615"), to: into(identical, nullable("UInt64", "UInt128", "UInt256", "Int128", "Int256", "String", "Decimal(20, 0)")...)},
		{
			pgType: "float4",
			values: quoted("0", "-0", "1.5", "0.1", "3.4028235e38", "-3.4028235e38", "1.4e-45", "NaN", "Infinity", "-Infinity", "1e10", "123456.78"),
			to:     and(into(sameFloat(32), nullable("Float32", "Float64")...), into(identical, stringTypes...)),
		},
		{
			pgType: "float8",
			values: quoted("0", "-0", "1.5", "0.1", "1.7976931348623157e308", "5e-324", "NaN", "Infinity", "-Infinity", "1e15", "1e16", "123456789.123456789"),
			to:     and(into(sameFloat(64), "Nullable(Float64)"), into(identical, stringTypes...)),
		},
		{
			pgType: "numeric(12,2)",
			values: quoted("0", "0.01", "-0.01", "9999999999.99", "-9999999999.99", "10000", "100000000", "1234.5", "0.10", "-7", "20000.00", "12345678.9"),
			to: and(
				into(sameNumber, nullable("Decimal(12, 2)", "Decimal(18, 4)", "Decimal(18, 8)", "Decimal(30, 10)", "Decimal(60, 20)", "Decimal(76, 66)", "Decimal(76, 2)", "Decimal64(2)", "Decimal128(3)", "Decimal256(4)")...),
				into(identical, stringTypes...), into(sameFloat(64), "Nullable(Float64)"), into(sameNumber, "Decimal(12, 2)")),
		},
		{pgType: "positive", values: []string{"1.50", "12.34"}, to: into(sameNumber, "Nullable(Decimal(12, 2))")},
		{
			pgType: "numeric(9,0)", values: quoted("0", "999999999", "-999999999", "10000", "10001"),
			to: into(sameNumber, nullable("Decimal(9, 0)", "Int32", "Int64", "Int128", "Int256", "Decimal(76, 0)")...),
		},
		{pgType: "numeric(4,4)", values: quoted("0.0001", "-0.9999", "0.5", "0"), to: into(sameNumber, nullable("Decimal(4, 4)", "Decimal(5, 5)", "Decimal(38, 38)", "Decimal(76, 76)")...)},
		{pgType: "numeric(3,-2)", since: 15, values: quoted("12300", "99900", "-99900", "0"), to: into(sameNumber, nullable("Decimal(5, 0)", "Int32")...)},
		{pgType: "numeric(2,5)", since: 15, values: quoted("0.00099", "-0.00001"), to: into(sameNumber, nullable("Decimal(5, 5)")...)},
		{
			pgType: "numeric(18,6)", values: quoted(nines(12, 6), "-"+nines(12, 6), "0.000001", "1", "100000000000"),
			to: into(sameNumber, nullable("Decimal(18, 6)", "Decimal(38, 6)", "Decimal(76, 6)")...),
		},
		{
			pgType: "numeric(38,10)", values: quoted(nines(28, 10), "-"+nines(28, 10), "0.0000000001", "-0.0000000001", "1e27", "0"),
			to: into(sameNumber, nullable("Decimal(38, 10)", "Decimal(76, 48)")...),
		},
		{
			pgType: "numeric(76,0)", values: quoted(nines(76, 0), "-"+nines(76, 0), "1e75", "-1", "0"),
			to: into(sameNumber, nullable("Decimal(76, 0)", "Int256", "UInt256")[:2]...),
		},
		{
			pgType: "numeric(76,76)", values: quoted("0."+strings.Repeat("9", 76), "-0."+strings.Repeat("9", 76), "1e-76", "0.5"),
			to: into(sameNumber, nullable("Decimal(76, 76)")...),
		},
		{
			pgType: "numeric(78,0)", values: quoted("115792089237316195423570985008687907853269984665640564039457584007913129639935", "0", "1"),
			to: into(identical, nullable("UInt256", "String")...),
		},
		{
			pgType: "numeric", values: quoted("0", "0.00", "1.10", "-123456789012345678901234567890.123456789", "1e-20", "1e30", "NaN", "Infinity", "-Infinity"),
			to: into(identical, stringTypes...),
		},
		{
			pgType: "numeric /* unbounded */", values: quoted("0", "0.00", "1.10", "-1234567890123456789.0123456789", "1e-10", "12345678.00000000000000000000"),
			to: and(into(sameNumber, nullable("Decimal(40, 10)", "Decimal(76, 30)")...), into(sameFloat(64), "Nullable(Float64)")),
		},
		{
			pgType: "money", values: quoted("0", "1234567.89", "-0.01", "-1234.50", "92233720368547758.07", "-92233720368547758.08"),
			to:   and(into(sameNumber, nullable("Decimal(19, 2)", "Decimal(38, 4)")...), into(identical, stringTypes...)),
			text: func(s string) string { return strings.NewReplacer("$", "", ",", "").Replace(s) },
		},
		{pgType: "text", values: quoted("", "a", "it's", "日本語", "a\nb\tc", long, strings.Repeat("x", 127), strings.Repeat("x", 128), "NULL "), to: into(identical, stringTypes...)},
		{pgType: "varchar(20)", values: quoted("", "abc", "日本語"), to: into(identical, stringTypes...)},
		{pgType: "char(5)", values: quoted("", "ab", "abcde"), to: into(identical, append(stringTypes, "FixedString(5)")...)},
		{pgType: "name", values: quoted("pg_class"), to: into(identical, stringTypes...)},
		{pgType: "xml", values: quoted("<a>1</a>"), to: into(identical, stringTypes...)},
		{
			pgType: `"char"`, values: []string{"'a'", "''", "'é'"}, to: into(identical, "String", "Nullable(String)"),
			text: func(s string) string {
				if s == "\xc3" { // before PostgreSQL 16, which prints bytes above 127 in octal
					return `\303`
				}
				return s
			},
		},
		{
			pgType: `"char" /* byte */`, values: []string{"'a'", "''", "'é'"}, to: into(identical, nullable("FixedString(1)")...),
			text: func(s string) string { return strings.ReplaceAll(s, `\303`, "\xc3") },
		},
		{
			pgType: "bytea", values: []string{`'\x'`, `'\x00ff10'`, `'\x5c78'`, `'abc'`}, to: into(identical, stringTypes...),
			text: func(s string) string {
				b, _ := appendBytea(nil, []byte(s))
				return string(b)
			},
		},
		{pgType: "uuid", values: quoted("00112233-4455-6677-8899-aabbccddeeff", "ffffffff-ffff-ffff-ffff-ffffffffffff", "00000000-0000-0000-0000-000000000001"), to: into(identical, append(nullable("UUID"), stringTypes...)...)},
		{
			pgType: "date", values: quoted("1970-01-01", "1900-01-01", "2299-12-31", "2000-02-29", "1969-12-31", "2024-12-31"),
			to: into(identical, append(nullable("Date32"), stringTypes...)...),
		},
		{pgType: "date /* Date */", values: quoted("1970-01-01", "2149-06-06", "2000-02-29"), to: into(identical, nullable("Date")...)},
		{pgType: "date /* any */", values: quoted("4713-01-01 BC", "5874897-12-31", "infinity", "-infinity"), to: into(identical, stringTypes...)},
		{
			pgType: "timestamp", values: quoted("1970-01-01 00:00:00", "1900-01-01 00:00:00", "2299-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999", "2024-02-29 12:34:56.7", "1999-12-31 23:59:59.5"),
			to: and(into(sameTime(6), nullable("DateTime64(6)", "DateTime64(6, 'UTC')")...), into(sameTime(7), nullable("DateTime64(7, 'UTC')")...), into(sameTime(8), nullable("DateTime64(8, 'UTC')")...), into(identical, stringTypes...)),
		},
		{
			pgType: "timestamptz", values: quoted("1970-01-01 00:00:00+00", "1900-01-01 00:00:00+00", "2299-12-31 23:59:59.999999+00", "1969-12-31 23:59:59.999999+00", "2024-02-29 12:34:56.7+05:30"),
			to: and(into(sameTime(6), nullable("DateTime64(6)", "DateTime64(6, 'UTC')")...), into(identical, stringTypes...)),
		},
		{
			pgType: "timestamptz /* ns */", values: quoted("1900-01-01 00:00:00+00", "2262-04-11 23:47:16.854775+00", "2024-02-29 12:34:56.7+05:30"),
			to: into(sameTime(9), nullable("DateTime64(9, 'UTC')")...),
		},
		{pgType: "timestamp(3)", values: quoted("1900-01-01 00:00:00", "2299-12-31 23:59:59.999", "2024-02-29 12:34:56.7", "1969-12-31 23:59:59.999"), to: into(sameTime(3), nullable("DateTime64(3, 'UTC')")...)},
		{pgType: "timestamptz /* any */", values: quoted("4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999", "infinity", "-infinity"), to: into(identical, stringTypes...)},
		{pgType: "time", values: quoted("00:00:00", "24:00:00", "12:34:56.789", "23:59:59.999999"), to: and(into(identical, stringTypes...), into(sameTime(6), nullable("Time64(6)")...))},
		{pgType: "timetz", values: quoted("12:34:56.789+05:30", "24:00:00-12"), to: into(identical, stringTypes...)},
		{pgType: "interval", values: quoted("1 year 2 mons 3 days 04:05:06.7", "-1 day", "0", "1 mon -1 day"), to: into(identical, stringTypes...)},
		{pgType: "json", values: quoted(`{"a" : 1, "a":2}`, `[1, 2]`, `12345678901234567890`, `null`), to: into(identical, stringTypes...)},
		{pgType: "jsonb", values: quoted(`{"a": 1, "b": [1.50, null, "x"]}`, `[]`, `12345678901234567890.10`), to: into(identical, stringTypes...)},
		{pgType: "jsonb /* JSON */", values: quoted(`{}`, `{"a":"1","b":["x"]}`), to: into(func(p, c string) bool { return strings.ReplaceAll(p, " ", "") == c }, nullable("JSON")...)},
		{pgType: "mood", values: quoted("sad", "very happy", "it's", "ünïcode"), to: into(identical, append([]string{`Nullable(Enum8('sad' = 1, 'ok' = 2, 'very happy' = 3, 'it\'s' = 4, 'ünïcode' = -5))`, `Nullable(Enum16('sad' = 1000, 'ok' = 2, 'very happy' = 3, 'it\'s' = 4, 'ünïcode' = -5))`}, stringTypes...)...)},
		{pgType: "inet", values: quoted("1.2.3.4", "255.255.255.255", "0.0.0.0"), to: into(identical, append(nullable("IPv4"), stringTypes...)...)},
		{pgType: "inet /* v6 */", values: quoted("::1", "2001:db8::ff00:42:8329", "1.2.3.4"), to: into(func(p, c string) bool { return p == strings.TrimPrefix(c, "::ffff:") }, nullable("IPv6")...)},
		{pgType: "cidr", values: quoted("10.0.0.0/8", "2001:db8::/32"), to: into(identical, stringTypes...)},
		{pgType: "macaddr", values: quoted("08:00:2b:01:02:03"), to: into(identical, stringTypes...)},
		{pgType: "int4range", values: quoted("[1,5)", "empty"), to: into(identical, stringTypes...)},
		{pgType: "tstzrange", values: quoted("[2024-01-01,)"), to: into(identical, stringTypes...)},
		{pgType: "point", values: quoted("(1,2)"), to: into(identical, stringTypes...)},
		{pgType: "bit(3)", values: []string{"B'101'"}, to: into(identical, stringTypes...)},
		{pgType: "varbit", values: []string{"B'10101'", "B''"}, to: into(identical, stringTypes...)},
		{pgType: "tsvector", values: quoted("a fat cat"), to: into(identical, stringTypes...)},
		{pgType: "pg_lsn", values: quoted("16/B374D848"), to: into(identical, stringTypes...)},
		{pgType: "pair", values: []string{"ROW(1, 'a b')"}, to: into(identical, stringTypes...)},
		{pgType: "int2vector", values: quoted("1 2 3"), to: into(identical, stringTypes...)},
	}
}
