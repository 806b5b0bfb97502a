package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// Peek returns the durable state of a pipe that is not open, nil where there is
// none. A state that cannot be trusted is a [CorruptError].
func Peek(ctx context.Context, store Store, pipe string) (*State, error) {
	stored, err := store.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the state of pipe %q: %w", pipe, err)
	}
	if stored == nil {
		return nil, nil
	}
	return decode(pipe, stored)
}

// Remover is a Store that can give up what it keeps, for good.
type Remover interface {
	// Remove removes the state; one that is not there is no error.
	Remove(ctx context.Context) error
}

var (
	_ Remover = (*fileStore)(nil)
	_ Remover = (*cacheStore)(nil)
)

// Remove leaves the lock file: without it two processes could lock two files of
// one name.
func (f *fileStore) Remove(context.Context) error {
	for _, path := range []string{f.path, f.path + ".new"} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing the state: %w", err)
		}
	}
	if err := syncDir(f.dir); err != nil {
		return fmt.Errorf("removing the state: syncing its directory: %w", err)
	}
	return nil
}

func (c *cacheStore) Remove(ctx context.Context) error {
	var failed error
	err := c.mgr.AccessCache(ctx, c.label, func(cache service.Cache) {
		failed = cache.Delete(ctx, c.key)
	})
	if err = errors.Join(err, failed); err != nil && !errors.Is(err, service.ErrKeyNotFound) {
		return fmt.Errorf("removing the state from checkpoint_cache %q: %w", c.label, err)
	}
	return nil
}
