package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/jackc/pgx/v5"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"

	_ "github.com/penstock/penstock/input"
	"github.com/penstock/penstock/internal/devstack/devtest"
	"github.com/penstock/penstock/internal/verify"
	"github.com/penstock/penstock/lifecycle"
	"github.com/penstock/penstock/lifecycle/api"
	_ "github.com/penstock/penstock/output"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

// patience is how long a pipe may take for what it is asked. A healthy one
// takes a second; a machine that is busy with other tests may take longer.
const patience = 90 * time.Second

func formats(t *testing.T, test func(t *testing.T, format string)) {
	for _, format := range []string{"rows", "blocks"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			test(t, format)
		})
	}
}

// ends are the two databases of a test.
type ends struct {
	postgresDSN, clickHouseDSN string
	postgres                   *pgx.Conn
	clickHouse                 driver.Conn
	pipe                       *pipe // the latest that was started
}

func newEnds(t testing.TB) *ends {
	t.Helper()
	return connectEnds(t, devtest.Postgres(t), devtest.ClickHouse(t))
}

func connectEnds(t testing.TB, postgresDSN, clickHouseDSN string) *ends {
	t.Helper()
	e := &ends{postgresDSN: postgresDSN, clickHouseDSN: clickHouseDSN, clickHouse: connectClickHouse(t, clickHouseDSN)}
	var err error
	if e.postgres, err = pgx.Connect(t.Context(), postgresDSN); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.postgres.Close(context.Background()) })
	return e
}

