//go:build !unix

package lifecycle

import (
	"errors"
	"io"
	"os"
)

var errLocked = errors.New("locked")

// lockFile only opens the file: where there is no flock(2), the replication
// slot, which has one reader, is what keeps two processes apart.
func lockFile(path string) (io.Closer, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}
