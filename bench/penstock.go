package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// buildPenstock builds the program as it is shipped.
func buildPenstock(ctx context.Context, folder string) (string, error) {
	binary := filepath.Join(folder, "penstock")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "github.com/penstock/penstock/cmd/penstock")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building penstock: %w: %s", err, bytes.TrimSpace(output))
	}
	return binary, nil
}

// pipeline returns the configuration of a pipe. What it does not set is as
// shipped, unless an option does.
func (t *trial) pipeline(format, mode, slot, folder, debug string, extra []string) string {
	quote := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	http := "http: {enabled: false}"
	if debug != "" {
		http = fmt.Sprintf("http: {address: %q, debug_endpoints: true}", debug)
	}
	input := append([]string{
		"dsn: " + quote(t.arena.dsn), `tables: ["public.*"]`, "format: " + format, "mode: " + mode,
		"state_dir: " + quote(folder), `lifecycle: {address: ""}`,
	}, extra...)
	for _, line := range strings.Split(t.input, ";") {
		input = append(input, strings.TrimSpace(line))
	}
	if slot != "" {
		input = append(input, "slot_name: "+slot, "publication_name: "+publication)
	}
	return fmt.Sprintf(`%s
logger: {level: WARN}
input:
  label: bench
  postgres_cdc:
    %s
output:
  clickhouse:
    dsn: %s
    %s
`, http, strings.Join(input, "\n    "), quote(t.target), strings.ReplaceAll(t.output, ";", "\n    "))
}

// child is a running penstock.
type child struct {
	cmd   *exec.Cmd
	log   *watchedLog
	ended chan struct{}
	err   error // of Wait, once ended is closed
	peak  int64 // RSS in bytes, once ended is closed
	// folder holds the pipeline and its state, debug is where profiles are served.
	folder, debug string
	profiled      chan error
}

// startPenstock runs a pipeline in a process of its own.
func startPenstock(binary, folder, pipeline, debug string) (*child, error) {
	path := filepath.Join(folder, "pipeline.yaml")
	if err := os.WriteFile(path, []byte(pipeline), 0o600); err != nil {
		return nil, fmt.Errorf("writing the pipeline: %w", err)
	}
	c := &child{cmd: exec.Command(binary, "run", path), log: &watchedLog{failed: make(chan struct{})}, ended: make(chan struct{}), folder: folder, debug: debug, profiled: make(chan error, 1)}
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting penstock: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		c.err = c.cmd.Wait()
		close(exited)
	}()
	go func() {
		defer close(c.ended)
		ticker := time.NewTicker(pollInterval)
		defer ticker.Stop()
		for {
			c.peak = max(c.peak, peakRSS(c.cmd.Process.Pid))
			select {
			case <-exited:
				return
			case <-ticker.C:
			}
		}
	}()
	return c, nil
}

// wait returns when the process has ended by itself.
func (c *child) wait(ctx context.Context) error {
	select {
	case <-c.ended:
		if c.err != nil {
			return fmt.Errorf("penstock ended: %w: %s", c.err, c.log)
		}
		return nil
	case <-c.log.failed:
		return fmt.Errorf("penstock has trouble: %s", c.log)
	case <-ctx.Done():
		return fmt.Errorf("waiting for penstock to end: %w: %s", ctx.Err(), c.log)
	}
}

// trouble returns why it is no use to wait for the process, nil while it works.
func (c *child) trouble() error {
	select {
	case <-c.ended:
		return fmt.Errorf("penstock ended: %w: %s", errors.Join(c.err), c.log)
	case <-c.log.failed:
		return fmt.Errorf("penstock has trouble: %s", c.log)
	default:
		return nil
	}
}

// stop ends the process as a service is ended, and forgets its state.
func (c *child) stop() {
	defer os.RemoveAll(c.folder)
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.ended:
	case <-time.After(30 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.ended
	}
}

// watchedLog keeps what a process says, and notices errors.
type watchedLog struct {
	mu     sync.Mutex
	text   bytes.Buffer
	failed chan struct{} // closed at the first error
	once   sync.Once
}

func (l *watchedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes.Contains(p, []byte("level=error")) {
		l.once.Do(func() { close(l.failed) })
	}
	return l.text.Write(p)
}

func (l *watchedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// freePort returns an address for the profiles of a child.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// profile writes where the process spends its time during its next seconds, and
// then what it has allocated, into files that begin with path. It is over early
// when the process is.
func (c *child) profile(ctx context.Context, path string, seconds float64) error {
	base := "http://" + c.debug + "/debug/pprof/"
	deadline := time.Now().Add(5 * time.Second)
	for {
		err := fetch(ctx, base+"symbol", io.Discard)
		if err == nil {
			break
		}
		if time.Now().After(deadline) || pause(ctx, pollInterval) != nil {
			return err
		}
	}
	// At least a second, in whole ones.
	cpu := fmt.Sprintf("%sprofile?seconds=%d", base, max(1, int(seconds)))
	if err := fetchFile(ctx, cpu, path+".cpu.pprof"); err != nil {
		return err
	}
	return fetchFile(ctx, base+"allocs", path+".allocs.pprof")
}

func fetchFile(ctx context.Context, url, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("writing a profile: %w", err)
	}
	return errors.Join(fetch(ctx, url, file), file.Close())
}

func fetch(ctx context.Context, url string, into io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("fetching a profile: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("fetching a profile: %s", response.Status)
	}
	if _, err := io.Copy(into, response.Body); err != nil {
		return fmt.Errorf("fetching a profile: %w", err)
	}
	return nil
}
