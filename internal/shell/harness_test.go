package shell

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/jackc/pgx/v5"
	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/urfave/cli/v2"

	"github.com/penstock/penstock/internal/devstack/devtest"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

const (
	// patience is for a machine that is busy with other tests.
	patience = 90 * time.Second
	token    = "very-secret-token"
)

// penstock runs a command as the program would.
type outcome struct {
	code        int
	out, errors string
}

func penstock(t testing.TB, args ...string) outcome {
	t.Helper()
	return penstockIn(t.Context(), t, args...)
}

func penstockIn(ctx context.Context, t testing.TB, args ...string) outcome {
	t.Helper()
	var out, errOut bytes.Buffer
	app := &cli.App{
		Name: "penstock", Commands: Commands(), Writer: &out, ErrWriter: &errOut,
		ExitErrHandler: func(*cli.Context, error) {},
	}
	err := app.RunContext(ctx, append([]string{"penstock"}, args...))
	o := outcome{out: out.String(), errors: errOut.String()}
	var exit cli.ExitCoder
	switch {
	case errors.As(err, &exit):
		o.code = exit.ExitCode()
	case err != nil:
		t.Fatalf("penstock %v: the error %v has no exit code", args, err)
	}
	if err != nil {
		o.errors += err.Error()
	}
	if strings.Contains(o.out+o.errors, token) {
		t.Errorf("penstock %v shows the token", args)
	}
	return o
}

// wants checks the exit code, and what is printed.
func (o outcome) wants(t testing.TB, code int, texts ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit code %d, want %d", o.code, code)
	}
	for _, text := range texts {
		if !strings.Contains(o.out+o.errors, text) {
			t.Errorf("it does not say %q", text)
		}
	}
	if t.Failed() {
		t.Fatalf("output:\n%s\nerrors:\n%s", o.out, o.errors)
	}
}

// ends are the two databases of a test and a pipeline file between them.
type ends struct {
	t                          testing.TB
	postgresDSN, clickHouseDSN string
	postgres                   *pgx.Conn
	clickHouse                 driver.Conn
	label, state, address      string
	file                       string
}

const tables = `
CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (id int PRIMARY KEY, person int, total numeric(10,2));
INSERT INTO people SELECT g, 'p' || g FROM generate_series(1, 500) g;
INSERT INTO orders SELECT g, g % 500, g / 4.0 FROM generate_series(1, 2000) g;
`

func newEnds(t testing.TB) *ends {
	t.Helper()
	e := &ends{t: t, postgresDSN: devtest.Postgres(t), clickHouseDSN: devtest.ClickHouse(t), state: t.TempDir()}
	var err error
	if e.postgres, err = pgx.Connect(t.Context(), e.postgresDSN); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.postgres.Close(context.Background()) })
	options, err := clickhouse.ParseDSN(e.clickHouseDSN)
	if err != nil {
		t.Fatal(err)
	}
	if e.clickHouse, err = clickhouse.Open(options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.clickHouse.Close() })
	e.label = e.postgres.Config().Database // slots belong to a server
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e.address = listener.Addr().String()
	listener.Close()
	e.source(tables)
	e.write("", "")
	return e
}

func (e *ends) source(sql string) {
	e.t.Helper()
	if _, err := e.postgres.Exec(e.t.Context(), sql); err != nil {
		e.t.Fatalf("%s: %v", sql, err)
	}
}

func (e *ends) destination(sql string) {
	e.t.Helper()
	if err := e.clickHouse.Exec(e.t.Context(), sql); err != nil {
		e.t.Fatalf("%s: %v", sql, err)
	}
}

// write makes the pipeline file, with more fields of the input and of the output.
func (e *ends) write(in, out string) {
	e.t.Helper()
	e.writeFrom(e.postgresDSN, in, out)
}

func (e *ends) writeFrom(dsn, in, out string) {
	e.t.Helper()
	quote := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			e.t.Fatal(err)
		}
		return string(b)
	}
	if !strings.Contains(in, "tables:") {
		in = `tables: ["public.*"]` + "\n    " + in
	}
	text := fmt.Sprintf(`
input:
  label: %s
  postgres_cdc:
    dsn: %s
    format: blocks
    state_dir: %s
    sync_interval: 100ms
    lifecycle: {address: "%s", api_token: "%s"}
    %s
output:
  clickhouse:
    dsn: "${SHELL_TEST_CLICKHOUSE:%s}"
    %s
`, e.label, quote(dsn), quote(e.state), e.address, token, in, e.clickHouseDSN, out)
	e.file = filepath.Join(e.t.TempDir(), "pipeline.yaml")
	if err := os.WriteFile(e.file, []byte(text), 0o600); err != nil {
		e.t.Fatal(err)
	}
}

// start runs the pipeline in this process until stop, or the end of the test.
func (e *ends) start() (stop func()) {
	e.t.Helper()
	content, err := os.ReadFile(e.file)
	if err != nil {
		e.t.Fatal(err)
	}
	var log bytes.Buffer
	builder := service.NewStreamBuilder()
	builder.SetLogger(slog.New(slog.NewTextHandler(&log, nil)))
	if err := builder.SetYAML(string(content)); err != nil {
		e.t.Fatal(err)
	}
	stream, err := builder.Build()
	if err != nil {
		e.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = stream.Run(context.Background())
	}()
	stop = func() {
		select {
		case <-done:
			return
		default:
		}
		if err := stream.StopWithin(30 * time.Second); err != nil {
			e.t.Errorf("stopping the pipeline: %v", err)
		}
		<-done
	}
	e.t.Cleanup(func() {
		stop()
		if e.t.Failed() {
			e.t.Logf("log of the pipeline:\n%s", &log)
		}
	})
	return stop
}

// api runs a command with address and token of the pipe.
func (e *ends) api(args ...string) outcome {
	e.t.Helper()
	return penstock(e.t, append(args, "--addr", e.address, "--token", token)...)
}

// reaches waits until the pipe is in a phase.
func (e *ends) reaches(phase string) {
	e.t.Helper()
	devtest.Eventually(e.t, patience, "the pipe is "+phase, func() (bool, error) {
		o := e.api("status", "--json")
		if !strings.Contains(o.out, `"ready":true`) || !strings.Contains(o.out, `"phase":"`+phase+`"`) {
			return false, errors.New(o.out + o.errors)
		}
		return true, nil
	})
}

func TestHelpTellsExitCodesAndNoSecret(t *testing.T) {
	t.Setenv("PENSTOCK_API_TOKEN", token)
	for _, c := range Commands() {
		for _, args := range [][]string{{c.Name, "--help"}, {c.Name, "something", "--help"}} {
			penstock(t, args...).wants(t, 0, "Exit codes:", c.Name)
		}
	}
}
