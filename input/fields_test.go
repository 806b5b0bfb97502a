package input

import (
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
)

func TestConfig(t *testing.T) {
	tests := []struct {
		name, yaml, errContains string
		check                   func(*config) bool
	}{
		{name: "smallest", yaml: `{dsn: "postgres://u:p@h/db", tables: ["public.*"]}`, check: func(c *config) bool {
			return c.slot == "penstock_shop" && c.publication == "penstock_shop" && c.pipe == "shop" && !c.blocks && c.retryNacks
		}},
		{name: "names of its own", yaml: `{dsn: "host=h dbname=db", slot_name: mine, publication_name: Ours, format: blocks}`, check: func(c *config) bool {
			return c.slot == "mine" && c.publication == "Ours" && c.blocks && c.source.Database() == "db"
		}},
		{name: "no dsn", yaml: `{dsn: ""}`, errContains: "field `dsn` is empty"},
		{name: "dsn of nonsense", yaml: `{dsn: "postgres://u:hunter2@h:port/db"}`, errContains: "field `dsn`"},
		{name: "slot name", yaml: `{dsn: "host=h", slot_name: "My-Slot"}`, errContains: "field `slot_name`"},
		{name: "table without schema", yaml: `{dsn: "host=h", tables: [orders]}`, errContains: `"public.orders"`},
		{name: "glob", yaml: `{dsn: "host=h", tables: ["public.[a"]}`, errContains: "not a valid glob"},
		{name: "columns that are no list", yaml: `{dsn: "host=h", exclude_columns: {"public.t": ssn}}`, errContains: "must be a list"},
		{name: "column of a table without schema", yaml: `{dsn: "host=h", exclude_columns: {t: [ssn]}}`, errContains: "names no schema"},
		{name: "negative interval", yaml: `{dsn: "host=h", sync_interval: "-1s"}`, errContains: "must not be negative"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			parsed, err := spec().ParseYAML(test.yaml, nil)
			if err != nil {
				t.Fatal(err)
			}
			c, err := parseConfig(parsed, "shop")
			if test.errContains != "" {
				if err == nil || !strings.Contains(err.Error(), test.errContains) {
					t.Fatalf("got error %v, want one with %q", err, test.errContains)
				}
				if strings.Contains(err.Error(), "hunter2") {
					t.Errorf("the error tells the password: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !test.check(c) {
				t.Errorf("got %+v", c)
			}
		})
	}
}

func TestLint(t *testing.T) {
	linter := service.GlobalEnvironment().NewComponentConfigLinter()
	for yaml, want := range map[string]string{
		`postgres_cdc: {dsn: "host=h"}`:                                   "",
		`postgres_cdc: {dsn: "host=h", mode: cdc_only}`:                   "",
		`postgres_cdc: {dsn: "host=h", mode: everything}`:                 "everything",
		`postgres_cdc: {dsn: "host=h", sync_max_rows: 0}`:                 "1 or more",
		`postgres_cdc: {dsn: "host=h", snapshot: {parallelism: -1}}`:      "1 or more",
		`postgres_cdc: {dsn: "host=h", snapshots: {}}`:                    "snapshots",
		`postgres_cdc: {dsn: "host=h", lifecycle: {adress: "1.2.3.4:5"}}`: "adress",
	} {
		lints, err := linter.LintInputYAML([]byte(yaml))
		if err != nil {
			t.Fatalf("%s: %v", yaml, err)
		}
		var found strings.Builder
		for _, lint := range lints {
			found.WriteString(lint.Error())
		}
		if want == "" && len(lints) > 0 || !strings.Contains(found.String(), want) {
			t.Errorf("%s: got lints %q, want %q", yaml, found.String(), want)
		}
	}
}

func TestSlotNameForLabel(t *testing.T) {
	for label, want := range map[string]string{
		"":                      "penstock",
		"shop":                  "penstock_shop",
		"Shop-EU.1":             "penstock_shop_eu_1",
		strings.Repeat("a", 80): "penstock_" + strings.Repeat("a", 54),
	} {
		if got := slotNameFor(label); got != want {
			t.Errorf("%q: got %q, want %q", label, got, want)
		}
	}
}
