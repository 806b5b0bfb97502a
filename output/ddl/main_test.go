package ddl

import (
	"context"
	"os"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/devstack/devtest"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

// connect returns a connection to a new database, and the database's name.
func connect(t testing.TB) (driver.Conn, string) {
	t.Helper()
	options, err := clickhouse.ParseDSN(devtest.ClickHouse(t))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, options.Auth.Database
}

var defaultMetadata = Metadata{Version: "_version", IsDeleted: "_is_deleted", SyncedAt: "_synced_at", Operation: "_operation"}

func newTarget(database string) *Target {
	return &Target{Database: database, Name: "t", Engine: ReplacingMergeTree, Metadata: defaultMetadata, Nullable: true, UTC: true}
}

func builtIn(name string, oid uint32) *change.Type {
	return &change.Type{Name: name, OID: oid, Schema: "pg_catalog", Kind: change.TypeBase}
}

var (
	boolType          = builtIn("bool", 16)
	int2              = builtIn("int2", 21)
	int4              = builtIn("int4", 23)
	int8              = builtIn("int8", 20)
	text              = builtIn("text", 25)
	numericType       = builtIn("numeric", 1700)
	timestamp         = builtIn("timestamp", 1114)
	timestamptz       = builtIn("timestamptz", 1184)
	enum              = &change.Type{Name: "mood", OID: 90001, Schema: "public", Kind: change.TypeEnum}
	vector            = &change.Type{Name: "vector", OID: 90002, Schema: "public", Kind: change.TypeBase}
	unlimited   int32 = -1
)

func arrayOf(elem *change.Type) *change.Type {
	return &change.Type{Name: "_" + elem.Name, OID: arrayOIDs[elem.OID], Schema: elem.Schema, Kind: change.TypeArray, Elem: elem, Delim: ','}
}

var arrayOIDs = map[uint32]uint32{23: 1007, 25: 1009, 1700: 1231}

func column(name string, typ *change.Type) change.Column {
	return change.Column{Name: name, Type: typ, TypeMod: unlimited}
}

func notNull(name string, typ *change.Type) change.Column {
	return change.Column{Name: name, Type: typ, TypeMod: unlimited, NotNull: true}
}

// table makes a definition; its first keys columns are the key.
func table(keys int, columns ...change.Column) *change.Table {
	t := &change.Table{Schema: "public", Name: "orders", OID: 4711, Columns: columns, Identity: change.IdentityDefault}
	for i := range keys {
		t.Key = append(t.Key, i)
		t.Columns[i].InKey = true
		t.Columns[i].NotNull = true
	}
	return t
}

func mustExec(t testing.TB, conn driver.Conn, statement string) {
	t.Helper()
	if err := conn.Exec(context.Background(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func mustRead(t testing.TB, conn driver.Conn, target *Target) *Existing {
	t.Helper()
	e, err := target.Read(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	if e == nil {
		t.Fatalf("%s does not exist", target)
	}
	return e
}
