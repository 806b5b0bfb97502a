package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// Store keeps the state of one pipe. A Store that is an io.Closer is closed by
// the Pipe.
type Store interface {
	// Load returns what was saved last, nil where nothing was.
	Load(ctx context.Context) ([]byte, error)
	// Save replaces it, entirely or not at all, and returns when it is durable.
	Save(ctx context.Context, state []byte) error
}

// FileStore keeps the state in a file of its own below dir, which is made where
// it is missing. The file is replaced atomically: written beside, synced,
// renamed, and the directory synced.
//
// A lock beside the file makes sure that one process has it: a second one gets
// an error that says so. The lock goes away with the process, however it ends.
func FileStore(dir, name string) (Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making state_dir: %w", err)
	}
	path := filepath.Join(dir, fileName(name)+".state")
	lock, err := lockFile(path + ".lock")
	if err != nil {
		if errors.Is(err, errLocked) {
			return nil, fmt.Errorf("state_dir: %s is in use by another process or by another pipe of the same name", path)
		}
		return nil, fmt.Errorf("locking the state of pipe %q: %w", name, err)
	}
	return &fileStore{dir: dir, path: path, lock: lock}, nil
}

type fileStore struct {
	dir, path string
	lock      io.Closer
}

var _ io.Closer = (*fileStore)(nil)

func (f *fileStore) Load(context.Context) ([]byte, error) {
	state, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the state: %w", err)
	}
	if state == nil {
		state = []byte{} // an empty file is not "none": it is torn
	}
	return state, nil
}

func (f *fileStore) Save(_ context.Context, state []byte) error {
	// The lock is ours, so a file left behind by a crash may be overwritten.
	next := f.path + ".new"
	if err := writeSynced(next, state); err != nil {
		return fmt.Errorf("saving the state: %w", err)
	}
	if err := os.Rename(next, f.path); err != nil {
		return fmt.Errorf("saving the state: %w", err)
	}
	if err := syncDir(f.dir); err != nil {
		return fmt.Errorf("saving the state: syncing its directory: %w", err)
	}
	return nil
}

func writeSynced(path string, b []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Close gives the lock back.
func (f *fileStore) Close() error { return f.lock.Close() }

// fileName returns a file name for any pipe name: letters, digits, '_', '-' and
// inner dots stay, every other byte becomes %XX. A long one is cut and told
// apart by its checksum.
func fileName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	const longest = 200 // 255 is the limit of most file systems; suffixes follow
	if b.Len() <= longest {
		return b.String()
	}
	return fmt.Sprintf("%s~%08x", b.String()[:longest-9], crc32.ChecksumIEEE([]byte(name)))
}

// CacheStore keeps the state in a Benthos cache resource. It is as durable as
// that cache, and not locked: of two processes only one can have the slot.
func CacheStore(mgr *service.Resources, label, key string) Store {
	return &cacheStore{mgr: mgr, label: label, key: key}
}

type cacheStore struct {
	mgr        *service.Resources
	label, key string
}

func (c *cacheStore) Load(ctx context.Context) ([]byte, error) {
	var state []byte
	var failed error
	err := c.mgr.AccessCache(ctx, c.label, func(cache service.Cache) {
		state, failed = cache.Get(ctx, c.key)
		if failed == nil && state == nil {
			state = []byte{}
		}
	})
	if err = errors.Join(err, failed); errors.Is(err, service.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the state from checkpoint_cache %q: %w", c.label, err)
	}
	return state, nil
}

func (c *cacheStore) Save(ctx context.Context, state []byte) error {
	var failed error
	err := c.mgr.AccessCache(ctx, c.label, func(cache service.Cache) {
		failed = cache.Set(ctx, c.key, state, nil)
	})
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("saving the state to checkpoint_cache %q: %w", c.label, err)
	}
	return nil
}
