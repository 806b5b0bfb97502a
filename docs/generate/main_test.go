package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReferenceIsUpToDate, so that a field cannot be changed without its page.
func TestReferenceIsUpToDate(t *testing.T) {
	pages, err := pages()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postgres_cdc.md", "clickhouse.md"} {
		if pages[name] == nil {
			t.Errorf("there is no page %s", name)
		}
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil || string(got) != string(want) {
			t.Errorf("docs/%s is not what would be generated (%v): run go generate ./docs", name, err)
		}
		for _, bad := range []string{"SCRUBBED", "missing documentation", "<no value>"} {
			if strings.Contains(string(want), bad) {
				t.Errorf("docs/%s holds %q", name, bad)
			}
		}
	}
}

// TestEveryFieldIsDescribed, also those within others.
func TestEveryFieldIsDescribed(t *testing.T) {
	pages, err := pages()
	if err != nil {
		t.Fatal(err)
	}
	for name, headings := range map[string][]string{
		"postgres_cdc.md": {"`dsn`", "`snapshot.chunk_rows`", "`tls.client_certs[].key_file`", "`lifecycle.api_token`"},
		"clickhouse.md":   {"`dsn`", "`tables.<name>.order_by`", "`metadata_columns.version`"},
	} {
		for _, heading := range headings {
			_, section, found := strings.Cut(string(pages[name]), "### "+heading+"\n\n")
			if !found || strings.HasPrefix(section, "\n") || strings.HasPrefix(section, "Type: ") {
				t.Errorf("docs/%s does not describe %s", name, heading)
			}
		}
	}
}
