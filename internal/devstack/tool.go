package devstack

import (
	"context"
	"io"
	"path/filepath"
)

// InstallTool returns the folder of a package that tests need beside the servers: an entry of
// resources/devstack/package.json, installed below the cache. title is for people; log may be nil.
func InstallTool(ctx context.Context, entry, title string, log io.Writer) (string, error) {
	return installPackage(ctx, entry, title, "", log)
}

// Lock waits until no other process holds the cache's lock of that name. Closing what is returned, or dying, gives it
// back.
func Lock(ctx context.Context, name string) (io.Closer, error) {
	cache, err := cacheFolder()
	if err != nil {
		return nil, err
	}
	return waitForLock(ctx, filepath.Join(cache, name+".lock"))
}
