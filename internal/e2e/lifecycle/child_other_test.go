//go:build !linux

package lifecycle_test

import "syscall"

func childAttributes() *syscall.SysProcAttr { return nil }
