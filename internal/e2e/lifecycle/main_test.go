// Package lifecycle_test runs the real binary against real databases and does to
// it what happens to pipes: commands, kill -9, slots that are lost, tables that
// come and go.
package lifecycle_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/penstock/penstock/internal/devstack/devtest"
)

func TestMain(m *testing.M) {
	code := devtest.Main(m)
	if folder := built.folder; folder != "" {
		_ = os.RemoveAll(folder)
	}
	os.Exit(code)
}

// built is the binary under test, built when a test first asks for it.
var built struct {
	sync.Once
	folder, path string
	err          error
}

// binary returns the path of the penstock binary. Under `go test -race` it has
// the race detector too.
func binary(t testing.TB) string {
	t.Helper()
	built.Do(func() {
		if built.folder, built.err = os.MkdirTemp("", "penstock-e2e-"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.folder, "penstock")
		args := []string{"build", "-o", built.path}
		if raceDetector {
			args = append(args, "-race")
		}
		cmd := exec.Command("go", append(args, "github.com/penstock/penstock/cmd/penstock")...)
		if output, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("building the binary: %w: %s", err, strings.TrimSpace(string(output)))
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}
