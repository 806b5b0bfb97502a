package e2e

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/internal/devstack"
	"github.com/penstock/penstock/internal/devstack/devtest"
	"github.com/penstock/penstock/internal/verify"
	"github.com/penstock/penstock/lifecycle"
	"github.com/penstock/penstock/lifecycle/api"
)

// secret is the password in every DSN of these tests that has one of its own.
const secret = "s3cr3t-p4ss"

func withURL(t testing.TB, dsn string, change func(*url.URL)) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	change(u)
	return u.String()
}

// whole returns all that a person can see of a pipe: its log and its status.
func (p *pipe) whole(d api.PipeDetail) string {
	return p.log.String() + string(must(json.Marshal(d)))
}

func passwordOf(t testing.TB, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	return password
}

// noSecrets checks that no password is in what people can see.
func (e *ends) noSecrets(t testing.TB, seen string) {
	t.Helper()
	for _, password := range []string{secret, passwordOf(t, e.postgresDSN), passwordOf(t, e.clickHouseDSN)} {
		if password != "" && strings.Contains(seen, password) {
			t.Errorf("a password is shown:\n%s", seen)
		}
	}
}

func degraded(d api.PipeDetail) string {
	var texts []string
	for _, x := range d.Degraded {
		texts = append(texts, x.Side+": "+x.Reason)
	}
	return strings.Join(texts, "\n")
}

// TestBadInputFails: what cannot work is said in one sentence with its fix, and
// the process stays up to say it.
func TestBadInputFails(t *testing.T) {
	t.Parallel()
	const table = `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'x')`
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, e *ends)
		options pipeOptions
		// own says that ClickHouse refuses a client, which the packaged server
		// does not survive unharmed: other tests should not feel it.
		own  bool
		want []string // in reason and fix
	}{
		{
			name: "wrong password",
			prepare: func(t *testing.T, e *ends) {
				e.postgresDSN = withURL(t, e.postgresDSN, func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), secret) })
			},
			want: []string{"password"},
		},
		{
			name: "unknown database",
			prepare: func(t *testing.T, e *ends) {
				e.postgresDSN = withURL(t, e.postgresDSN, func(u *url.URL) { u.Path = "/no_such_database" })
			},
			want: []string{"no_such_database"},
		},
		{
			name: "no REPLICATION",
			prepare: func(t *testing.T, e *ends) {
				role := "weak_" + must(url.Parse(e.postgresDSN)).Path[1:]
				e.source(t, "CREATE ROLE "+role+" LOGIN PASSWORD '"+secret+"'", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO "+role)
				t.Cleanup(func() {
					// Roles belong to the server, not to the database that goes away.
					_, _ = e.postgres.Exec(t.Context(), "DROP OWNED BY "+role+"; DROP ROLE "+role)
				})
				e.postgresDSN = withURL(t, e.postgresDSN, func(u *url.URL) { u.User = url.UserPassword(role, secret) })
			},
			want: []string{"REPLICATION", "ALTER ROLE"},
		},
		{
			name:    "glob that matches nothing",
			options: pipeOptions{tables: `["shop.*"]`},
			want:    []string{"shop.*"},
		},
		{
			name:    "table without identity",
			prepare: func(t *testing.T, e *ends) { e.source(t, "CREATE TABLE keyless (v text)") },
			want:    []string{"public.keyless", "REPLICA IDENTITY"},
		},
		{
			name: "column of an incompatible type",
			prepare: func(t *testing.T, e *ends) {
				if err := e.clickHouse.Exec(t.Context(), `CREATE TABLE public_t (id Int32, v UInt8, _version UInt64, _is_deleted UInt8, _synced_at DateTime64(6, 'UTC'))
					ENGINE = ReplacingMergeTree(_version, _is_deleted) ORDER BY id`); err != nil {
					t.Fatal(err)
				}
			},
			want: []string{"UInt8", `"v"`, "text", "MODIFY COLUMN"},
		},
		{
			name: "unknown ClickHouse database",
			own:  true,
			prepare: func(t *testing.T, e *ends) {
				e.clickHouseDSN = withURL(t, e.clickHouseDSN, func(u *url.URL) { u.Path = "/no_such_database" })
			},
			want: []string{"no_such_database"},
		},
		{
			name: "wrong ClickHouse password",
			own:  true,
			prepare: func(t *testing.T, e *ends) {
				e.clickHouseDSN = withURL(t, e.clickHouseDSN, func(u *url.URL) { u.User = url.UserPassword("default", secret) })
			},
			want: []string{"assword"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var e *ends
			if tt.own {
				e = connectEnds(t, devtest.Postgres(t), devtest.OwnClickHouse(t).DSN())
			} else {
				e = newEnds(t)
			}
			e.source(t, table)
			if tt.prepare != nil {
				tt.prepare(t, e)
			}
			o := tt.options
			o.format = "blocks"
			p := e.start(t, o)
			d := p.until("the pipe says what is wrong", func(d api.PipeDetail) bool { return failures(d)+degraded(d) != "" })
			got := failures(d) + degraded(d)
			t.Log(got)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("the failure does not name %q: %s", want, got)
				}
			}
			if log := p.log.String(); !strings.Contains(log, tt.want[0]) {
				t.Errorf("the log does not name %q", tt.want[0])
			} else if n := strings.Count(log, "level=ERROR"); n > 3 {
				t.Errorf("the log says it %d times", n)
			}
			e.noSecrets(t, p.whole(d))
		})
	}
}

