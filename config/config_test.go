package config_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/jackc/pgx/v5"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/config"
	_ "github.com/penstock/penstock/input"
	"github.com/penstock/penstock/internal/devstack/devtest"
	"github.com/penstock/penstock/internal/verify"
	_ "github.com/penstock/penstock/output"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

func TestEveryPipelineIsClean(t *testing.T) {
	paths, err := filepath.Glob("*.yaml")
	if err != nil || len(paths) < 2 {
		t.Fatalf("found %v: %v", paths, err)
	}
	linter := service.GlobalEnvironment().FullConfigSchema("", "").NewStreamConfigLinter()
	linter.SetSkipEnvVarCheck(true)
	linter.SetRejectDeprecated(true)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lints, err := linter.LintYAML(content)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for _, lint := range lints {
			t.Errorf("%s: %v", path, lint)
		}
	}
}

// ends are a source and a destination, and a pipeline between them that runs
// until the test is over.
type ends struct {
	postgres   *pgx.Conn
	clickHouse driver.Conn
}

func run(t *testing.T, yaml, schema string) *ends {
	t.Helper()
	postgresDSN, clickHouseDSN := devtest.Postgres(t), devtest.ClickHouse(t)
	e := &ends{}
	var err error
	if e.postgres, err = pgx.Connect(t.Context(), postgresDSN); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.postgres.Close(context.Background()) })
	options, err := clickhouse.ParseDSN(clickHouseDSN)
	if err != nil {
		t.Fatal(err)
	}
	if e.clickHouse, err = clickhouse.Open(options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.clickHouse.Close() })
	e.source(t, schema)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	environment := map[string]string{
		"POSTGRES_DSN": postgresDSN, "CLICKHOUSE_DSN": clickHouseDSN,
		"PENSTOCK_STATE_DIR": t.TempDir(), "PENSTOCK_ADDRESS": address,
	}
	builder := service.NewStreamBuilder()
	builder.SetEnvVarLookupFunc(func(name string) (string, bool) {
		value, ok := environment[name]
		return value, ok
	})
	if err := builder.SetYAML(yaml); err != nil {
		t.Fatal(err)
	}
	if err := builder.SetLoggerYAML("level: WARN"); err != nil {
		t.Fatal(err)
	}
	stream, err := builder.Build()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- stream.Run(context.Background()) }()
	t.Cleanup(func() {
		if err := stream.StopWithin(30 * time.Second); err != nil {
			t.Errorf("stopping the pipeline: %v", err)
		}
		<-done
	})
	return e
}

func (e *ends) source(t *testing.T, sql string) {
	t.Helper()
	if _, err := e.postgres.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// arrives waits until the tables hold the same at both ends.
func (e *ends) arrives(t *testing.T, o verify.Options, tables ...string) {
	t.Helper()
	devtest.Eventually(t, time.Minute, "both ends hold the same", func() (bool, error) {
		for _, table := range tables {
			pair := verify.Pair{Schema: "public", Table: table, Destination: "public_" + table}
			r, err := verify.Compare(t.Context(), e.postgres, e.clickHouse, pair, o)
			if err != nil {
				return false, err
			}
			if !r.Equal() {
				return false, fmt.Errorf("%s", r)
			}
		}
		return true, nil
	})
}

const schema = `
CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, email text, born date);
CREATE TABLE orders (person int, number int, total numeric(10,2), PRIMARY KEY (person, number));
INSERT INTO people SELECT g, 'p' || g, CASE WHEN g % 4 > 0 THEN 'p' || g || '@example.com' END, date '2000-01-01' + g FROM generate_series(1, 1000) g;
INSERT INTO orders SELECT g % 100, g, g / 4.0 FROM generate_series(1, 1000) g;
`

// changes are every kind of change, and both ways to and from NULL.
const changes = `
INSERT INTO people VALUES (2001, 'new', 'new@example.com', '2001-01-01'), (2002, 'none', NULL, NULL);
UPDATE people SET email = 'changed@example.com' WHERE id <= 10;
UPDATE people SET email = NULL WHERE id BETWEEN 11 AND 20;
UPDATE people SET name = 'renamed' WHERE id BETWEEN 21 AND 30;
UPDATE people SET id = 3000 + id WHERE id BETWEEN 31 AND 40;
DELETE FROM people WHERE id BETWEEN 41 AND 50;
UPDATE orders SET total = total + 1 WHERE person = 7;
DELETE FROM orders WHERE person = 8;
`

// Both pipelines have one label, hence one slot: they cannot run on one server
// at the same time.
func TestPostgresToClickHouse(t *testing.T) {
	e := run(t, config.PostgresToClickHouse, schema)
	e.arrives(t, verify.Options{}, "people", "orders")
	e.source(t, changes)
	e.arrives(t, verify.Options{}, "people", "orders")
}

func TestRowsWithMappingMasksOneColumnAlone(t *testing.T) {
	e := run(t, config.RowsWithMapping, schema)
	unmasked := verify.Options{Ignore: []string{"email"}}
	e.arrives(t, unmasked, "people")
	e.arrives(t, verify.Options{}, "orders")
	e.masked(t)
	e.source(t, changes)
	e.arrives(t, unmasked, "people")
	e.arrives(t, verify.Options{}, "orders")
	e.masked(t)

	// Not even in an old version of a row.
	var leaked uint64
	if err := e.clickHouse.QueryRow(t.Context(), "SELECT count() FROM public_people WHERE email LIKE '%@%'").Scan(&leaked); err != nil {
		t.Fatal(err)
	}
	if leaked > 0 {
		t.Errorf("%d rows hold an address", leaked)
	}
}

// masked compares the column with what the mapping promises.
func (e *ends) masked(t *testing.T) {
	t.Helper()
	want := map[int32]string{}
	rows, err := e.postgres.Query(t.Context(), "SELECT id, coalesce(email, 'NULL') FROM people")
	if err != nil {
		t.Fatal(err)
	}
	var id int32
	var email string
	if _, err := pgx.ForEachRow(rows, []any{&id, &email}, func() error {
		if email != "NULL" {
			sum := sha256.Sum256([]byte(email))
			email = hex.EncodeToString(sum[:])
		}
		want[id] = email
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	devtest.Eventually(t, time.Minute, "the column is masked", func() (bool, error) {
		got, err := e.clickHouse.Query(t.Context(), "SELECT id, ifNull(email, 'NULL') FROM public_people FINAL")
		if err != nil {
			return false, err
		}
		defer got.Close()
		n := 0
		for ; got.Next(); n++ {
			if err := got.Scan(&id, &email); err != nil {
				return false, err
			}
			if want[id] != email {
				return false, fmt.Errorf("email of %d is %q, want %q", id, email, want[id])
			}
		}
		return n == len(want), got.Err()
	})
}
