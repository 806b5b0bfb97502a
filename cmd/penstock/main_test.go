package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/internal/devstack/devtest"
)

// runMain makes the test's own binary the program.
const runMain = "PENSTOCK_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
		return
	}
	os.Exit(devtest.Main(m))
}

// program prepares a run of the program, with an environment that names no
// servers but those in env.
func program(ctx context.Context, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "POSTGRES_DSN=") && !strings.HasPrefix(variable, "CLICKHOUSE_DSN=") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(append(cmd.Env, runMain+"=1"), env...)
	return cmd
}

// output runs the program to its end.
func output(t *testing.T, env []string, args ...string) (out string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	content, err := program(ctx, env, args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit != nil {
		code = exit.ExitCode()
	}
	return string(content), code
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipeline.yaml")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	unknownField := write(t, "input: {postgres_cdc: {dsn: \"postgres://localhost/x\", colour: red}}\noutput: {drop: {}}\n")
	for _, tt := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"version", []string{"--version"}, 0, []string{"Version: "}},
		{"help", []string{"--help"}, 0, []string{"penstock - replicates PostgreSQL into ClickHouse", "penstock run ./config.yaml", "demo "}},
		{"list of inputs", []string{"list", "inputs"}, 0, []string{"- postgres_cdc\n"}},
		{"list of outputs", []string{"list", "outputs"}, 0, []string{"- clickhouse\n"}},
		{"lint without the environment that a run needs", []string{"lint", "../../config/*.yaml"}, 0, nil},
		{"lint of an unknown field", []string{"lint", unknownField}, 1, []string{"field colour not recognised"}},
		{"run of an unknown field", []string{"run", unknownField}, 1, []string{"field colour not recognised"}},
		{"run without the environment", []string{"run", "../../config/postgres_to_clickhouse.yaml"}, 1, []string{"POSTGRES_DSN"}},
		{"run of a missing file", []string{"run", "missing.yaml"}, 1, []string{"missing.yaml"}},
		{"unknown command", []string{"sync"}, 1, []string{"sync"}},
		{"demo with an argument", []string{"demo", "now"}, 1, []string{"demo takes no argument"}},
		{"demo of nothing", []string{"demo", "--rows", "0"}, 1, []string{"--rows must be at least 1"}},
		{
			"whole configuration",
			[]string{"create", "postgres_cdc//clickhouse"},
			0,
			[]string{"postgres_cdc:", "clickhouse:", "'@service': penstock", "prometheus: {}", "dsn: ${POSTGRES_DSN}", "dsn: ${CLICKHOUSE_DSN}"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, code := output(t, nil, tt.args...)
			if code != tt.code {
				t.Errorf("exit status %d, want %d", code, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("%q is missing", want)
				}
			}
			if t.Failed() {
				t.Log(out)
			}
		})
	}
}

func TestCreatedConfigurationIsClean(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"create", "postgres_cdc//clickhouse"}, {"create", "--small", "postgres_cdc//clickhouse"}} {
		created, code := output(t, nil, args...)
		if code != 0 {
			t.Fatal(created)
		}
		if out, code := output(t, nil, "lint", write(t, created)); code != 0 {
			t.Errorf("%v: %s", args, out)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// The pipeline of the README, as a user runs it: until SIGTERM.
func TestRunUntilSIGTERM(t *testing.T) {
	t.Parallel()
	service, lifecycle := freePort(t), freePort(t)
	source := devtest.Postgres(t)
	conn, err := pgx.Connect(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "CREATE TABLE t (id int PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := program(t.Context(), []string{
		"POSTGRES_DSN=" + source, "CLICKHOUSE_DSN=" + devtest.ClickHouse(t),
		"PENSTOCK_ADDRESS=" + lifecycle, "PENSTOCK_STATE_DIR=" + t.TempDir(),
	}, "run", "--set", "http.address="+service, "--set", "input.label=run_until_sigterm", "../../config/postgres_to_clickhouse.yaml")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	devtest.Eventually(t, time.Minute, "the pipe runs and both HTTP servers say so", func() (bool, error) {
		for url, want := range map[string]string{
			"http://" + service + "/metrics":    "process_resident_memory_bytes",
			"http://" + lifecycle + "/v1/pipes": `"phase":"running"`,
		} {
			body, err := get(url)
			if err != nil {
				return false, err
			}
			if !strings.Contains(body, want) {
				return false, fmt.Errorf("%s has no %s", url, want)
			}
		}
		return true, nil
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	var active bool
	if err := conn.QueryRow(t.Context(), "SELECT active FROM pg_replication_slots WHERE slot_name = 'penstock_run_until_sigterm'").Scan(&active); err != nil || active {
		t.Errorf("the slot is active: %v, %v", active, err)
	}
	if !strings.Contains(log.String(), "@service=penstock") {
		t.Error("the log does not name the service")
	}
	if t.Failed() {
		t.Log(log.String())
	}
}

func get(url string) (string, error) {
	resp, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	return body.String(), err
}

func TestDemoEndsWithBothSidesEqual(t *testing.T) {
	t.Parallel()
	out, code := output(t, nil, "demo", "--duration", "3s", "--rows", "20000", "--rate", "1000")
	if code != 0 {
		t.Errorf("exit status %d", code)
	}
	if n := strings.Count(out, "   equal\n"); n != 7 {
		t.Errorf("%d tables are equal, want 7", n)
	}
	for _, want := range []string{"phase snapshot", "phase running", "psql 'postgres://", "clickhouse client 'clickhouse://", "status page  http://127.0.0.1:"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}
