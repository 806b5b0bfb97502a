package verify

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/internal/devstack/devtest"
)

func connect(t testing.TB) (*pgx.Conn, driver.Conn) {
	t.Helper()
	pg, err := pgx.Connect(t.Context(), devtest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pg.Close(context.Background()) })
	o, err := clickhouse.ParseDSN(devtest.ClickHouse(t))
	if err != nil {
		t.Fatal(err)
	}
	ch, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ch.Close() })
	return pg, ch
}

func run(t testing.TB, pg *pgx.Conn, ch driver.Conn, postgres, clickHouse string) {
	t.Helper()
	if _, err := pg.Exec(t.Context(), postgres); err != nil {
		t.Fatalf("PostgreSQL: %v", err)
	}
	for statement := range strings.SplitSeq(clickHouse, ";\n") {
		if statement = strings.TrimSpace(statement); statement != "" {
			if err := ch.Exec(t.Context(), statement); err != nil {
				t.Fatalf("ClickHouse: %s: %v", statement, err)
			}
		}
	}
}

var pair = Pair{Schema: "public", Table: "t", Destination: "t"}

func mustCompare(t testing.TB, pg *pgx.Conn, ch driver.Conn, o Options) Result {
	t.Helper()
	r, err := Compare(t.Context(), pg, ch, pair, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Every value below is written to both servers as its own text, so a pass says
// that the canonical forms meet.
func TestEveryTypeComparesEqual(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, postgres, clickHouse string
		// values pairs a literal of PostgreSQL with one of ClickHouse.
		values [][2]string
	}{
		{"bool", "bool", "Nullable(Bool)", [][2]string{{"true", "true"}, {"false", "false"}, {"NULL", "NULL"}}},
		{"bool as number", "bool", "UInt8", [][2]string{{"true", "1"}, {"false", "0"}}},
		{"int8", "int8", "Nullable(Int64)", [][2]string{{"-9223372036854775808", "-9223372036854775808"}, {"0", "0"}}},
		{"oid", "oid", "UInt32", [][2]string{{"4294967295", "4294967295"}}},
		{"float8", "float8", "Nullable(Float64)", [][2]string{
			{"'NaN'", "nan"},
			{"'-Infinity'", "-inf"},
			{"1e20", "1e20"},
			{"1e-7", "1e-7"},
			{"0.1", "0.1"},
			{"'-0'::float8", "-0."},
			{"4.9406564584124654e-324", "4.9406564584124654e-324"},
			{"1.7976931348623157e308", "1.7976931348623157e308"},
			{"123456789.125", "123456789.125"},
		}},
		{"float4", "float4", "Float32", [][2]string{{"3.4028235e38", "3.4028235e38"}, {"0.1", "0.1"}, {"16777216", "16777216"}, {"1e-45", "1e-45"}}},
		{"numeric", "numeric(10,2)", "Nullable(Decimal(10,2))", [][2]string{{"1.5", "'1.5'"}, {"100", "'100'"}, {"-0.01", "'-0.01'"}, {"0", "'0'"}}},
		{"numeric with 76 digits", "numeric(76,38)", "Decimal(76,38)", [][2]string{
			{strings.Repeat("9", 38) + "." + strings.Repeat("9", 38), "'" + strings.Repeat("9", 38) + "." + strings.Repeat("9", 38) + "'"},
		}},
		{"numeric with negative scale", "numeric(3,-2)", "Decimal(5,0)", [][2]string{{"12345", "'12300'"}}},
		{"numeric without bounds", "numeric", "String", [][2]string{{"1.50", "'1.50'"}, {"'NaN'", "'NaN'"}}},
		{"numeric to integer", "numeric", "Int256", [][2]string{{"12345678901234567890123", "'12345678901234567890123'"}}},
		{"money", "money", "Decimal(18,2)", [][2]string{{"'$1,234.50'", "'1234.50'"}, {"'-$0.05'", "'-0.05'"}}},
		{"text", "text", "Nullable(String)", [][2]string{
			{"''", "''"}, {"NULL", "NULL"}, {`E'tab\t newline\n return\r back\\slash \\N'`, `'tab\t newline\n return\r back\\slash \\N'`}, {"'ü€😀'", "'ü€😀'"}, {`E'\\N'`, `'\\N'`},
		}},
		{"char padded", "char(5)", "String", [][2]string{{"'ab'", "'ab   '"}}},
		{"internal char", `"char"`, "FixedString(1)", [][2]string{{"'x'", "'x'"}, {"''", "''"}}},
		{"bytea", "bytea", "Nullable(String)", [][2]string{{`'\x00ff5c'`, `unhex('00ff5c')`}, {"''", "''"}, {"NULL", "NULL"}}},
		{"uuid", "uuid", "UUID", [][2]string{{"'00112233-4455-6677-8899-AABBCCDDEEFF'", "'00112233-4455-6677-8899-aabbccddeeff'"}}},
		{"date", "date", "Nullable(Date32)", [][2]string{{"'1900-01-01'", "'1900-01-01'"}, {"'2299-12-31'", "'2299-12-31'"}}},
		{"timestamp", "timestamp", "DateTime64(6)", [][2]string{
			{"'2024-02-29 12:00:00.5'", "toDateTime64('2024-02-29 12:00:00.5', 6, 'UTC')"}, {"'1900-01-01'", "toDateTime64('1900-01-01 00:00:00', 6, 'UTC')"},
		}},
		{"timestamptz", "timestamptz", "DateTime64(6, 'Europe/Berlin')", [][2]string{
			{"'2024-07-01 12:00:00.000001+02'", "toDateTime64('2024-07-01 10:00:00.000001', 6, 'UTC')"},
		}},
		{"time", "time", "String", [][2]string{{"'24:00:00'", "'24:00:00'"}, {"'01:02:03.5'", "'01:02:03.5'"}}},
		{"interval", "interval", "String", [][2]string{{"'1 year 2 days 3.5 seconds'", "'P1Y2DT3.5S'"}}},
		{"jsonb", "jsonb", "Nullable(String)", [][2]string{{`'{"b":1,"a":123456789012345678901}'`, `'{"a": 123456789012345678901, "b": 1}'`}, {"'null'", "'null'"}, {"NULL", "NULL"}}},
		{"enum", "mood", "LowCardinality(Nullable(String))", [][2]string{{"'happy'", "'happy'"}, {"NULL", "NULL"}}},
		{"domain", "positive", "Int32", [][2]string{{"1", "1"}}},
		{"inet as text", "inet", "String", [][2]string{{"'10.0.0.1'", "'10.0.0.1'"}, {"'10.0.0.0/8'", "'10.0.0.0/8'"}}},
		{"inet as address", "inet", "IPv6", [][2]string{{"'2001:db8::1'", "'2001:0db8:0::1'"}}},
		{"range", "int4range", "String", [][2]string{{"'[1,5]'", "'[1,6)'"}}},
		{"int array", "int4[]", "Array(Nullable(Int32))", [][2]string{{"'{1,NULL,-3}'", "[1,NULL,-3]"}, {"'{}'", "[]"}, {"NULL", "[]"}}},
		{"text array", "text[]", "Array(Nullable(String))", [][2]string{
			{`ARRAY['a,b', '"', E'\\', '', 'NULL', NULL, '{}', E'new\nline']`, `['a,b', '"', '\\', '', 'NULL', NULL, '{}', 'new\nline']`},
		}},
		{"bytea array", "bytea[]", "Array(String)", [][2]string{{`ARRAY['\x00ff'::bytea, '']`, `[unhex('00ff'), '']`}}},
		{"timestamptz array", "timestamptz[]", "Array(DateTime64(6, 'UTC'))", [][2]string{{"'{2024-01-01 00:00:00.5+00}'", "[toDateTime64('2024-01-01 00:00:00.5', 6, 'UTC')]"}}},
		{"jsonb array", "jsonb[]", "Array(String)", [][2]string{{`ARRAY['{"a": "x"}'::jsonb]`, `['{"a": "x"}']`}}},
		{"numeric array", "numeric(6,2)[]", "Array(Decimal(6,2))", [][2]string{{"'{1.5,2}'", "['1.50', '2']"}}},
		{"domain array", "positive[]", "Array(Int32)", [][2]string{{"'{1,2}'", "[1,2]"}}},
		{"two dimensions as text", "int4[]", "String", [][2]string{{"'{{1,2},{3,4}}'", "'{{1,2},{3,4}}'"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pg, ch := connect(t)
			if strings.Contains(tt.name, "negative scale") && pg.PgConn().ParameterStatus("server_version") < "15" {
				t.Skip("PostgreSQL has negative scales since 15")
			}
			run(t, pg, ch, `CREATE TYPE mood AS ENUM ('happy', 'sad'); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
				CREATE TABLE t (id int PRIMARY KEY, v `+tt.postgres+`)`,
				`CREATE TABLE t (id Int32, v `+tt.clickHouse+`, _version UInt64, _is_deleted UInt8) ENGINE = ReplacingMergeTree(_version, _is_deleted) ORDER BY id`)
			for i, v := range tt.values {
				run(t, pg, ch, fmt.Sprintf("INSERT INTO t VALUES (%d, %s)", i, v[0]),
					fmt.Sprintf("INSERT INTO t SELECT %d, %s, 0, 0", i, v[1]))
			}
			r := mustCompare(t, pg, ch, Options{})
			if !r.Equal() {
				t.Error(r)
			}
			if r.SourceRows != uint64(len(tt.values)) {
				t.Errorf("compared %d rows, want %d", r.SourceRows, len(tt.values))
			}
		})
	}
}

const (
	postgresRows = `CREATE TABLE t (b text, a int, n numeric(10,2), s text, f float8, l int[], PRIMARY KEY (a, b));
		INSERT INTO t SELECT 'k' || g % 7, g, g / 4.0, 's' || g, g / 3.0::float8, ARRAY[g, g + 1] FROM generate_series(1, 5000) g`
	clickHouseRows = `CREATE TABLE t (a Int32, b String, n Nullable(Decimal(10,2)), s Nullable(String), f Nullable(Float64), l Array(Nullable(Int32)),
			_version UInt64, _is_deleted UInt8) ENGINE = ReplacingMergeTree(_version, _is_deleted) ORDER BY (a, b);
		INSERT INTO t SELECT number + 1 AS g, concat('k', toString(g % 7)), toDecimal64(g, 2) / 4, concat('s', toString(g)), g / 3, [g, g + 1], 0, 0 FROM numbers(5000)`
	// put writes a row of ClickHouse anew, with another version.
	put = `INSERT INTO t SELECT %s, 1 AS _version, %s AS _is_deleted FROM (SELECT * EXCEPT (_version, _is_deleted) FROM t FINAL WHERE a = %d)`
)

func change(replace string, a int) string {
	if replace != "" {
		replace = " REPLACE (" + replace + ")"
	}
	return fmt.Sprintf(put, "*"+replace, "0", a)
}

func TestEveryCorruptionIsFound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, postgres, clickHouse string
		want                       []string // differences; nil for equal
	}{
		{"none", "", "", nil},
		{"old versions and tombstones", "", change("", 1) + ";\n" + change("", 5000), nil},
		{
			"row missing at the destination", "", fmt.Sprintf(put, "*", "1", 17),
			[]string{`a=17,b="k3": present in PostgreSQL, missing in ClickHouse`},
		},
		{
			"row missing at the source", "DELETE FROM t WHERE a = 17", "",
			[]string{`a=17,b="k3": missing in PostgreSQL, present in ClickHouse`},
		},
		{
			"row twice", "", "CREATE TABLE u AS t ENGINE = MergeTree ORDER BY a;\nINSERT INTO u SELECT * FROM t;\nINSERT INTO u SELECT * FROM t WHERE a = 17;\nEXCHANGE TABLES t AND u",
			[]string{`a=17,b="k3": present in PostgreSQL, present 2 times in ClickHouse`},
		},
		{
			"number by the smallest step", "UPDATE t SET n = n + 0.01 WHERE a = 17", "",
			[]string{`a=17,b="k3": n is 4.26 in PostgreSQL, 4.25 in ClickHouse`},
		},
		{
			"float by the last bit", "", change("reinterpretAsFloat64(reinterpretAsUInt64(assumeNotNull(f)) + 1) AS f", 17),
			[]string{`a=17,b="k3": f is 5.666666666666667 in PostgreSQL, 5.666666666666668 in ClickHouse`},
		},
		{
			"NULL for empty", "UPDATE t SET s = '' WHERE a = 17", change("NULL AS s", 17),
			[]string{`a=17,b="k3": s is "" in PostgreSQL, NULL in ClickHouse`},
		},
		{
			"zero for NULL", "UPDATE t SET n = NULL WHERE a = 17", change("0 AS n", 17),
			[]string{`a=17,b="k3": n is NULL in PostgreSQL, 0 in ClickHouse`},
		},
		{
			"element NULL", "", change("[17, NULL] AS l", 17),
			[]string{`a=17,b="k3": l is [17, 18] in PostgreSQL, [17, NULL] in ClickHouse`},
		},
		{
			"element moved", "", change("[18, 17] AS l", 17),
			[]string{`a=17,b="k3": l is [17, 18] in PostgreSQL, [18, 17] in ClickHouse`},
		},
		{
			"two dimensions flattened", "UPDATE t SET l = '{{17},{18}}' WHERE a = 17", "",
			[]string{`a=17,b="k3": l is "{{17},{18}}" in PostgreSQL, [17, 18] in ClickHouse`},
		},
		{
			"values swapped between rows", "", change("'s24' AS s", 17) + ";\n" + change("'s17' AS s", 24),
			[]string{`a=17,b="k3": s is "s17" in PostgreSQL, "s24" in ClickHouse`, `a=24,b="k3": s is "s24" in PostgreSQL, "s17" in ClickHouse`},
		},
		{
			"key changed", "UPDATE t SET b = 'new' WHERE a = 17", "",
			[]string{`a=17,b="k3": missing in PostgreSQL, present in ClickHouse`, `a=17,b="new": present in PostgreSQL, missing in ClickHouse`},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pg, ch := connect(t)
			run(t, pg, ch, postgresRows, clickHouseRows)
			run(t, pg, ch, tt.postgres, tt.clickHouse)
			r := mustCompare(t, pg, ch, Options{})
			if r.Equal() != (tt.want == nil) {
				t.Errorf("equal is %v", r.Equal())
			}
			var got []string
			for _, d := range r.Differences {
				got = append(got, d.String())
			}
			if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestDifferencesAreLimited(t *testing.T) {
	t.Parallel()
	pg, ch := connect(t)
	run(t, pg, ch, postgresRows, clickHouseRows)
	run(t, pg, ch, "UPDATE t SET s = 'other'", "")
	r := mustCompare(t, pg, ch, Options{Limit: 3})
	if r.Equal() || len(r.Differences) != 3 {
		t.Errorf("got %d differences, want 3: %s", len(r.Differences), r)
	}
	if !strings.Contains(r.String(), "public.t → t: DIFFERENT, 5000 rows and 5000 rows") {
		t.Error(r)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	pg, ch := connect(t)
	run(t, pg, ch, `CREATE TABLE t (id int PRIMARY KEY, n int, d date, at timestamptz, s text, l int[], masked text, gone int);
		ALTER TABLE t DROP COLUMN gone; INSERT INTO t VALUES (1, NULL, NULL, NULL, NULL, '{7,NULL}', 'secret')`,
		`CREATE TABLE t (id Int32, n Int32, d Date32, at DateTime64(6, 'UTC'), s String, l Array(Int32), _peerdb_version UInt64, _peerdb_is_deleted UInt8)
			ENGINE = ReplacingMergeTree(_peerdb_version, _peerdb_is_deleted) ORDER BY id;
		INSERT INTO t (id, l) VALUES (1, [7, 0]);
		INSERT INTO t (id, _peerdb_is_deleted) VALUES (2, 1)`)
	if _, err := Compare(t.Context(), pg, ch, pair, Options{}); err == nil || !strings.Contains(err.Error(), "column masked is not in the destination") {
		t.Errorf("got %v, want an error that names the missing column", err)
	}
	o := Options{Ignore: []string{"masked"}, IsDeleted: "_peerdb_is_deleted", NullAsDefault: true}
	if r := mustCompare(t, pg, ch, o); !r.Equal() {
		t.Error(r)
	}
	o.NullAsDefault = false
	if r := mustCompare(t, pg, ch, o); r.Equal() || len(r.Differences) != 5 {
		t.Errorf("NULL passed as a default: %s", r)
	}
	o.IsDeleted = "_is_deleted" // not the column, so the tombstone is a row
	o.NullAsDefault = true
	if r := mustCompare(t, pg, ch, o); r.DestinationRows != 1 {
		// FINAL itself drops tombstones of ReplacingMergeTree(version, is_deleted).
		t.Errorf("got %d rows", r.DestinationRows)
	}
}

func TestComparingWhatIsNotThere(t *testing.T) {
	t.Parallel()
	pg, ch := connect(t)
	if _, err := Compare(t.Context(), pg, ch, pair, Options{}); err == nil || !strings.Contains(err.Error(), "the source has no such table") {
		t.Error(err)
	}
}

func TestTableWithoutKey(t *testing.T) {
	t.Parallel()
	pg, ch := connect(t)
	run(t, pg, ch, `CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (1, 'x'), (2, NULL)`,
		`CREATE TABLE t (a Int32, b Nullable(String)) ENGINE = MergeTree ORDER BY ();
		INSERT INTO t VALUES (1, 'x'), (1, 'x'), (2, NULL)`)
	if r := mustCompare(t, pg, ch, Options{}); !r.Equal() {
		t.Error(r)
	}
	run(t, pg, ch, "DELETE FROM t WHERE ctid = '(0,1)'", "")
	r := mustCompare(t, pg, ch, Options{})
	if want := `a=1,b="x": present in PostgreSQL, present 2 times in ClickHouse`; r.Equal() || r.Differences[0].String() != want {
		t.Errorf("got %s, want %s", r, want)
	}
}

func BenchmarkCompare(b *testing.B) {
	const n = 1_000_000
	pg, ch := connect(b)
	run(b, pg, ch, `CREATE TABLE t (id bigint PRIMARY KEY, a int, b text, c numeric(10,2), d timestamptz, e float8, f bool, g uuid);
		INSERT INTO t SELECT g, g % 100, 'name ' || g, g, '2024-01-01'::timestamptz + g * interval '1 second', g, g % 2 = 1,
			lpad(to_hex(g), 32, '0')::uuid FROM generate_series(1, `+fmt.Sprint(n)+`) g`,
		`CREATE TABLE t (id Int64, a Nullable(Int32), b Nullable(String), c Nullable(Decimal(10,2)), d Nullable(DateTime64(6,'UTC')), e Nullable(Float64),
			f Nullable(Bool), g Nullable(UUID), _version UInt64, _is_deleted UInt8) ENGINE = ReplacingMergeTree(_version, _is_deleted) ORDER BY id;
		INSERT INTO t SELECT number + 1 AS n, n % 100, 'name ' || toString(n), n, toDateTime64('2024-01-01 00:00:00', 6, 'UTC') + n, n, n % 2,
			toUUID(concat('00000000-0000-0000-0000-', leftPad(lower(hex(toUInt32(n))), 12, '0'))), 0, 0 FROM numbers(`+fmt.Sprint(n)+`)`)
	b.ReportAllocs()
	for b.Loop() {
		if r := mustCompare(b, pg, ch, Options{}); !r.Equal() {
			b.Fatal(r)
		}
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
