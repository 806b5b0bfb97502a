package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/penstock/penstock/internal/devstack"
)

// chromium returns a browser. Where there is none, root on Debian and its kin,
// which is what a bare CI machine is, gets one; there a skipped test would go
// unnoticed. Everybody else is told what to install.
func chromium(t *testing.T) string {
	t.Helper()
	if path := installed(); path != "" {
		return path
	}
	aptGet, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		t.Skip("the page was not checked: install Chromium (on Debian: apt-get install chromium), which is looked for on PATH")
	}
	if err := install(t.Context(), aptGet); err != nil {
		t.Fatal(err)
	}
	path := installed()
	if path == "" {
		t.Fatal("installing Chromium: the package was installed, but brought no browser; install one by hand")
	}
	return path
}

func installed() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// install has one process at a time install Chromium; others find it done.
func install(ctx context.Context, aptGet string) (err error) {
	lock, err := devstack.Lock(ctx, "apt-get")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if installed() != "" {
		return nil
	}
	fmt.Fprintln(os.Stderr, "installing Chromium, once, to check the page with…")
	for _, args := range [][]string{
		{"update"},
		// Whoever else installs packages now holds dpkg's lock.
		{"-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends", "chromium"},
	} {
		cmd := exec.CommandContext(ctx, aptGet, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("installing Chromium to check the page with: apt-get %s: %w: %s", strings.Join(args, " "), err, lastLines(output))
		}
	}
	return nil
}

// lastLines are those in which apt-get says what went wrong.
func lastLines(output []byte) string {
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], "; ")
}
