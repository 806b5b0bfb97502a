package browser

import (
	"bufio"
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/penstock/penstock/internal/devstack"
	"github.com/penstock/penstock/lifecycle/internal/scene"
)

//go:embed checks
var checks embed.FS

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// config tells checks/run.mjs what there is. It reads it from its standard input.
type config struct {
	Playwright  string            `json:"playwright"`  // folder of the package
	Chromium    string            `json:"chromium"`    // path of the binary
	Screenshots string            `json:"screenshots"` // folder, "" for none
	Scenes      map[string]string `json:"scenes"`      // their addresses
	Token       string            `json:"token"`       // of the scene "locked"
}

// outcome is a line that checks/run.mjs writes: one check, and what was wrong.
type outcome struct {
	Check string `json:"check"`
	Error string `json:"error"`
}

// TestPage shows the page of every scene to a browser. PENSTOCK_SCREENSHOTS
// names a folder that keeps what it looked like; without it no time is spent on
// pictures.
func TestPage(t *testing.T) {
	c := config{Chromium: chromium(t), Scenes: map[string]string{}, Token: "a token of the test"}
	var err error
	if c.Playwright, err = devstack.InstallTool(t.Context(), "playwright-core", "Playwright", os.Stderr); err != nil {
		t.Fatal(err)
	}
	if c.Screenshots, err = screenshots(); err != nil {
		t.Fatal(err)
	}
	for _, name := range scene.Names() {
		c.Scenes[name] = open(t, name, "")
	}
	// Scenes of their own for the checks that command pipes.
	c.Scenes["clicked"] = open(t, "running", "")
	c.Scenes["asked"] = open(t, "running", "")
	c.Scenes["locked"] = open(t, "running", c.Token)

	ran := 0
	for o := range run(t, c) {
		ran++
		t.Run(o.Check, func(t *testing.T) {
			if o.Error != "" {
				t.Error(o.Error)
			}
		})
	}
	if ran < len(scene.Names()) {
		t.Errorf("%d checks ran, which are fewer than there are scenes", ran)
	}
	if t.Failed() && c.Screenshots == "" {
		t.Log("to see the page as it was, set PENSTOCK_SCREENSHOTS to a folder and run this again")
	}
}

func open(t *testing.T, name, token string) (url string) {
	t.Helper()
	stage, err := scene.Open(t.Context(), name, "127.0.0.1:0", token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stage.Close(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + stage.Addr().String()
}

func screenshots() (string, error) {
	dir := os.Getenv("PENSTOCK_SCREENSHOTS")
	if dir == "" {
		return "", nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// run has Node run the checks, and yields what comes of each as it is known.
func run(t *testing.T, c config) func(yield func(outcome) bool) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("checking the page: install Node.js with npm")
	}
	// Browser profiles go there too, and are gone with it.
	dir := t.TempDir()
	if err := os.CopyFS(dir, checks); err != nil {
		t.Fatal(err)
	}
	given, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, filepath.Join(dir, "checks", "run.mjs"))
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	cmd.WaitDelay = 10 * time.Second // a browser that outlives Node holds our end of the pipe
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe() // left open: Node ends when we do
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdin.Write(append(given, '\n')); err != nil {
		t.Error(err)
	}
	return func(yield func(outcome) bool) {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			o, err := parse(lines.Bytes())
			if err != nil {
				t.Error(err)
				continue
			}
			if !yield(o) {
				break
			}
		}
		_, _ = io.Copy(io.Discard, stdout)
		if err := cmd.Wait(); err != nil {
			t.Errorf("running the checks: %v: %s", err, strings.TrimSpace(stderr.String()))
		}
	}
}

func parse(line []byte) (outcome, error) {
	var o outcome
	if err := json.Unmarshal(line, &o); err != nil || o.Check == "" {
		return o, fmt.Errorf("run.mjs wrote %q, which is no outcome", line)
	}
	return o, nil
}
