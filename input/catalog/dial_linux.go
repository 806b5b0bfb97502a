package catalog

import (
	"strings"
	"syscall"
	"time"
)

const (
	// silence is how long a peer may leave what we sent unacknowledged. Without a
	// bound the kernel tries for a quarter of an hour, in which a stream from a
	// server that vanished looks idle.
	silence = time.Minute
	// tcpUserTimeout is TCP_USER_TIMEOUT of linux/tcp.h, in milliseconds. It is
	// about the peer's kernel: a server that is busy for long is not cut off.
	tcpUserTimeout = 0x12
)

// giveUp has a connection fail when its peer is gone; see tcp(7).
func giveUp(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(silence.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failed
}
