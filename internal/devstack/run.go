package devstack

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// runFolder is where one server lives: its data, its log, and the lock that says its owner is alive.
type runFolder struct {
	dir  string
	lock *os.File
}

// newRunFolder makes a run folder, and removes those whose owners died before they could.
func newRunFolder(server string) (*runFolder, error) {
	cache, err := cacheFolder()
	if err != nil {
		return nil, err
	}
	runs := filepath.Join(cache, "run")
	if err := os.MkdirAll(runs, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of runs: %w", err)
	}
	sweep(runs)
	for {
		dir := filepath.Join(runs, server+"-"+randomHex(4))
		lock, err := tryLock(dir + ".lock")
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue // drawn by someone else, or being swept in the instant between its making and its locking
		}
		if err != nil {
			return nil, err
		}
		if !exists(dir + ".lock") {
			lock.Close() // swept in that instant: this lock guards a file without a name
			continue
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			lock.Close()
			return nil, fmt.Errorf("making the run folder: %w", err)
		}
		return &runFolder{dir: dir, lock: lock}, nil
	}
}

func (r *runFolder) data() string { return filepath.Join(r.dir, "data") }
func (r *runFolder) log() string  { return filepath.Join(r.dir, "log") }

func (r *runFolder) remove() error {
	err := os.RemoveAll(r.dir)
	_ = os.Remove(r.dir + ".lock")
	r.lock.Close()
	if err != nil {
		return fmt.Errorf("removing the run folder: %w", err)
	}
	return nil
}

// sweep removes the run folders whose lock nobody holds. Failing to is no reason not to start a server.
func sweep(runs string) {
	locks, _ := filepath.Glob(filepath.Join(runs, "*.lock"))
	for _, path := range locks {
		lock, err := tryLock(path)
		if err != nil {
			continue
		}
		dir := strings.TrimSuffix(path, ".lock")
		killLeftPostmaster(filepath.Join(dir, "data"))
		if os.RemoveAll(dir) == nil {
			_ = os.Remove(path)
		}
		lock.Close()
	}
}

// killLeftPostmaster kills the Postgres that works in data. Its watcher does that when its owner dies; this is for the
// case that the watcher was killed as well.
func killLeftPostmaster(data string) {
	pid, err := postmasterPID(data)
	if err != nil {
		return
	}
	// A process number is soon given to someone else: only a process that works in this very folder is the one.
	if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err == nil && cwd == data {
		_ = syscall.Kill(pid, syscall.SIGQUIT)
	}
}

// port is a loopback port that no other devstack takes until it is closed, also while its server is down.
type port struct {
	number int
	lock   *os.File
}

const (
	// The ports lie below those that Linux (32768) and others (49152) give to outgoing connections: otherwise one of
	// those could take the port of a server between its death and its restart.
	firstPort = 20000
	lastPort  = 32000
)

func reservePort() (*port, error) {
	cache, err := cacheFolder()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, "ports")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of port locks: %w", err)
	}
	var last error
	for range 200 {
		var b [2]byte
		_, _ = rand.Read(b[:])
		number := firstPort + (int(b[0])<<8|int(b[1]))%(lastPort-firstPort)
		lock, err := tryLock(filepath.Join(dir, strconv.Itoa(number)))
		if err != nil {
			last = err
			continue
		}
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", number))
		if err != nil {
			last = err
			lock.Close()
			continue
		}
		listener.Close()
		return &port{number: number, lock: lock}, nil
	}
	return nil, fmt.Errorf("finding a free port: %w", last)
}

func (p *port) close() { p.lock.Close() }

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
