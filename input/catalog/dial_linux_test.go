package catalog

import (
	"net"
	"syscall"
	"testing"

	"github.com/penstock/penstock/internal/devstack/devtest"
)

// TestConnectionsGiveUpOnAServerThatVanished: a stream from it would look idle
// for as long as the kernel repeats what we sent.
func TestConnectionsGiveUpOnAServerThatVanished(t *testing.T) {
	source, err := NewSource(devtest.Postgres(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := source.ConnectReplication(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	raw, err := conn.Conn().(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var timeout int
	var failed error
	err = raw.Control(func(fd uintptr) {
		timeout, failed = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout)
	})
	if err != nil || failed != nil || int64(timeout) != silence.Milliseconds() {
		t.Errorf("the connection gives up after %d ms (%v, %v), want %s", timeout, err, failed, silence)
	}
}
