package lifecycle_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penstock/penstock/internal/devstack/devtest"
	"github.com/penstock/penstock/lifecycle"
	"github.com/penstock/penstock/lifecycle/api"
)

// options are what tests change in a pipeline.
type options struct {
	dsn        string   // of the source; that of the ends if empty
	name       string   // label; the name of the source database if empty
	tables     string   // YAML list; `["public.*"]` if empty
	input      []string // more lines of postgres_cdc
	lifecycle  []string // more fields of lifecycle
	processors string   // YAML list; slows a pipe down
	output     []string // more lines of clickhouse
	address    string   // of the API; a free one if empty
	state      string   // folder; a new one if empty
	token      string   // that the test presents
}

// slow has each batch take a while, so that a test can see a load under way.
func slow(pause time.Duration) string {
	return fmt.Sprintf("[{sleep: {duration: %s}}]", pause)
}

// pipe is a pipeline that is run by one process after another.
type pipe struct {
	t testing.TB
	e *ends
	options
	file    string
	process *process  // the latest
	known   time.Time // of the last failure that the test has seen
}

// pipe returns a pipeline that does not run yet.
func (e *ends) pipe(t testing.TB, o options) *pipe {
	t.Helper()
	if o.dsn == "" {
		o.dsn = e.postgresDSN
	}
	if o.name == "" {
		o.name = e.name()
	}
	if o.tables == "" {
		o.tables = `["public.*"]`
	}
	if o.address == "" {
		o.address = freeAddress(t)
	}
	if o.state == "" {
		o.state = t.TempDir()
	}
	if o.processors == "" {
		o.processors = "[]"
	}
	return &pipe{t: t, e: e, options: o, file: filepath.Join(t.TempDir(), o.name+".yaml")}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// yaml returns input and output of the pipeline.
func (p *pipe) yaml() string {
	quote := func(s string) string {
		quoted, _ := json.Marshal(s) // of a string: cannot fail
		return string(quoted)
	}
	lifecycleFields := append([]string{"address: " + quote(p.address)}, p.lifecycle...)
	return fmt.Sprintf(`
input:
  label: %s
  postgres_cdc:
    dsn: %s
    tables: %s
    format: blocks
    state_dir: %s
    sync_interval: 50ms
    lifecycle: {%s}
    %s
pipeline:
  threads: 1
  processors: %s
output:
  clickhouse:
    dsn: %s
    %s
`, p.name, quote(p.dsn), p.tables, quote(p.state), strings.Join(lifecycleFields, ", "),
		strings.Join(p.input, "\n    "), p.processors, quote(p.e.clickHouseDSN), strings.Join(p.output, "\n    "))
}

// processFields are those of a configuration file that concern the process.
const processFields = `
http: {enabled: false}
shutdown_timeout: 40s
`

// write writes the configuration file with other fields around the pipeline.
func (p *pipe) write(fields string) {
	p.t.Helper()
	if err := os.WriteFile(p.file, []byte(fields+p.yaml()), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// start runs the pipeline as it is configured now.
func (p *pipe) start() *pipe {
	p.t.Helper()
	p.write(processFields)
	p.process = startProcess(p.t, "run", p.file)
	return p
}

func (p *pipe) kill() { p.process.kill() }

func (p *pipe) stop() {
	p.t.Helper()
	p.process.stop()
}

// restart stops the process and starts another.
func (p *pipe) restart() {
	p.t.Helper()
	p.stop()
	p.start()
}

// client opens a connection for each request: servers come and go.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}

// detail is what the API says of the pipe.
func (p *pipe) detail() (api.PipeDetail, error) {
	var d api.PipeDetail
	body, code, err := p.request(http.MethodGet, "/v1/pipes/"+url.PathEscape(p.name), "")
	if err != nil {
		return d, err
	}
	if code != http.StatusOK {
		return d, fmt.Errorf("%d: %s", code, body)
	}
	return d, json.Unmarshal(body, &d)
}

// request returns the body and the status of an answer.
func (p *pipe) request(method, path, body string, header ...string) (answer []byte, code int, err error) {
	req, err := http.NewRequest(method, "http://"+p.address+path, bytes.NewBufferString(body))
	if err != nil {
		return nil, 0, err
	}
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return answer, resp.StatusCode, err
}

// command posts to a path below the pipe's and expects a status. It returns
// what the answer says is wrong, if it says so.
func (p *pipe) command(path string, want int) api.Problem {
	p.t.Helper()
	return p.post("/v1/pipes/"+url.PathEscape(p.name)+path, "", want)
}

func (p *pipe) post(path, body string, want int, header ...string) api.Problem {
	p.t.Helper()
	answer, code, err := p.request(http.MethodPost, path, body, header...)
	if err != nil {
		p.t.Fatalf("POST %s: %v", path, err)
	}
	if code != want {
		p.t.Fatalf("POST %s answers %d: %s; want %d", path, code, answer, want)
	}
	if code == http.StatusAccepted && strings.HasSuffix(path, "/resync") {
		p.known = time.Now() // it leads out of what has failed until now
	}
	var problem api.Problem
	if err := json.Unmarshal(answer, &problem); err != nil {
		p.t.Fatalf("POST %s answers %q: %v", path, answer, err)
	}
	if code >= 400 && problem.Message == "" {
		p.t.Errorf("POST %s answers %d without saying why: %s", path, code, answer)
	}
	return problem
}

// until waits until the pipe is as wanted. It gives up where the pipe has failed
// anew and cond did not want that.
func (p *pipe) until(what string, cond func(api.PipeDetail) bool) api.PipeDetail {
	p.t.Helper()
	var d api.PipeDetail
	devtest.Eventually(p.t, patience, what, func() (bool, error) {
		var err error
		if d, err = p.detail(); err != nil {
			select {
			case <-p.process.done:
				p.t.Fatalf("waiting until %s: the process has ended with %d", what, p.process.code)
			default:
			}
			return false, err
		}
		if cond(d) {
			return true, nil
		}
		if d.Failure != nil && d.Failure.At.After(p.known) {
			p.t.Fatalf("waiting until %s: the pipe has failed: %+v", what, *d.Failure)
		}
		return false, errors.New(describe(d))
	})
	return d
}

// describe says in a line what a pipe is doing.
func describe(d api.PipeDetail) string {
	var b strings.Builder
	fmt.Fprintf(&b, "it is %s, degraded %+v", d.Phase, d.Degraded)
	for _, t := range d.Tables {
		fmt.Fprintf(&b, "; %s is %s, chunks %d/%d, failure %+v", t.Name, t.Phase, t.ChunksDone, t.ChunksTotal, t.Failure)
	}
	return b.String()
}

func (p *pipe) in(phase lifecycle.Phase) api.PipeDetail {
	p.t.Helper()
	return p.until("the pipe is "+string(phase), func(d api.PipeDetail) bool { return d.Phase == string(phase) })
}

// running waits until the pipe streams and no table is being loaded, and until
// it has the tables named: after a restart it takes a moment to find new ones.
func (p *pipe) running(names ...string) api.PipeDetail {
	p.t.Helper()
	return p.until("the pipe is running with every table", func(d api.PipeDetail) bool {
		for _, name := range names {
			if table(d, name).Phase != string(lifecycle.TableRunning) {
				return false
			}
		}
		loading := slices.ContainsFunc(d.Tables, func(t api.Table) bool {
			return t.Phase != string(lifecycle.TableRunning) && t.Phase != string(lifecycle.TableRemoved)
		})
		return d.Phase == string(lifecycle.Running) && len(d.Resync) == 0 && len(d.Tables) > 0 && !loading
	})
}

// failed waits until the pipe has failed since the test last saw it fail, and
// checks that the failure says what happened and what to do.
func (p *pipe) failed() *api.Failure {
	p.t.Helper()
	d := p.until("the pipe has failed", func(d api.PipeDetail) bool {
		return d.Phase == string(lifecycle.Failed) && d.Failure.At.After(p.known)
	})
	f := d.Failure
	p.known = f.At
	if f.Class == "" || f.Reason == "" || f.Fix == "" {
		p.t.Errorf("the failure does not say what happened and what to do: %+v", f)
	}
	if answer, code, err := p.request(http.MethodGet, "/healthz", ""); err != nil || code != http.StatusOK {
		p.t.Errorf("a failed pipe is served with %d %s %v, want 200", code, answer, err)
	}
	if answer, code, err := p.request(http.MethodGet, "/readyz", ""); err != nil || code != http.StatusServiceUnavailable {
		p.t.Errorf("a failed pipe is ready with %d %s %v, want 503", code, answer, err)
	}
	return f
}

// table returns what is shown of a table.
func table(d api.PipeDetail, name string) api.Table {
	i := slices.IndexFunc(d.Tables, func(t api.Table) bool { return t.Name == "public."+name })
	if i < 0 {
		return api.Table{}
	}
	return d.Tables[i]
}