func connectClickHouse(t testing.TB, dsn string) driver.Conn {
	t.Helper()
	o, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// source runs statements at the source, each in a transaction of its own
// unless they say otherwise.
func (e *ends) source(t testing.TB, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := e.postgres.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// transaction runs statements in one transaction.
func (e *ends) transaction(t testing.TB, statements ...string) {
	t.Helper()
	e.source(t, "BEGIN")
	e.source(t, statements...)
	e.source(t, "COMMIT")
}

func (e *ends) compare(ctx context.Context, table string, o verify.Options) (verify.Result, error) {
	pair := verify.Pair{Schema: "public", Table: table, Destination: "public_" + table}
	return verify.Compare(ctx, e.postgres, e.clickHouse, pair, o)
}

// equal waits until every table holds the same rows at both ends. It gives up
// when the pipe has failed.
func (e *ends) equal(t testing.TB, o verify.Options, tables ...string) {
	t.Helper()
	var last []string
	deadline := time.Now().Add(patience)
	for {
		late := time.Now().After(deadline)
		last = last[:0]
		for _, table := range tables {
			if r, err := e.compare(t.Context(), table, o); err != nil {
				last = append(last, err.Error())
			} else if !r.Equal() {
				last = append(last, r.String())
			}
		}
		if len(last) == 0 {
			return
		}
		if e.pipe != nil {
			if d, err := e.pipe.status(); err == nil && failures(d) != "" {
				t.Fatalf("the pipe has failed: %s", failures(d))
			}
		}
		if late || t.Context().Err() != nil {
			t.Fatalf("after %s the ends are not the same:\n%s", patience, strings.Join(last, "\n"))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// pipeOptions are what the tests change in a pipeline.
type pipeOptions struct {
	format     string
	tables     string   // YAML list; `["public.*"]` if empty
	input      []string // more lines of postgres_cdc
	processors string   // YAML list
	output     []string // more lines of clickhouse
	wrap       string   // YAML of an output in which %s stands for clickhouse
	top        string   // more lines at the top
	state      string   // folder; a new one if empty
	env        *service.Environment
}

// pipe is a pipeline that runs.
type pipe struct {
	t       testing.TB
	stream  *service.Stream
	address string
	log     *logged
	done    chan struct{}
}

func (e *ends) yaml(t testing.TB, o pipeOptions, address string) string {
	t.Helper()
	if o.tables == "" {
		o.tables = `["public.*"]`
	}
	if o.state == "" {
		o.state = t.TempDir()
	}
	config, err := pgx.ParseConfig(e.postgresDSN)
	if err != nil {
		t.Fatal(err)
	}
	quote := func(s string) string { return string(must(json.Marshal(s))) }
	clickHouse := "{" + strings.Join(append([]string{"dsn: " + quote(e.clickHouseDSN)}, o.output...), ", ") + "}"
	if o.wrap == "" {
		o.wrap = "{clickhouse: %[1]s}"
	}
	if o.processors == "" {
		o.processors = "[]"
	}
	// Slots belong to a server, so they are named after the database.
	return fmt.Sprintf(`
input:
  label: %s
  postgres_cdc:
    dsn: %s
    tables: %s
    format: %s
    state_dir: %s
    sync_interval: 100ms
    lifecycle: {address: %q}
    %s
pipeline:
  threads: 1
  processors: %s
output: %s
%s
`, strings.ToLower(config.Database), quote(e.postgresDSN), o.tables, o.format, quote(o.state), address,
		strings.Join(o.input, "\n    "), o.processors, fmt.Sprintf(o.wrap, clickHouse), o.top)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// start runs a pipeline, which is stopped after the test.
func (e *ends) start(t testing.TB, o pipeOptions) *pipe {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()

	if o.env == nil {
		o.env = service.GlobalEnvironment()
	}
	p := &pipe{t: t, address: address, log: &logged{}, done: make(chan struct{})}
	builder := o.env.NewStreamBuilder()
	builder.SetLogger(slog.New(slog.NewTextHandler(p.log, nil)))
	if err := builder.SetYAML(e.yaml(t, o, address)); err != nil {
		t.Fatal(err)
	}
	if p.stream, err = builder.Build(); err != nil {
		t.Fatal(err)
	}
	e.pipe = p
	go func() {
		defer close(p.done)
		if err := p.stream.Run(context.Background()); err != nil {
			fmt.Fprintf(p.log, "the stream ended: %v\n", err)
		}
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("log of the pipeline:\n%s", p.log)
		}
	})
	return p
}

// stop stops the pipeline as SIGTERM would.
func (p *pipe) stop() {
	p.t.Helper()
	select {
	case <-p.done:
		return
	default:
	}
	if err := p.stream.StopWithin(15 * time.Second); err != nil {
		p.t.Errorf("stopping the pipeline: %v", err)
	}
	<-p.done
}

// ended waits for a pipeline that ends by itself.
func (p *pipe) ended() {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("after %s the pipeline has not ended", patience)
	}
}

// status is what the API says.
func (p *pipe) status() (api.PipeDetail, error) {
	var list api.PipeList
	if err := p.get("/v1/pipes", &list); err != nil {
		return api.PipeDetail{}, err
	}
	if len(list.Pipes) == 0 {
		return api.PipeDetail{}, errors.New("there is no pipe")
	}
	var detail api.PipeDetail
	return detail, p.get("/v1/pipes/"+url.PathEscape(list.Pipes[0].Name), &detail)
}

func (p *pipe) get(path string, into any) error {
	resp, err := http.Get("http://" + p.address + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// until waits until the status is as wanted.
func (p *pipe) until(what string, cond func(api.PipeDetail) bool) api.PipeDetail {
	p.t.Helper()
	var detail api.PipeDetail
	devtest.Eventually(p.t, patience, what, func() (ok bool, err error) {
		if detail, err = p.status(); err != nil {
			return false, err
		}
		if !cond(detail) {
			if f := failures(detail); f != "" {
				p.t.Fatalf("waiting until %s: the pipe has failed: %s", what, f)
			}
			return false, fmt.Errorf("it is %s, failure %+v, degraded %+v", detail.Phase, detail.Failure, detail.Degraded)
		}
		return true, nil
	})
	return detail
}

func (p *pipe) running() {
	p.t.Helper()
	p.until("the pipe streams", func(d api.PipeDetail) bool { return d.Phase == string(lifecycle.Running) })
}

// failures returns what failed of a pipe and its tables, as one text.
func failures(d api.PipeDetail) string {
	var texts []string
	add := func(f *api.Failure) {
		if f != nil {
			texts = append(texts, f.Reason+" | "+f.Fix)
		}
	}
	add(d.Failure)
	for _, t := range d.Tables {
		add(t.Failure)
	}
	return strings.Join(texts, "\n")
}

// logged is a log that can be read while it is written.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
