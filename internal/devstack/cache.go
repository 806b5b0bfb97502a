package devstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// cacheFolder returns the folder that outlives runs: packages, the ClickHouse host, prepared data folders, and below
// run/ the data of the servers now running. Root's is outside its home, which the servers' unprivileged user cannot enter.
func cacheFolder() (string, error) {
	dir := os.Getenv("PENSTOCK_CACHE")
	switch {
	case dir != "":
	case os.Geteuid() == 0:
		dir = "/var/cache/penstock"
	default:
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("finding a folder for the cache (set PENSTOCK_CACHE): %w", err)
		}
		dir = filepath.Join(user, "penstock")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("finding the cache folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the cache folder (set PENSTOCK_CACHE to another): %w", err)
	}
	return dir, nil
}

// ensureFolder returns the folder name below the cache, filled by fill where it does not exist yet. Processes that ask
// for it at the same time wait for one of them, and a folder half filled is never seen: it gets its name when finished.
func ensureFolder(ctx context.Context, name string, fill func(dir string) error) (string, error) {
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, name)
	if exists(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("making the folder for %s: %w", name, err)
	}
	lock, err := waitForLock(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if exists(dir) {
		return dir, nil
	}
	left, _ := filepath.Glob(dir + ".unfinished-*") // by processes that were killed
	for _, path := range left {
		_ = os.RemoveAll(path)
	}
	unfinished := dir + ".unfinished-" + randomHex(4)
	if err := os.Mkdir(unfinished, 0o755); err != nil {
		return "", fmt.Errorf("making the folder for %s: %w", name, err)
	}
	if err := fill(unfinished); err != nil {
		_ = os.RemoveAll(unfinished)
		return "", err
	}
	if err := os.Rename(unfinished, dir); err != nil {
		return "", fmt.Errorf("putting %s in place: %w", name, err)
	}
	return dir, nil
}

// waitForLock takes the lock file at path, waiting for other holders. Closing the file, or dying, gives it back.
func waitForLock(ctx context.Context, path string) (*os.File, error) {
	for {
		lock, err := tryLock(path)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for another process to finish with %s: %w", path, ctx.Err())
		case <-time.After(5 * pollInterval):
		}
	}
}

// tryLock takes the lock file at path, or returns syscall.EWOULDBLOCK while someone else, in this process or another, has it.
func tryLock(path string) (*os.File, error) {
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the lock file %s: %w", path, err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return lock, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
