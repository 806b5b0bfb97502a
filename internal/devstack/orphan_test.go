package devstack

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ownerVariable makes the test binary a process that owns servers and waits to be killed.
const ownerVariable = "PENSTOCK_TEST_OWN_SERVERS"

// ownServers starts both servers, prints where each listens and lives, and waits for standard input to end.
func ownServers() {
	ctx := context.Background()
	p, err := StartPostgres(ctx, PostgresOptions{Own: true})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	c, err := StartClickHouse(ctx, ClickHouseOptions{Own: true})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(p.DSN(), p.run.dir)
	fmt.Println(c.DSN(), c.run.dir)
	_, _ = os.Stdin.Read(make([]byte, 1))
}

func TestServersEndWithAnOwnerThatIsKilled(t *testing.T) {
	t.Parallel()
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), ownerVariable+"=1")
	if _, err := owner.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	owner.Stderr = os.Stderr
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = owner.Process.Kill()
		_ = owner.Wait()
	}()

	var addresses, folders []string
	for lines := bufio.NewScanner(stdout); len(addresses) < 2 && lines.Scan(); {
		dsn, dir, _ := strings.Cut(lines.Text(), " ")
		u, err := url.Parse(dsn)
		if err != nil || u.Host == "" {
			t.Fatalf("the owner of the servers said: %s", lines.Text())
		}
		addresses, folders = append(addresses, u.Host), append(folders, dir)
	}
	if len(addresses) < 2 {
		t.Fatal("the owner of the servers ended before they ran")
	}
	for _, address := range addresses {
		if !listening(address) {
			t.Fatalf("nothing listens at %s while the owner lives", address)
		}
	}

	if err := owner.Process.Kill(); err != nil { // SIGKILL
		t.Fatal(err)
	}
	for i, address := range addresses {
		waitUntil(t, "the server at "+address+" is gone", func() bool { return !listening(address) })
		waitUntil(t, "its data are gone", func() bool { return !exists(filepath.Join(folders[i], "data", "global")) })
	}
	for _, dir := range folders {
		// More than one sweep: one that another test's server makes at the same time may hold the lock, and the watcher
		// may still be removing files.
		waitUntil(t, dir+" is swept", func() bool {
			sweep(filepath.Dir(dir))
			return !exists(dir) && !exists(dir+".lock")
		})
	}
}

func TestSweepSparesTheLiving(t *testing.T) {
	t.Parallel()
	p := startPostgres(t, PostgresOptions{})
	sweep(filepath.Dir(p.run.dir))
	if !exists(p.run.data()) {
		t.Fatal("a sweep removed the folder of a running server")
	}
	postgresExec(t, p.DSN(), "SELECT 1")
}

func listening(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func waitUntil(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for !cond() {
		select {
		case <-deadline:
			t.Fatalf("waiting until %s: it is not so", what)
		case <-time.After(pollInterval):
		}
	}
}
