//go:build linux && amd64

// Command chdbhost turns libchdb, which is the whole of ClickHouse as one shared library, into a ClickHouse server: it
// loads the library, has it listen for the native and the HTTP protocol, and stays until its standard input ends.
//
// It is a program of its own because a binary that loads shared libraries cannot be static, and penstock is. Standard
// input is the lifeline: its other end is held by the process that started this one, so that the server ends with it even
// when that process is killed without a chance to clean up.
//
//	chdbhost LIBRARY FOLDER [--name=value …]
//
// FOLDER holds the server's data: it is removed when the lifeline ends, and kept when this process is killed. The rest
// are settings of the server, in the form that clickhouse takes them on its command line.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"

	"github.com/ebitengine/purego"
)

// lifeline is the descriptor of what was standard input when the process began.
var lifeline int

func main() {
	if len(os.Args) < 3 {
		fail("taking arguments: want LIBRARY FOLDER [--name=value …]")
	}
	library, folder, settings := os.Args[1], os.Args[2], os.Args[3:]
	if err := takeLifeline(folder); err != nil {
		fail("taking the lifeline: %v", err)
	}
	handle, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		fail("loading %s: %v", library, err)
	}
	if err := outliveRefusals(library); err != nil {
		fail("preparing %s: %v", library, err)
	}
	var queryCmdline func(argc int32, argv **byte) uintptr
	purego.RegisterLibFunc(&queryCmdline, handle, "chdb_query_cmdline")

	args := append([]string{"clickhouse", "--path=" + folder}, settings...)
	// The listeners live as long as the last query, which reads a pipe that never ends.
	serve(queryCmdline, append(args,
		"--query=SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; SELECT count() FROM file('/dev/stdin', LineAsString, 'x String')"))
	fail("serving: ClickHouse returned on its own")
}

// takeLifeline moves the lifeline away from descriptor 0 and leaves there a pipe for ClickHouse to wait on. ClickHouse
// cannot wait on the lifeline itself: it opens /dev/stdin anew, which is refused for a pipe that another user made.
func takeLifeline(folder string) error {
	var err error
	if lifeline, err = syscall.Dup(0); err != nil {
		return err
	}
	syscall.CloseOnExec(lifeline)
	end := os.NewFile(uintptr(lifeline), "lifeline")

	var never [2]int
	if err := syscall.Pipe(never[:]); err != nil {
		return err
	}
	if err := syscall.Dup3(never[0], 0, 0); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, end)
		// The server still runs and may write while its files go; whoever sweeps the run folders takes what is left.
		_ = os.RemoveAll(folder)
		os.Exit(0)
	}()
	return nil
}

// serve calls int chdb_query_cmdline(int argc, char **argv).
func serve(queryCmdline func(int32, **byte) uintptr, args []string) {
	argv := make([]*byte, 0, len(args)+1)
	var pinner runtime.Pinner
	for _, arg := range args {
		p, err := syscall.BytePtrFromString(arg)
		if err != nil {
			fail("taking argument %q: %v", arg, err)
		}
		pinner.Pin(p)
		argv = append(argv, p)
	}
	argv = append(argv, nil)
	pinner.Pin(&argv[0])
	defer pinner.Unpin()
	queryCmdline(int32(len(args)), &argv[0])
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "chdbhost: "+format+"\n", args...)
	os.Exit(1)
}
