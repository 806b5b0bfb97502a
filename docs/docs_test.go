package docs_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/lifecycle"
	"github.com/penstock/penstock/output/insert"
)

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestEveryPhaseIsExplained, of pipes in a table and of their tables in a text.
func TestEveryPhaseIsExplained(t *testing.T) {
	page := read(t, "operations.md")
	for _, phase := range lifecycle.Phases() {
		if !strings.Contains(page, "\n| `"+string(phase)+"` |") {
			t.Errorf("operations.md has no row for phase %s", phase)
		}
	}
	_, tables, _ := strings.Cut(page, "Each table has a phase of its own:")
	tables, _, _ = strings.Cut(tables, "\n\n")
	for _, phase := range lifecycle.TablePhases() {
		if !strings.Contains(tables, "`"+string(phase)+"`") {
			t.Errorf("operations.md does not tell of tables in phase %s", phase)
		}
	}
}

// TestEveryClassHasARemedy.
func TestEveryClassHasARemedy(t *testing.T) {
	page := read(t, "operations.md")
	for _, class := range []string{
		catalog.ClassConfiguration, catalog.ClassAuthentication, catalog.ClassPrivilege, catalog.ClassServer,
		catalog.ClassIdentity, catalog.ClassPublication, catalog.ClassSlot,
		string(insert.ClassAuthentication), string(insert.ClassAccess), string(insert.ClassMissing), string(insert.ClassIncompatible),
		string(insert.ClassTLS), string(insert.ClassServer), string(insert.ClassClient),
		"value", "mapping", "unchanged_toast",
	} {
		if !strings.Contains(page, "\n| `"+class+"` |") {
			t.Errorf("operations.md does not say what to do about class %s", class)
		}
	}
	for _, class := range []insert.Class{insert.ClassNetwork, insert.ClassOverload, insert.ClassUnavailable} {
		if !strings.Contains(page, "`"+string(class)+"`") {
			t.Errorf("operations.md does not tell of class %s", class)
		}
	}
}

// TestEveryRouteIsListed.
func TestEveryRouteIsListed(t *testing.T) {
	var api struct {
		Paths map[string]map[string]any
	}
	if err := json.Unmarshal([]byte(read(t, "../lifecycle/api/openapi.json")), &api); err != nil {
		t.Fatal(err)
	}
	if len(api.Paths) < 10 {
		t.Fatalf("only %d paths were found", len(api.Paths))
	}
	page := read(t, "lifecycle-api.md")
	for path, methods := range api.Paths {
		for method := range methods {
			if route := "`" + strings.ToUpper(method) + " " + path + "`"; !strings.Contains(page, route) {
				t.Errorf("lifecycle-api.md does not list %s", route)
			}
		}
	}
}

// TestLinksLeadSomewhere: to a file that is there, and to a heading of it.
func TestLinksLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil || len(pages) < 5 {
		t.Fatalf("found %v: %v", pages, err)
	}
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, page := range append(pages, "../README.md") {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: the link %s leads nowhere: %v", page, m[1], err)
			} else if anchor != "" && !headings(read(t, target))[anchor] {
				t.Errorf("%s: %s has no heading #%s", page, target, anchor)
			}
		}
	}
}

// headings returns the anchors of a page, as GitHub makes them.
func headings(page string) map[string]bool {
	anchors := map[string]bool{}
	dropped := regexp.MustCompile(`[^a-z0-9 _-]`)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		anchors[strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return anchors
}
