package devstack

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// watchScript runs a server under a shell that ends it when the lifeline does.
//
//go:embed watch.sh
var watchScript string

// command is what starts a server.
type command struct {
	args []string
	// watched says that args run the server under watchScript.
	watched bool
}

// watch wraps a server's command line in watchScript; signal is the one that ends the server at once.
func watch(signal, folder string, server ...string) command {
	return command{args: append([]string{"/bin/sh", "-c", watchScript, "watch", signal, folder}, server...), watched: true}
}

// process is a running server. Its standard input is the lifeline: a pipe whose writing end only this Go process has,
// so that the kernel closes it when this process dies in whatever way. (PR_SET_PDEATHSIG would follow the death of the
// thread that started the server, and threads come and go in a Go program.) What reads it, watch.sh or chdbhost, then
// ends the server and removes its data.
type process struct {
	cmd      *exec.Cmd
	watched  bool
	lifeline *os.File
	ended    chan struct{}
	result   error // of Wait, once ended is closed
}

// startProcess starts a server in folder, as the account, with both outputs appended to log.
func startProcess(server command, folder, log string, as *account, env ...string) (*process, error) {
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	defer output.Close()
	reading, writing, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making the lifeline: %w", err)
	}
	defer reading.Close()

	cmd := exec.Command(server.args[0], server.args[1:]...)
	cmd.Dir = folder
	cmd.Env = append(append(os.Environ(), "LC_ALL=C"), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = reading, output, output
	// A process group of its own keeps the terminal's Ctrl-C from the server: the program that started it decides when.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: as.credential()}
	if err := cmd.Start(); err != nil {
		writing.Close()
		return nil, fmt.Errorf("starting %s: %w", server.args[0], err)
	}
	p := &process{cmd: cmd, watched: server.watched, lifeline: writing, ended: make(chan struct{})}
	go p.wait()
	return p, nil
}

// wait collects the server. devtest.IgnoreServers knows this function by its name.
func (p *process) wait() {
	p.result = p.cmd.Wait()
	p.lifeline.Close()
	close(p.ended)
}

// waitReady polls ready until it succeeds. log is quoted where the server ends instead.
func (p *process) waitReady(ctx context.Context, log string, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("waiting for it to be ready: it ended (%v): %s", p.result, tail(log))
		case <-ctx.Done():
			return fmt.Errorf("waiting for it to be ready: %w (%v): %s", ctx.Err(), err, tail(log))
		case <-tick.C:
		}
	}
}

// stop cuts the lifeline, so that an orderly end takes the same road as the death of this process.
func (p *process) stop() {
	p.lifeline.Close()
	select {
	case <-p.ended:
	case <-time.After(stopTimeout):
		_ = p.kill()
	}
}

// kill ends the server and everything it started with SIGKILL, and returns when all of it is gone.
func (p *process) kill() error {
	select {
	case <-p.ended:
		return nil
	default:
	}
	victims := []int{p.cmd.Process.Pid}
	if p.watched {
		// The shell is spared: it must collect the server, or a container whose process 1 collects nobody keeps it as a
		// zombie, which the next Postgres takes for a living server in its folder. Then the shell ends by itself.
		victims = children()[p.cmd.Process.Pid]
	}
	for _, pid := range victims {
		_ = syscall.Kill(pid, syscall.SIGSTOP) // frozen, it does not replace the children that die
	}
	victims = withDescendants(victims)
	for _, pid := range victims {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("killing process %d: %w", pid, err)
		}
	}
	<-p.ended
	deadline := time.Now().Add(stopTimeout)
	for _, pid := range victims {
		for alive(pid) {
			if time.Now().After(deadline) {
				return fmt.Errorf("waiting for process %d to die", pid)
			}
			time.Sleep(pollInterval)
		}
	}
	return nil
}

// children lists the processes below each process, as /proc has them.
func children() map[int][]int {
	below := make(map[int][]int)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		if s, ok := readStat(path); ok {
			below[s.parent] = append(below[s.parent], s.pid)
		}
	}
	return below
}

// withDescendants adds to pids all processes below them. Backends of Postgres are in no process group with their server.
func withDescendants(pids []int) []int {
	below := children()
	for i := 0; i < len(pids); i++ {
		pids = append(pids, below[pids[i]]...)
	}
	return pids
}

// alive says whether pid runs. A zombie does not: its parent is gone, and in a container maybe nobody collects it.
func alive(pid int) bool {
	s, ok := readStat(fmt.Sprintf("/proc/%d/stat", pid))
	return ok && s.state != "Z" && s.state != "X"
}

type procStat struct {
	pid, parent int
	state       string
}

// readStat reads proc_pid_stat(5): pid (name) state ppid …, where the name may hold blanks and parentheses.
func readStat(path string) (procStat, bool) {
	content, err := os.ReadFile(path)
	if err != nil {
		return procStat{}, false
	}
	line := string(content)
	open, shut := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || shut < open {
		return procStat{}, false
	}
	fields := strings.Fields(line[shut+1:])
	pid, err := strconv.Atoi(strings.TrimSpace(line[:open]))
	if err != nil || len(fields) < 2 {
		return procStat{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	return procStat{pid: pid, parent: parent, state: fields[0]}, err == nil
}

// tail returns the end of a server's log for an error message.
func tail(log string) string {
	const most = 2000
	content, err := os.ReadFile(log)
	if err != nil {
		return "its log cannot be read: " + err.Error()
	}
	text := strings.TrimSpace(string(content))
	if text == "" {
		return "its log is empty"
	}
	if len(text) > most {
		text = "…" + text[len(text)-most:]
	}
	return "its log ends: " + text
}
