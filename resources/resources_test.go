package resources_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/lifecycle"
)

// metrics returns the labels of each metric that a pipe has, by name.
func metrics(t *testing.T) map[string][]string {
	t.Helper()
	descriptions := make(chan *prometheus.Desc, 1000)
	lifecycle.NewHost().Gatherer().(prometheus.Collector).Describe(descriptions)
	close(descriptions)
	pattern := regexp.MustCompile(`fqName: "(penstock_[^"]+)".*variableLabels: \{([^}]*)\}`)
	known := map[string][]string{}
	for d := range descriptions {
		if m := pattern.FindStringSubmatch(d.String()); m != nil {
			known[m[1]] = strings.Split(m[2], ",")
		}
	}
	if len(known) < 15 {
		t.Fatalf("only %d metrics were found: %v", len(known), known)
	}
	return known
}

// expression is a PromQL expression and where it stands.
type expression struct{ at, text string }

// dashboard is what the tests ask of Grafana's JSON.
type dashboard struct {
	Templating struct {
		List []struct {
			Name, Type string
			Query      any
		}
	}
	Panels []struct {
		ID          int
		Type, Title string
		Description string
		GridPos     struct{ X, Y, W, H int }
		Datasource  struct{ UID string }
		Targets     []struct {
			RefID, Expr string
			Datasource  struct{ UID string }
		}
	}
}

func readDashboard(t *testing.T) *dashboard {
	t.Helper()
	d := &dashboard{}
	if err := json.Unmarshal(read(t, "grafana/penstock.json"), d); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *dashboard) expressions() (list []expression) {
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			list = append(list, expression{"panel " + p.Title, target.Expr})
		}
	}
	for _, v := range d.Templating.List {
		if query, ok := v.Query.(map[string]any); ok {
			list = append(list, expression{"variable " + v.Name, query["query"].(string)})
		}
	}
	return list
}

// rule is an alert.
type rule struct{ alert, expr, duration, severity, summary, description string }

