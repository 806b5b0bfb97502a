package devstack

import (
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/jackc/pgx/v5"
)

func startPostgres(t *testing.T, o PostgresOptions) *Postgres {
	t.Helper()
	o.Own = true
	p, err := StartPostgres(t.Context(), o)
	if err != nil {
		t.Error(err)
		return new(Postgres)
	}
	t.Cleanup(func() {
		if t.Failed() && p.run != nil {
			t.Log("PostgreSQL:", tail(p.run.log()))
		}
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func startClickHouse(t *testing.T) *ClickHouse {
	t.Helper()
	c, err := StartClickHouse(t.Context(), ClickHouseOptions{Own: true})
	if err != nil {
		t.Error(err)
		return new(ClickHouse)
	}
	t.Cleanup(func() {
		if t.Failed() && c.run != nil {
			t.Log("ClickHouse:", tail(c.run.log()))
		}
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func postgresExec(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	conn := postgresConn(t, dsn)
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// postgresQuery returns the one text that query yields.
func postgresQuery(t *testing.T, dsn, query string) (text string) {
	t.Helper()
	if err := postgresConn(t, dsn).QueryRow(t.Context(), query).Scan(&text); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return text
}

func postgresConn(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(t.Context()) })
	return conn
}

func clickhouseExec(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	conn := clickhouseConn(t, dsn)
	for _, statement := range statements {
		if err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// clickhouseQuery returns the one text that query yields.
func clickhouseQuery(t *testing.T, dsn, query string) (text string) {
	t.Helper()
	if err := clickhouseConn(t, dsn).QueryRow(t.Context(), query).Scan(&text); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return text
}

func clickhouseConn(t *testing.T, dsn string) driver.Conn {
	t.Helper()
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
