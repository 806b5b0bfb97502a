package devstack

import (
	"os"
	"testing"
	"time"
)

func TestTry(t *testing.T) {
	for range 2 {
		s := time.Now()
		p, err := StartPostgres(t.Context(), PostgresOptions{Log: os.Stderr})
		if err != nil {
			t.Fatal(err)
		}
		t.Log("pg", time.Since(s), p.DSN())
		s = time.Now()
		c, err := StartClickHouse(t.Context(), ClickHouseOptions{Log: os.Stderr})
		if err != nil {
			t.Fatal(err)
		}
		t.Log("ch", time.Since(s), c.DSN())
		s = time.Now()
		t.Log(p.Database(t.Context(), "x y"))
		t.Log("db", time.Since(s))
		s = time.Now()
		t.Log(c.Database(t.Context(), "x y"))
		t.Log("db", time.Since(s))
		s = time.Now()
		t.Log(p.Kill(), time.Since(s))
		t.Log(p.Restart(t.Context()), time.Since(s))
		t.Log(c.Kill(), time.Since(s))
		t.Log(c.Restart(t.Context()), time.Since(s))
		s = time.Now()
		t.Log(p.Restart(t.Context()), time.Since(s))
		s = time.Now()
		t.Log(p.Stop(), time.Since(s))
		s = time.Now()
		t.Log(c.Stop(), time.Since(s))
	}
}
