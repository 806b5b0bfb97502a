package ddl

import (
	"strings"
	"testing"

	"github.com/penstock/penstock/internal/change"
)

func orders() *change.Table {
	return table(2,
		notNull("tenant", int4), notNull("id", int8),
		column("note", text), notNull("at", timestamptz), column("mood", enum), column("tags", arrayOf(text)))
}

func TestCreate(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Target)
		want   []string
		lacks  []string
	}{
		{
			name: "default",
			want: []string{
				"CREATE TABLE IF NOT EXISTS `db`.`t`\n",
				"    `tenant` Int32,\n    `id` Int64,\n    `note` Nullable(String),\n    `at` DateTime64(6, 'UTC'),\n",
				"    `mood` LowCardinality(Nullable(String)),\n    `tags` Array(Nullable(String)),\n",
				"    `_version` UInt64,\n    `_is_deleted` UInt8,\n    `_synced_at` DateTime64(6, 'UTC')\n",
				"ENGINE = ReplacingMergeTree(`_version`, `_is_deleted`)\nORDER BY (`tenant`, `id`)\n",
				"COMMENT 'Replicated by Penstock from public.orders'",
			},
			lacks: []string{"_operation", "SETTINGS", "PARTITION", "ON CLUSTER"},
		},
		{
			name:   "names of ClickPipes",
			change: func(t *Target) { t.Metadata = Metadata{"_peerdb_version", "_peerdb_is_deleted", "", "op"} },
			want:   []string{"ReplacingMergeTree(`_peerdb_version`, `_peerdb_is_deleted`)", "`_peerdb_is_deleted` UInt8\n)"},
			lacks:  []string{"synced_at"},
		},
		{
			name:   "history",
			change: func(t *Target) { t.Engine = MergeTree },
			want:   []string{"`_operation` LowCardinality(String)\n", "ENGINE = MergeTree\nORDER BY (`tenant`, `id`, `_version`)"},
		},
		{
			name:   "nothing kept",
			change: func(t *Target) { t.Engine = Null },
			want:   []string{"ENGINE = Null\nCOMMENT"},
			lacks:  []string{"ORDER BY"},
		},
		{
			name:   "cluster",
			change: func(t *Target) { t.Engine, t.Cluster = ReplicatedReplacingMergeTree, "blue`s" },
			want:   []string{"`t` ON CLUSTER `blue\\`s`\n", "ENGINE = ReplicatedReplacingMergeTree(`_version`, `_is_deleted`)"},
		},
		{
			name: "everything overridden",
			change: func(t *Target) {
				t.OrderBy, t.PartitionBy = []string{"id", "tenant"}, "tenant % 10"
				t.Types = map[string]string{"note": "LowCardinality(String)"}
				t.Settings = map[string]string{"index_granularity": "1024", "storage_policy": "def'ault"}
				t.Nullable = false
			},
			want: []string{
				"`note` LowCardinality(String)", "`mood` LowCardinality(String)", "`tags` Array(String)",
				"PARTITION BY tenant % 10\nORDER BY (`id`, `tenant`)\nSETTINGS index_granularity = 1024, storage_policy = 'def\\'ault'",
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			target := newTarget("db")
			if test.change != nil {
				test.change(target)
			}
			got, err := target.Create(orders())
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("lacks %q:\n%s", want, got)
				}
			}
			for _, lacks := range test.lacks {
				if strings.Contains(got, lacks) {
					t.Errorf("has %q:\n%s", lacks, got)
				}
			}
		})
	}
}

// Rule 14: what an update can change must not decide where a row lies.
func TestCreateRefuses(t *testing.T) {
	for _, test := range []struct {
		name        string
		change      func(*Target)
		errContains string
	}{
		{"sorting by less than the key", func(t *Target) { t.OrderBy = []string{"id"} }, "must be the columns of the replica identity"},
		{"sorting by more than the key", func(t *Target) { t.OrderBy = []string{"tenant", "id", "at"} }, `ALTER TABLE "public"."orders" REPLICA IDENTITY USING INDEX`},
		{"partition that can change", func(t *Target) { t.PartitionBy = "toYYYYMM(at)" }, `"at", which can change`},
		{"partition by version", func(t *Target) { t.PartitionBy = "_version % 2" }, `"_version", which can change`},
		{"two statements", func(t *Target) { t.PartitionBy = "tenant; DROP TABLE x" }, "not one expression"},
		{"metadata name taken", func(t *Target) { t.Metadata.Version = "at" }, `"at" of its own`},
		{"type of no column", func(t *Target) { t.Types = map[string]string{"nope": "String"} }, `no column "nope"`},
		{"type that does not fit", func(t *Target) { t.Types = map[string]string{"id": "Int16"} }, `column "id" cannot have the type`},
		{"nullable key", func(t *Target) { t.Types = map[string]string{"id": "Nullable(Int64)"} }, "must not be Nullable"},
		{"setting", func(t *Target) { t.Settings = map[string]string{"a = 1, b": "1"} }, "not the name of a setting"},
		{"history by no column", func(t *Target) { t.Engine, t.OrderBy = MergeTree, []string{"nope"} }, `"nope"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			target := newTarget("db")
			test.change(target)
			got, err := target.Create(orders())
			if err == nil {
				t.Fatalf("got no error but\n%s", got)
			}
			if !strings.Contains(err.Error(), test.errContains) {
				t.Errorf("error is %q, want it to contain %q", err, test.errContains)
			}
		})
	}
}

// What Create writes, the server takes, and Check finds nothing to say about it.
func TestCreatedTablesFit(t *testing.T) {
	conn, database := connect(t)
	wholeRow := table(0, column("a", int4), column("b", text), column("c", arrayOf(int4)), column("d", enum))
	wholeRow.KeyIsWholeRow, wholeRow.Identity = true, change.IdentityFull
	for i := range wholeRow.Columns {
		wholeRow.Key = append(wholeRow.Key, i)
		wholeRow.Columns[i].InKey = true
	}
	for name, source := range map[string]*change.Table{"key": orders(), "whole_row": wholeRow} {
		for _, engine := range []Engine{ReplacingMergeTree, MergeTree, Null} {
			for _, nullable := range []bool{true, false} {
				target := newTarget(database)
				target.Engine, target.Nullable = engine, nullable
				target.Name = name + "." + string(engine)
				statement, err := target.Create(source)
				if err != nil {
					t.Fatal(err)
				}
				mustExec(t, conn, statement)
				if err := target.Check(source, mustRead(t, conn, target)); err != nil {
					t.Errorf("%s with nullable %v: %v", target, nullable, err)
				}
				mustExec(t, conn, "DROP TABLE "+target.quoted()+" SYNC")
			}
		}
	}
}

func TestReadWithoutTable(t *testing.T) {
	conn, database := connect(t)
	if e, err := newTarget(database).Read(t.Context(), conn); e != nil || err != nil {
		t.Errorf("got %v, %v", e, err)
	}
}
