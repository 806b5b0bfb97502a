package pgvalue

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/devstack/devtest"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

// server is one session of a real PostgreSQL, set up as Penstock sets up its
// own.
type server struct {
	conn    *pgconn.PgConn
	version int // major
	types   map[uint32]*change.Type
}

// tester is what testing.TB and rapid.T have in common.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// value is what the server sent for one literal.
type value struct {
	literal      string
	binary, text []byte
}

func connect(t testing.TB, setup string) *server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgconn.Connect(ctx, devtest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	s := &server{conn: conn}
	s.exec(t, `SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'iso_8601';
		SET extra_float_digits = 3; SET bytea_output = 'hex'; `+setup)
	rows := s.exec(t, "SHOW server_version_num")
	number, err := strconv.Atoi(string(rows[0][0]))
	if err != nil {
		t.Fatal(err)
	}
	s.version = number / 10000
	s.readTypes(t)
	return s
}

// exec runs statements and returns the rows of the last one, as text.
func (s *server) exec(t tester, sql string) [][][]byte {
	t.Helper()
	results, err := s.conn.Exec(context.Background(), sql).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return results[len(results)-1].Rows
}

func (s *server) readTypes(t testing.TB) {
	t.Helper()
	s.types = map[uint32]*change.Type{}
	elements := map[uint32]uint32{}
	for _, row := range s.exec(t, `
		SELECT t.oid, t.typname, n.nspname, CASE WHEN t.typoutput = 'array_out'::regproc THEN 'a' ELSE t.typtype END,
			t.typelem, t.typdelim, t.typbasetype
		FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace`) {
		oid, base := parseOID(t, row[0]), parseOID(t, row[6])
		typ := &change.Type{OID: oid, Name: string(row[1]), Schema: string(row[2]), Kind: change.TypeKind(row[3][0])}
		if typ.Kind == change.TypeArray {
			elements[oid], typ.Delim = parseOID(t, row[4]), row[5][0]
		}
		if typ.Name == "money" {
			typ.MoneyDigits = 2
		}
		s.types[oid] = typ
		if base != 0 {
			elements[oid] = base
		}
	}
	for oid, elem := range elements {
		if typ := s.types[oid]; typ.Kind == change.TypeArray {
			for s.types[elem].Kind == 'd' {
				elem = elements[elem]
			}
			typ.Elem = s.types[elem]
		}
	}
}

func parseOID(t testing.TB, text []byte) uint32 {
	t.Helper()
	oid, err := strconv.ParseUint(string(text), 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(oid)
}

// read casts each literal to the type and fetches it in both formats. Where the
// type's binary format is not read, binary is nil.
func (s *server) read(t tester, sqlType string, literals []string) (*change.Type, int32, []value) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	described := s.conn.ExecParams(ctx, fmt.Sprintf("SELECT NULL::%s", sqlType), nil, nil, nil, nil).Read()
	if described.Err != nil {
		t.Fatalf("%s: %v", sqlType, described.Err)
	}
	field := described.FieldDescriptions[0]
	typ := s.types[field.DataTypeOID]
	if typ == nil {
		t.Fatalf("%s has OID %d, which is not in pg_type", sqlType, field.DataTypeOID)
	}
	formats := []int16{0, 0}
	if Binary(typ) {
		formats[0] = 1
	}
	batch := &pgconn.Batch{}
	for _, literal := range literals {
		batch.ExecParams(fmt.Sprintf("SELECT x.v, x.v FROM (SELECT ($1::text)::%s AS v OFFSET 0) x", sqlType), [][]byte{[]byte(literal)}, nil, nil, formats)
	}
	results, err := s.conn.ExecBatch(ctx, batch).ReadAll()
	if err != nil {
		t.Fatalf("%s of %q: %v", sqlType, literals, err)
	}
	values := make([]value, len(results))
	for i, result := range results {
		values[i] = value{literal: literals[i], binary: result.Rows[0][0], text: result.Rows[0][1]}
		if formats[0] == 0 {
			values[i].binary = nil
		}
	}
	return typ, field.TypeModifier, values
}
