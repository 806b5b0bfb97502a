package output

import (
	"slices"
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/output/ddl"
	"github.com/penstock/penstock/output/encode"
)

func TestDefaults(t *testing.T) {
	c, err := parse(t, "dsn: clickhouse://h/d")
	if err != nil {
		t.Fatal(err)
	}
	want := ddl.Metadata{Version: "_version", IsDeleted: "_is_deleted", SyncedAt: "_synced_at", Operation: "_operation"}
	if c.engine != ddl.ReplacingMergeTree || c.metadata != want || !c.nullable || !c.createTables ||
		c.unrepresentable != encode.Fail || c.maxInFlight != 4 || c.tableText != defaultTable || c.cluster != "" {
		t.Errorf("got %+v", c)
	}
}

func TestConfig(t *testing.T) {
	c, err := parse(t, `
dsn: clickhouse://u:p@h/d
table: ${! @table }
engine: ReplicatedReplacingMergeTree
cluster: blue
unrepresentable: clamp
insert_settings: {insert_quorum: 2, log_comment: x, insert_deduplicate: false}
tables:
  public.orders:
    engine: MergeTree
    order_by: [tenant, id]
    partition_by: tenant % 10
    nullable: false
    types: {total: "Decimal(38, 9)"}
    settings: {index_granularity: 1024, min_bytes_for_wide_part: "0", ttl_only_drop_parts: true}
`)
	if err != nil {
		t.Fatal(err)
	}
	other := c.target("orders", users(), true)
	if other.Engine != ddl.ReplicatedReplacingMergeTree || other.Cluster != "blue" || !other.Nullable || other.OrderBy != nil || other.Database != "d" {
		t.Errorf("the target of another table is %+v", other)
	}
	orders := users()
	orders.Name = "orders"
	own := c.target("orders", orders, true)
	if own.Engine != ddl.MergeTree || own.Nullable || !slices.Equal(own.OrderBy, []string{"tenant", "id"}) ||
		own.PartitionBy != "tenant % 10" || own.Types["total"] != "Decimal(38, 9)" {
		t.Errorf("the target of public.orders is %+v", own)
	}
	for name, want := range map[string]string{"index_granularity": "1024", "min_bytes_for_wide_part": "0", "ttl_only_drop_parts": "1"} {
		if own.Settings[name] != want {
			t.Errorf("setting %s is %q, want %q", name, own.Settings[name], want)
		}
	}
	for name, want := range map[string]string{"insert_quorum": "2", "log_comment": "x", "insert_deduplicate": "0"} {
		if c.insertSettings[name] != want {
			t.Errorf("insert setting %s is %q, want %q", name, c.insertSettings[name], want)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	for _, test := range []struct{ name, yaml, errContains string }{
		{"no dsn", "engine: Null", "dsn"},
		{"bad dsn", "dsn: mysql://u:hunter2@h", "field dsn: it must begin with clickhouse://"},
		{"unknown parameter", "dsn: clickhouse://u:hunter2@h?nope=1", `field dsn: unknown parameter "nope"`},
		{"table", "dsn: clickhouse://h\ntable: ${! nope( }", "table"},
		{"engine", "dsn: clickhouse://h\nengine: TinyLog", "engine"},
		{"policy", "dsn: clickhouse://h\nunrepresentable: ignore", "unrepresentable"},
		{"in flight", "dsn: clickhouse://h\nmax_in_flight: 0", "field max_in_flight"},
		{"timeout", "dsn: clickhouse://h\ninsert_timeout: 0s", "field insert_timeout"},
		{"timeout text", "dsn: clickhouse://h\ninsert_timeout: soon", "field insert_timeout"},
		{"no version", "dsn: clickhouse://h\nmetadata_columns: {version: ''}", "field metadata_columns: version must not be empty"},
		{"same names", "dsn: clickhouse://h\nmetadata_columns: {version: a, synced_at: a}", "version and synced_at have the same name"},
		{"table engine", "dsn: clickhouse://h\ntables: {a.b: {engine: Log}}", "field tables: a.b: engine"},
		{"table setting", "dsn: clickhouse://h\ntables: {a.b: {settings: {x: [1]}}}", "field tables: a.b: settings: x must be"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse(t, test.yaml)
			if err == nil || !strings.Contains(err.Error(), test.errContains) {
				t.Fatalf("got %v, want an error that contains %q", err, test.errContains)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

func TestLint(t *testing.T) {
	t.Setenv("CLICKHOUSE_DSN", "clickhouse://u:p@h/d")
	for _, test := range []struct{ name, yaml, lintContains string }{
		{"all is well", "dsn: clickhouse://u:p@h:9000,i:9000/d?secure=true", ""},
		{"variable", "dsn: ${CLICKHOUSE_DSN}", ""},
		{"everything", "dsn: clickhouse://h\ntables: {a.b: {order_by: [x], settings: {index_granularity: 1}, types: {x: String}}}\ninsert_settings: {a: 1}\ntls: {enabled: true}", ""},
		{"dsn", "dsn: https://h:8443", "dsn must be of the form"},
		{"batching", "dsn: clickhouse://h\nbatching: {count: 10}", "batching"},
		{"engine", "dsn: clickhouse://h\nengine: TinyLog", "TinyLog"},
		{"policy", "dsn: clickhouse://h\nunrepresentable: ignore", "ignore"},
		{"in flight", "dsn: clickhouse://h\nmax_in_flight: 0", "max_in_flight"},
		{"source without schema", "dsn: clickhouse://h\ntables: {orders: {nullable: false}}", "public.orders"},
		{"two expressions", "dsn: clickhouse://h\ntables: {a.b: {partition_by: 'x; y'}}", "partition_by"},
		{"same names", "dsn: clickhouse://h\nmetadata_columns: {version: a, is_deleted: a}", "different names"},
		{"no version", "dsn: clickhouse://h\nmetadata_columns: {version: ''}", "must not be empty"},
		{"no table", "dsn: clickhouse://h\ntable: ''", "table must not be empty"},
	} {
		t.Run(test.name, func(t *testing.T) {
			yaml := "clickhouse:\n  " + strings.ReplaceAll(test.yaml, "\n", "\n  ")
			lints, err := service.GlobalEnvironment().NewComponentConfigLinter().LintOutputYAML([]byte(yaml))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range lints {
				got = append(got, l.Error())
			}
			all := strings.Join(got, "\n")
			if test.lintContains == "" && all != "" || !strings.Contains(all, test.lintContains) {
				t.Errorf("lints are %q, want %q", all, test.lintContains)
			}
		})
	}
}

func TestEveryFieldIsDescribed(t *testing.T) {
	var found bool
	service.GlobalEnvironment().WalkOutputs(func(name string, view *service.ConfigView) {
		if name != "clickhouse" {
			return
		}
		found = true
		data, err := view.TemplateData()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range data.Fields {
			if f.Description == "" && !strings.HasPrefix(f.FullName, "tls") {
				t.Errorf("field %s has no description", f.FullName)
			}
			if f.FullName == fieldDSN && !f.IsSecret {
				t.Error("field dsn is not marked secret")
			}
		}
	})
	if !found {
		t.Error("the output is not registered")
	}
}

func TestTableNames(t *testing.T) {
	for text, want := range map[string]bool{
		defaultTable:                        true,
		"fixed":                             true,
		"${!@table}":                        true,
		`${! metadata("table") }_x`:         true,
		"${! @table.uppercase() }":          false,
		"${! this.tenant }_${! @table }":    false,
		"${! @operation }":                  false,
		"${! @table":                        false,
		`${! meta("database_schema") }.raw`: true,
	} {
		if got := dependsOnTableOnly(text); got != want {
			t.Errorf("%s depends on the table only: %v", text, got)
		}
	}
	for text, want := range map[string]string{defaultTable: "public_users", "all": "all", "${! @table.uppercase() }": "USERS"} {
		expression, err := service.NewInterpolatedString(text)
		if err != nil {
			t.Fatal(err)
		}
		names := newTableNames(expression, text)
		for range 2 {
			if got, err := names.of(message(batch(users()))); got != want || err != nil {
				t.Errorf("%s is %q, %v; want %q", text, got, err, want)
			}
		}
	}
}
