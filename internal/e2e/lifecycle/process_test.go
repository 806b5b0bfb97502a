package lifecycle_test

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a penstock that runs, or has run.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	log  logged
	done chan struct{}
	code int // exit code once done is closed, -1 after a signal
}

// politeness is how long a process may take to end after its test.
const politeness = 15 * time.Second

// startProcess runs penstock with arguments. It is ended after the test if it
// still runs then.
func startProcess(t testing.TB, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(binary(t), args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.SysProcAttr = childAttributes()
	// A report of the race detector ends the process at once, not at its exit,
	// which kill -9 would forestall.
	p.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1")
	started := make(chan error)
	go func() {
		// The thread has to live as long as the child, see childAttributes.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = p.cmd.Wait()
		p.code = p.cmd.ProcessState.ExitCode()
		close(p.done)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Politely: a client that is gone in the middle of an insert takes the
		// ClickHouse of the dev stack with it.
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(politeness):
			p.kill()
		}
		if log := p.log.String(); strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic:") {
			t.Error("the process has met a data race or a panic, see its log")
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", strings.Join(args, " "), &p.log)
		}
	})
	return p
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL) // it may have ended
	<-p.done
}

// stop asks the process to end, and expects it to do so without loss.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatalf("the process has ended before it was told to: exit code %d", p.code)
	}
	if code := p.exit(); code != 0 {
		p.t.Fatalf("told to end, the process exits with %d", code)
	}
}

// exit waits for the end of the process and returns its exit code.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.code
	case <-time.After(patience):
		p.t.Fatalf("after %s the process has not ended", patience)
		return -1
	}
}

// logged is a log that can be read while it is written.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