func TestSourceWithoutLogicalWAL(t *testing.T) {
	t.Parallel()
	server := devtest.OwnPostgres(t, devstack.PostgresOptions{Settings: map[string]string{"wal_level": "replica"}})
	e := connectEnds(t, server.DSN(), devtest.ClickHouse(t))
	e.source(t, "CREATE TABLE t (id int PRIMARY KEY)")
	p := e.start(t, pipeOptions{format: "blocks"})
	d := p.until("the pipe has failed", func(d api.PipeDetail) bool { return d.Phase == string(lifecycle.Failed) })
	for _, want := range []string{"wal_level", "logical"} {
		if got := failures(d); !strings.Contains(got, want) {
			t.Errorf("the failure does not name %q: %s", want, got)
		}
	}
	e.noSecrets(t, p.whole(d))
}

// TestUnreachableIsNoFailure: what may pass by itself is tried again, and shown.
func TestUnreachableIsNoFailure(t *testing.T) {
	t.Parallel()
	t.Run("source", func(t *testing.T) {
		t.Parallel()
		server := devtest.OwnPostgres(t, devstack.PostgresOptions{})
		e := connectEnds(t, server.DSN(), devtest.ClickHouse(t))
		e.source(t, "CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'x')")
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		p := e.start(t, pipeOptions{format: "blocks"})
		d := p.until("the pipe says that the source cannot be reached", func(d api.PipeDetail) bool { return strings.Contains(degraded(d), "source") })
		e.noSecrets(t, p.whole(d))
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.running()
		e = connectEnds(t, e.postgresDSN, e.clickHouseDSN)
		e.equal(t, verify.Options{}, "t")
		p.until("the pipe is well", func(d api.PipeDetail) bool { return len(d.Degraded) == 0 })
	})
	t.Run("destination", func(t *testing.T) {
		t.Parallel()
		server := devtest.OwnClickHouse(t)
		e := connectEnds(t, devtest.Postgres(t), server.DSN())
		e.source(t, "CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'x')")
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		p := e.start(t, pipeOptions{format: "blocks"})
		d := p.until("the pipe says that the destination cannot be reached", func(d api.PipeDetail) bool { return strings.Contains(degraded(d), "destination") })
		e.noSecrets(t, p.whole(d))
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.running()
		e.equal(t, verify.Options{}, "t")
		// Again, with changes that wait.
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		e.source(t, "INSERT INTO t SELECT g, 'y' FROM generate_series(2, 1000) g", "UPDATE t SET v = 'z' WHERE id = 1")
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.equal(t, verify.Options{}, "t")
		p.until("the pipe is well", func(d api.PipeDetail) bool { return len(d.Degraded) == 0 })
	})
}

func TestConfigurationIsRefusedBeforeTheStart(t *testing.T) {
	t.Parallel()
	valid := `
input: {label: x, postgres_cdc: {dsn: "postgres://localhost/x", tables: ["public.*"]%s}}
output: {clickhouse: {dsn: "clickhouse://localhost:9000/x"%s}}`
	for _, tt := range []struct{ name, input, output, want string }{
		{"unknown field of the input", ", colour: red", "", "colour"},
		{"unknown field of the output", "", ", colour: red", "colour"},
		{"unknown format", ", format: columns", "", "columns"},
		{"unknown mode", ", mode: both", "", "both"},
		{"unknown engine", "", ", engine: TinyLog", "TinyLog"},
		{"batching at the output", "", ", batching: {count: 10}", "batching"},
		{"batches of nothing", ", sync_max_rows: 0", "", "1 or more"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			builder := service.NewStreamBuilder()
			yaml := strings.Replace(strings.Replace(valid, "%s", tt.input, 1), "%s", tt.output, 1)
			err := builder.SetYAML(yaml)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error that names %q", err, tt.want)
			}
		})
	}
	t.Run("valid", func(t *testing.T) {
		if err := service.NewStreamBuilder().SetYAML(strings.ReplaceAll(valid, "%s", "")); err != nil {
			t.Error(err)
		}
	})
}
