package devstack

import (
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// chdbhostSource is embedded so that the host can be built wherever the go tool is, also by a penstock binary that runs
// away from its source tree.
//
//go:embed chdbhost/*.go
var chdbhostSource embed.FS

// chdbhostModule is the module that the host is built as: the source tree's version of purego, and nothing else of it.
const (
	chdbhostModule = `module chdbhost

go 1.26

require github.com/ebitengine/purego v0.11.3
`
	chdbhostSum = `github.com/ebitengine/purego v0.11.3 h1:OB+JLpdm7ioymhyA+6s5kbb/uOuYycAgL8NNTFc5MLg=
github.com/ebitengine/purego v0.11.3/go.mod h1:DCHPP08djqhNSoTfImcnHYQRZmd0qhakvrozqaEYhGQ=
`
)

// clickhouseProgram is a ClickHouse to start: an installed binary, or the library of a package with the host that runs it.
type clickhouseProgram struct {
	binary        string
	host, library string
}

// findClickHouse prefers what the machine has to a download.
func findClickHouse(ctx context.Context, log io.Writer) (*clickhouseProgram, error) {
	if binary, err := exec.LookPath("clickhouse"); err == nil {
		return &clickhouseProgram{binary: binary}, nil
	}
	pkg, err := installPackage(ctx, "clickhouse", "ClickHouse 26.7", "CLICKHOUSE_DSN", log)
	if err != nil {
		return nil, err
	}
	host, err := buildHost(ctx, log)
	if err != nil {
		return nil, err
	}
	return &clickhouseProgram{host: host, library: filepath.Join(pkg, "libchdb.so")}, nil
}

// command returns how the server is started in a run folder.
func (p *clickhouseProgram) command(run *runFolder, nativePort, httpPort int) command {
	settings := []string{
		"--config-file=" + filepath.Join(run.dir, "config.xml"),
		"--listen_host=127.0.0.1",
		"--tcp_port=" + strconv.Itoa(nativePort),
		"--http_port=" + strconv.Itoa(httpPort),
	}
	if p.binary == "" {
		return command{args: append([]string{p.host, p.library, run.data()}, settings...)}
	}
	args := append([]string{p.binary, "server", settings[0], "--", "--path=" + run.data()}, settings[1:]...)
	return watch("KILL", run.data(), args...)
}

// hostModule returns the files of the module that the host is built as, by name.
func hostModule() (map[string][]byte, error) {
	files := map[string][]byte{"go.mod": []byte(chdbhostModule), "go.sum": []byte(chdbhostSum)}
	sources, err := fs.Glob(chdbhostSource, "chdbhost/*.go")
	if err != nil {
		return nil, fmt.Errorf("reading the source of the program that runs ClickHouse: %w", err)
	}
	for _, source := range sources {
		if files[path.Base(source)], err = chdbhostSource.ReadFile(source); err != nil {
			return nil, fmt.Errorf("reading the source of the program that runs ClickHouse: %w", err)
		}
	}
	return files, nil
}

// buildHost returns the program chdbhost, built into the cache and named by what it is built of.
func buildHost(ctx context.Context, log io.Writer) (string, error) {
	files, err := hostModule()
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version())
	for _, file := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintln(hash, file, len(files[file]), string(files[file]))
	}
	name := filepath.Join("chdbhost", fmt.Sprintf("%x", hash.Sum(nil)[:6]))
	dir, err := ensureFolder(ctx, name, func(dir string) error {
		goTool, err := exec.LookPath("go")
		if err != nil {
			return fmt.Errorf("building the program that runs ClickHouse: Go is not installed: install it, or set CLICKHOUSE_DSN to a running server")
		}
		progress(log, "building the program that runs ClickHouse…")
		for file, content := range files {
			if err := os.WriteFile(filepath.Join(dir, file), content, 0o644); err != nil {
				return fmt.Errorf("writing %s: %w", file, err)
			}
		}
		cmd := exec.CommandContext(ctx, goTool, "build", "-o", "chdbhost", ".")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off", "GOOS=", "GOARCH=")
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building the program that runs ClickHouse: %w: %s", err, strings.TrimSpace(string(output)))
		}
		return nil
	})
	return filepath.Join(dir, "chdbhost"), err
}
