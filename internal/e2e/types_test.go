package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/penstock/penstock/internal/verify"
)

// typeCase is a type of PostgreSQL with values at its edges. All of them can be
// held by the ClickHouse type that the output chooses.
type typeCase struct {
	name, typ string
	values    []string // SQL
	extension string   // skipped where the server does not have it
	since     int      // PostgreSQL version that has the type
}

var typeCases = []typeCase{
	{name: "boolean", typ: "bool", values: []string{"true", "false"}},
	{name: "small", typ: "int2", values: []string{"-32768", "0", "32767"}},
	{name: "medium", typ: "int4", values: []string{"-2147483648", "0", "2147483647"}},
	{name: "large", typ: "int8", values: []string{"-9223372036854775808", "9007199254740993", "9223372036854775807"}},
	{name: "object", typ: "oid", values: []string{"0", "4294967295"}},
	{name: "transaction", typ: "xid", values: []string{"'0'", "'4294967295'"}},
	{name: "transaction8", typ: "xid8", values: []string{"'0'", "'18446744073709551615'"}},
	{name: "single", typ: "float4", values: []string{"'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "0.1", "3.4028235e38", "1.4e-45", "16777217"}},
	{name: "double", typ: "float8", values: []string{"'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "0.1", "1.7976931348623157e308", "5e-324", "9007199254740993", "1e20"}},
	{name: "decimal", typ: "numeric(10,2)", values: []string{"0", "0.01", "-0.01", "99999999.99", "-99999999.99", "1.5"}},
	{name: "decimal18", typ: "numeric(18,6)", values: []string{"999999999999.999999", "-0.000001"}},
	{name: "decimal38", typ: "numeric(38,10)", values: []string{"9999999999999999999999999999.9999999999", "-1"}},
	{name: "decimal76", typ: "numeric(76,38)", values: []string{strings.Repeat("9", 38) + "." + strings.Repeat("9", 38), "-0." + strings.Repeat("0", 37) + "1"}},
	{name: "integral", typ: "numeric(20)", values: []string{"99999999999999999999", "-1", "10000", "100000000"}},
	{name: "fraction", typ: "numeric(3,5)", values: []string{"0.00999", "-0.00001"}, since: 15},
	{name: "hundreds", typ: "numeric(3,-2)", values: []string{"99900", "12345", "-100"}, since: 15},
	{name: "unbounded", typ: "numeric", values: []string{"1.50", "'NaN'", "'Infinity'", "'-Infinity'", "1e100", "-0.000000000000000000000000000000001", "0.00"}},
	{name: "too_wide", typ: "numeric(100,20)", values: []string{strings.Repeat("9", 80) + ".00000000000000000001"}},
	{name: "cash", typ: "money", values: []string{"'0'", "'-0.01'", "'9999999999999999.99'", "'-9999999999999999.99'"}},
	{name: "words", typ: "text", values: []string{"''", "'NULL'", `'\N'`, `E'tab\t line\n quote\' back\\slash'`, "'ü€😀'", "repeat('long ', 20000)"}},
	{name: "bounded", typ: "varchar(10)", values: []string{"''", "'0123456789'", "'ünïcödé'"}},
	{name: "padded", typ: "char(5)", values: []string{"''", "'ab'", "'abcde'", "'ü'"}},
	{name: "one_char", typ: "char", values: []string{"''", "'x'"}},
	{name: "identifier", typ: "name", values: []string{"''", "'pg_class'"}},
	{name: "internal", typ: `"char"`, values: []string{"'x'", "''"}},
	{name: "document", typ: "xml", values: []string{"'<a b=\"c\">d</a>'"}, extension: "xml"},
	{name: "insensitive", typ: "citext", values: []string{"'MiXed'"}, extension: "citext"},
	{name: "bytes", typ: "bytea", values: []string{`'\x'`, `'\x00'`, `'\x00ff5c27'`, `decode(repeat('00ff', 10000), 'hex')`}},
	{name: "identity", typ: "uuid", values: []string{"'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'", "'01234567-89ab-cdef-fedc-ba9876543210'"}},
	{name: "day", typ: "date", values: []string{"'1900-01-01'", "'1969-12-31'", "'1970-01-01'", "'2000-02-29'", "'2299-12-31'"}},
	{name: "moment", typ: "timestamp", values: []string{"'1900-01-01 00:00:00'", "'1969-12-31 23:59:59.999999'", "'2000-01-01'", "'2299-12-31 23:59:59.999999'"}},
	{name: "moment_zoned", typ: "timestamptz", values: []string{"'1900-01-01 00:00:00+00'", "'1969-12-31 23:59:59.999999+00'", "'2024-07-01 12:00:00+02'", "'2299-12-31 23:59:59.999999+00'"}},
	{name: "seconds", typ: "timestamptz(0)", values: []string{"'2024-07-01 12:00:00.6+02'"}},
	{name: "clock", typ: "time", values: []string{"'00:00:00'", "'23:59:59.999999'", "'24:00:00'", "'01:02:03.5'"}},
	{name: "clock_zoned", typ: "timetz", values: []string{"'00:00:00+00'", "'24:00:00-15:59:59'", "'12:30:00.25+05:30'"}},
	{name: "duration", typ: "interval", values: []string{"'0'", "'1 year -2 months 3 days -04:05:06.789'", "'178000000 years'", "'-1 day'", "'0.000001 seconds'"}},
	{name: "json_text", typ: "json", values: []string{`'{"b" : 1,  "a":1e400, "a": 12345678901234567890123}'`, "'null'", `'"\u00fc"'`}},
	{name: "json_binary", typ: "jsonb", values: []string{`'{"b": 1, "a": [1, 2, {"c": null}], "n": 12345678901234567890123.450}'`, "'null'", "'[]'", `'"ü\u0001"'`}},
	{name: "feeling", typ: "mood", values: []string{"'happy'", "'it''s, \"fine\"'", "'ü'"}},
	{name: "domained", typ: "positive", values: []string{"1", "2147483647"}},
	{name: "domained_text", typ: "code", values: []string{"'ab'"}},
	{name: "numbers", typ: "int4[]", values: []string{"'{}'", "'{1,NULL,-3}'", "'{NULL}'", "ARRAY(SELECT generate_series(1, 5000))"}},
	{name: "flags", typ: "bool[]", values: []string{"'{t,f,NULL}'"}},
	{name: "texts", typ: "text[]", values: []string{"'{}'", `ARRAY['a,b', '"', E'\\', '', 'NULL', NULL, '{}', E'new\nline', 'ü']`}},
	{name: "padded_list", typ: "char(3)[]", values: []string{"'{a,abc,NULL}'"}},
	{name: "floats", typ: "float8[]", values: []string{"'{NaN,Infinity,-0,0.1,NULL}'"}},
	{name: "decimals", typ: "numeric(6,2)[]", values: []string{"'{0,1.5,-9999.99,NULL}'"}},
	{name: "unbounded_list", typ: "numeric[]", values: []string{"'{1.50,NaN,1e50,NULL}'"}},
	{name: "days", typ: "date[]", values: []string{"'{1900-01-01,2299-12-31,NULL}'"}},
	{name: "moments", typ: "timestamptz[]", values: []string{"'{1900-01-01 00:00:00+00,2024-07-01 12:00:00.000001+02,NULL}'"}},
	{name: "identities", typ: "uuid[]", values: []string{"'{01234567-89ab-cdef-fedc-ba9876543210,NULL}'"}},
	{name: "byte_list", typ: "bytea[]", values: []string{`ARRAY['\x00ff'::bytea, '', NULL]`}},
	{name: "documents", typ: "jsonb[]", values: []string{`ARRAY['{"a": "x, y"}'::jsonb, 'null', NULL]`}},
	{name: "durations", typ: "interval[]", values: []string{"'{1 day,NULL}'"}},
	{name: "feelings", typ: "mood[]", values: []string{`ARRAY['happy', NULL, 'it''s, "fine"']::mood[]`}},
	{name: "domains", typ: "positive[]", values: []string{"'{1,2,NULL}'"}},
	{name: "span", typ: "int4range", values: []string{"'[1,5)'", "'empty'", "'(,)'"}},
	{name: "spans", typ: "int4multirange", values: []string{"'{[1,5),[10,20)}'", "'{}'"}},
	{name: "span_time", typ: "tstzrange", values: []string{"'[2024-01-01 00:00:00+01,)'"}},
	{name: "spot", typ: "point", values: []string{"'(0.1,-1e300)'"}},
	{name: "shape", typ: "polygon", values: []string{"'((0,0),(1,1),(1,0))'"}},
	{name: "boxes", typ: "box[]", values: []string{"'{(1,1),(0,0);(2,2),(1,1)}'"}},
	{name: "host", typ: "inet", values: []string{"'10.0.0.1'", "'10.0.0.0/8'", "'2001:db8::1'", "'::ffff:1.2.3.4'"}},
	{name: "network", typ: "cidr", values: []string{"'10.0.0.0/8'", "'10.0.0.1/32'"}},
	{name: "hosts", typ: "inet[]", values: []string{"'{10.0.0.1,2001:db8::/32,NULL}'"}},
	{name: "hardware", typ: "macaddr", values: []string{"'08:00:2b:01:02:03'"}},
	{name: "bits", typ: "bit(5)", values: []string{"B'10101'"}},
	{name: "more_bits", typ: "varbit", values: []string{"B''", "B'1'"}},
	{name: "search", typ: "tsvector", values: []string{"'a:1 fat:2A cat:3B,4'"}},
	{name: "query", typ: "tsquery", values: []string{"'fat & !rat'"}},
	{name: "position", typ: "pg_lsn", values: []string{"'16/B374D848'"}},
	{name: "compound", typ: "place", values: []string{`ROW('a "b", c', NULL, '2024-01-01')::place`}},
	{name: "compounds", typ: "place[]", values: []string{`ARRAY[ROW('x', 1, NULL)::place, NULL]`}},
	{name: "map", typ: "hstore", values: []string{`'a=>1, b=>NULL'`}, extension: "hstore"},
	{name: "path", typ: "ltree", values: []string{"'a.b.c'"}, extension: "ltree"},
	{name: "embedding", typ: "vector(3)", values: []string{"'[1,0.1,-3e10]'"}, extension: "vector"},
	{name: "embedding_half", typ: "halfvec(3)", values: []string{"'[1,0.5,-2]'"}, extension: "vector"},
}

const typesSQL = `
CREATE TYPE mood AS ENUM ('happy', 'it''s, "fine"', 'ü');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN code AS char(4);
CREATE TYPE place AS (name text, number int, since date);
`

// typeTables creates a table for each type, and one with a column for each, and
// returns their names. Each has a column that may be NULL and one that may not.
func typeTables(t testing.TB, e *ends) []typeCase {
	t.Helper()
	e.source(t, typesSQL)
	var version int
	if err := e.postgres.QueryRow(t.Context(), "SELECT current_setting('server_version_num')::int / 10000").Scan(&version); err != nil {
		t.Fatal(err)
	}
	var cases []typeCase
	for _, c := range typeCases {
		if version < c.since {
			continue
		}
		switch c.extension {
		case "":
		case "xml":
			if _, err := e.postgres.Exec(t.Context(), "SELECT '<a/>'::xml"); err != nil {
				t.Logf("%s is left out: %v", c.name, err)
				continue
			}
		default:
			if _, err := e.postgres.Exec(t.Context(), "CREATE EXTENSION IF NOT EXISTS "+c.extension); err != nil {
				t.Logf("%s is left out: %v", c.name, err)
				continue
			}
		}
		e.source(t, fmt.Sprintf("CREATE TABLE t_%s (id int PRIMARY KEY, v %s, required %s NOT NULL)", c.name, c.typ, c.typ))
		cases = append(cases, c)
	}
	return cases
}

// insertValues inserts each value, and NULL, as rows from first on.
func insertValues(t testing.TB, e *ends, c typeCase, first int) {
	t.Helper()
	for i, v := range append([]string{"NULL"}, c.values...) {
		e.source(t, fmt.Sprintf("INSERT INTO t_%s VALUES (%d, %s, %s)", c.name, first+i, v, c.values[max(i-1, 0)]))
	}
}

// Guards the rule above all of types.md: snapshot and stream give the same
// value, text and binary give the same value, and none is changed.
func TestEveryType(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		input    []string
		output   []string
		nullable bool
	}{
		{name: "nullable"},
		{name: "not nullable", output: []string{"nullable: false"}, nullable: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			formats(t, func(t *testing.T, format string) {
				e := newEnds(t)
				cases := typeTables(t, e)
				var names []string
				for _, c := range cases {
					insertValues(t, e, c, 0)
					names = append(names, "t_"+c.name)
				}
				p := e.start(t, pipeOptions{format: format, input: tt.input, output: tt.output})
				p.running()
				for _, c := range cases {
					insertValues(t, e, c, 100)
					// The values change places, so that an update writes each.
					e.source(t, fmt.Sprintf("UPDATE t_%[1]s a SET v = b.v FROM t_%[1]s b WHERE a.id < 100 AND b.id = a.id + 99", c.name))
				}
				e.equal(t, verify.Options{NullAsDefault: tt.nullable}, names...)
				if d, err := p.status(); err != nil || d.Failure != nil {
					t.Errorf("failure %+v: %v", d.Failure, err)
				}
			})
		})
	}
}

// A type whose values are not all read in binary makes the stream text; the
// test above has one table of each type, so this one has all in one stream.
func TestEveryTypeAsAKey(t *testing.T) {
	t.Parallel()
	keys := []typeCase{
		{typ: "int8"}, {typ: "text"}, {typ: "uuid"}, {typ: "numeric(20,4)"}, {typ: "date"}, {typ: "timestamptz"}, {typ: "bytea"}, {typ: "char(5)"}, {typ: "mood"}, {typ: "bool"}, {typ: "inet"},
	}
	values := map[string][2]string{
		"int8": {"-1", "9223372036854775807"}, "text": {"''", "'ü'"}, "uuid": {"'01234567-89ab-cdef-fedc-ba9876543210'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"},
		"numeric(20,4)": {"0", "-1.5"}, "date": {"'1900-01-01'", "'2299-12-31'"}, "timestamptz": {"'1900-01-01 00:00:00+00'", "'2024-07-01 12:00:00.000001+02'"},
		"bytea": {`'\x00'`, `'\xff'`}, "char(5)": {"'a'", "'b'"}, "mood": {"'happy'", "'ü'"}, "bool": {"true", "false"}, "inet": {"'10.0.0.1'", "'::1'"},
	}
	formats(t, func(t *testing.T, format string) {
		e := newEnds(t)
		e.source(t, typesSQL)
		var names []string
		for i, k := range keys {
			name := fmt.Sprintf("k%d", i)
			names = append(names, name)
			e.source(t, fmt.Sprintf("CREATE TABLE %s (v int, k %s PRIMARY KEY)", name, k.typ),
				fmt.Sprintf("INSERT INTO %s VALUES (1, %s)", name, values[k.typ][0]))
		}
		p := e.start(t, pipeOptions{format: format})
		p.running()
		for i, k := range keys {
			e.source(t, fmt.Sprintf("UPDATE k%d SET v = 2", i),
				fmt.Sprintf("UPDATE k%d SET k = %s", i, values[k.typ][1]),
				fmt.Sprintf("INSERT INTO k%d VALUES (3, %s)", i, values[k.typ][0]),
				fmt.Sprintf("DELETE FROM k%d WHERE v = 2", i))
		}
		e.equal(t, verify.Options{}, names...)
	})
}