func readRules(t *testing.T) (rules []rule) {
	t.Helper()
	text := func(v map[string]any, name string) string {
		s, _ := v[name].(string)
		return s
	}
	object := func(v map[string]any, name string) map[string]any {
		o, _ := v[name].(map[string]any)
		return o
	}
	for _, group := range readYAML(t, "prometheus/penstock.rules.yaml", "groups")["groups"].([]any) {
		for _, r := range group.(map[string]any)["rules"].([]any) {
			r := r.(map[string]any)
			rules = append(rules, rule{
				text(r, "alert"), text(r, "expr"), text(r, "for"), text(object(r, "labels"), "severity"),
				text(object(r, "annotations"), "summary"), text(object(r, "annotations"), "description"),
			})
		}
	}
	return rules
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// readYAML returns the named top-level fields of a YAML file, all of which must
// be there.
func readYAML(t *testing.T, path string, fields ...string) map[string]any {
	t.Helper()
	spec := service.NewConfigSpec()
	for _, name := range fields {
		spec = spec.Field(service.NewAnyField(name))
	}
	parsed, err := spec.ParseYAML(string(read(t, path)), nil)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	values := map[string]any{}
	for _, name := range fields {
		if values[name], err = parsed.FieldAny(name); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	return values
}

// TestExpressionsNameMetricsThatExist, with labels that they have.
func TestExpressionsNameMetricsThatExist(t *testing.T) {
	known := metrics(t)
	list := readDashboard(t).expressions()
	for _, r := range readRules(t) {
		list = append(list, expression{"alert " + r.alert, r.expr})
	}
	if len(list) < 30 {
		t.Fatalf("only %d expressions were found", len(list))
	}
	for _, e := range list {
		if err := check(e.text, known); err != nil {
			t.Errorf("%s: %v in %s", e.at, err, e.text)
		}
	}
}

// TestCheck, without which the test above could not fail.
func TestCheck(t *testing.T) {
	known := map[string][]string{"penstock_a": {"pipe", "table"}, "penstock_h": {"pipe"}}
	for text, sound := range map[string]bool{
		`sum by (pipe) (rate(penstock_a{pipe=~"$pipe", table="a)b"}[5m])) > 0`: true,
		`histogram_quantile(0.5, sum by (pipe, le) (penstock_h_bucket))`:       true,
		`penstock_b`:                       false, // no such metric
		`penstock_a{phase="x"}`:            false, // no such label
		`sum by (phase) (penstock_a)`:      false,
		`sum(rate(penstock_a[5m])`:         false, // brackets
		`rate(penstock_a[5m)])`:            false,
		`penstock_a{pipe="x}`:              false, // quotes
		`penstock_a{pipe="x"} == and true`: true,  // more than this is Prometheus's business
		`up == 0`:                          false, // not about Penstock
	} {
		if err := check(text, known); (err == nil) != sound {
			t.Errorf("check(%s) = %v", text, err)
		}
	}
}

var (
	selector = regexp.MustCompile(`(penstock_[a-z_]+)(\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)`)
	grouping = regexp.MustCompile(`\b(by|on)\s*\(([^)]*)\)`)
	literals = regexp.MustCompile(`"[^"]*"`)
)

// check looks at what a typing error spoils: names, labels, brackets, quotes.
func check(text string, known map[string][]string) error {
	if err := balanced(text); err != nil {
		return err
	}
	bare := literals.ReplaceAllString(text, `""`)
	var labels []string // of all metrics of the expression
	for _, m := range selector.FindAllStringSubmatch(bare, -1) {
		has, found := known[m[1]]
		if !found {
			base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(m[1], "")
			if has, found = known[base]; !found {
				return fmt.Errorf("there is no metric %s", m[1])
			}
			has = append(slices.Clone(has), "le")
		}
		for _, l := range matcher.FindAllStringSubmatch(m[3], -1) {
			if !slices.Contains(has, l[1]) {
				return fmt.Errorf("%s has no label %s", m[1], l[1])
			}
		}
		labels = append(labels, has...)
	}
	if labels == nil {
		return fmt.Errorf("it names no metric of Penstock")
	}
	for _, g := range grouping.FindAllStringSubmatch(bare, -1) {
		for label := range strings.SplitSeq(g[2], ",") {
			if label = strings.TrimSpace(label); !slices.Contains(labels, label) {
				return fmt.Errorf("no metric has the label %s", label)
			}
		}
	}
	return nil
}

func balanced(text string) error {
	if strings.Count(text, `"`)%2 != 0 {
		return fmt.Errorf("a quote is not closed")
	}
	var open []rune
	for _, c := range literals.ReplaceAllString(text, "") {
		switch c {
		case '(', '[', '{':
			open = append(open, c)
		case ')', ']', '}':
			want := map[rune]rune{')': '(', ']': '[', '}': '{'}[c]
			if len(open) == 0 || open[len(open)-1] != want {
				return fmt.Errorf("%q closes nothing", c)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("%q is not closed", open[len(open)-1])
	}
	return nil
}

// TestEveryMetricIsOnTheDashboard.
func TestEveryMetricIsOnTheDashboard(t *testing.T) {
	var all strings.Builder
	for _, e := range readDashboard(t).expressions() {
		all.WriteString(e.text + "\n")
	}
	for name := range metrics(t) {
		if !regexp.MustCompile(`\b` + name + `(_bucket)?\b`).MatchString(all.String()) {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// TestDashboardIsSound: no panel lies on another, each says what it shows and
// asks the data source that was chosen.
func TestDashboardIsSound(t *testing.T) {
	d := readDashboard(t)
	variables := map[string]bool{}
	for _, v := range d.Templating.List {
		variables[v.Name] = true
	}
	if !variables["datasource"] || !variables["pipe"] {
		t.Errorf("variables are %v, want datasource and pipe among them", variables)
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("panel %q has the id of another", p.Title)
		}
		ids[p.ID] = true
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %q is wider than the page", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, is := taken[[2]int{x, y}]; is {
					t.Fatalf("panel %q lies on %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("panel %q has no description, no query or a data source of its own", p.Title)
		}
		for _, target := range p.Targets {
			for _, name := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				if !variables[name[1]] && !strings.HasPrefix(name[1], "__") {
					t.Errorf("panel %q asks for $%s, which is no variable", p.Title, name[1])
				}
			}
			if target.Datasource.UID != "${datasource}" || !strings.Contains(target.Expr, "$pipe") {
				t.Errorf("panel %q does not follow the variables: %s", p.Title, target.Expr)
			}
		}
	}
}

// TestAlertsSayWhatToDo, how urgent it is, and are those of docs/metrics.md.
func TestAlertsSayWhatToDo(t *testing.T) {
	doc := string(read(t, filepath.Join("..", "docs", "metrics.md")))
	documented := map[string]string{}
	pattern := regexp.MustCompile(`- alert: (\w+)[^\n]*\n\s+expr: ([^\n]+)(?:\n\s+for: (\w+))?`)
	for _, m := range pattern.FindAllStringSubmatch(doc, -1) {
		documented[m[1]] = m[2]
	}
	for _, r := range readRules(t) {
		if want, is := documented[r.alert]; !is {
			t.Errorf("docs/metrics.md does not tell of alert %s", r.alert)
		} else if r.expr != want {
			t.Errorf("alert %s: the expression is not that of docs/metrics.md:\n%s\n%s", r.alert, r.expr, want)
		}
		delete(documented, r.alert)
		if r.severity != "critical" && r.severity != "warning" {
			t.Errorf("alert %s has severity %q", r.alert, r.severity)
		}
		if r.duration == "" && r.alert != "PenstockSlotUnreserved" && r.alert != "PenstockLossy" {
			t.Errorf("alert %s has no `for`", r.alert)
		}
		if len(r.description) < 80 || strings.Count(r.summary, "{{")+strings.Count(r.description, "{{") == 0 {
			t.Errorf("alert %s does not say what happened to what, and what to do: %q %q", r.alert, r.summary, r.description)
		}
	}
	for name := range documented {
		t.Errorf("alert %s of docs/metrics.md is not in the rules", name)
	}
}

// TestComposeFitsTogether: files that are mounted exist, and what one service
// calls another is its name.
func TestComposeFitsTogether(t *testing.T) {
	compose := readYAML(t, "compose.yaml", "services", "volumes", "configs")
	services := compose["services"].(map[string]any)
	for name, service := range services {
		mounts, _ := service.(map[string]any)["volumes"].([]any)
		for _, mount := range mounts {
			source, _, _ := strings.Cut(mount.(string), ":")
			if strings.HasPrefix(source, ".") {
				if _, err := os.Stat(source); err != nil {
					t.Errorf("service %s: %v", name, err)
				}
			} else if _, is := compose["volumes"].(map[string]any)[source]; !is {
				t.Errorf("service %s: there is no volume %s", name, source)
			}
		}
	}
	prometheus := readYAML(t, "prometheus/prometheus.yaml", "global", "rule_files", "scrape_configs")
	text := string(read(t, "compose.yaml")) + fmt.Sprint(prometheus) + string(read(t, "grafana/provisioning/datasource.yaml"))
	hosts := regexp.MustCompile(`(?:@|//|\[)([a-z]+):(\d{4,5})`).FindAllStringSubmatch(text, -1)
	if len(hosts) < 5 {
		t.Errorf("only %v are called", hosts)
	}
	for _, host := range hosts {
		if services[host[1]] == nil {
			t.Errorf("%s is called, which is no service", host[0])
		}
	}
	readYAML(t, "grafana/provisioning/datasource.yaml", "apiVersion", "datasources")
	readYAML(t, "grafana/provisioning/dashboard.yaml", "apiVersion", "providers")
}

// TestComposePipelineCanBeReached: within compose other containers ask for
// metrics, with the token.
func TestComposePipelineCanBeReached(t *testing.T) {
	compose := readYAML(t, "compose.yaml", "services")["services"].(map[string]any)
	environment := compose["penstock"].(map[string]any)["environment"].(map[string]any)
	pipeline := string(read(t, "../config/postgres_to_clickhouse.yaml"))
	for name := range environment {
		if !strings.Contains(pipeline, "${"+name) {
			t.Errorf("the pipeline does not ask for %s", name)
		}
	}
	if environment["PENSTOCK_ADDRESS"] != "0.0.0.0:4196" || environment["PENSTOCK_API_TOKEN"] == nil {
		t.Errorf("the API is not served to other containers with a token: %v", environment)
	}
}

// TestCacheIsClean: the file can be given to `run` with -r.
func TestCacheIsClean(t *testing.T) {
	builder := service.NewStreamBuilder()
	if err := builder.SetYAML("input: {stdin: {}}\noutput: {drop: {}}\n" + string(read(t, "cache/checkpoint_cache.yaml"))); err != nil {
		t.Error(err)
	}
}
