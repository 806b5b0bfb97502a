package lifecycle_test

import "syscall"

// childAttributes have the kernel kill a child when the thread that started it
// ends, so that no pipe outlives a test that was cut short.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
