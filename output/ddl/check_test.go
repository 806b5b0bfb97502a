package ddl

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/output/encode"
)

const usual = "_version UInt64, _is_deleted UInt8, _synced_at DateTime64(6, 'UTC')"

// Rule 18: the destination's real types are checked, and each mismatch is named with what mends it.
func TestCheck(t *testing.T) {
	conn, database := connect(t)
	source := func() *change.Table {
		return table(1, notNull("id", int8), column("note", text), notNull("n", int4))
	}
	for _, test := range []struct {
		name        string
		columns     string
		engine      string
		change      func(*Target)
		errContains []string // none: it fits
	}{
		{
			name:    "other order, more columns, other kinds of columns",
			columns: "extra String DEFAULT 'x', n Int64, _is_deleted Bool, note Nullable(String), twice Int64 MATERIALIZED n * 2, again Int64 ALIAS n, id Int64, _version Int64",
			engine:  "ReplacingMergeTree(_version, _is_deleted) ORDER BY id",
		},
		{
			name:    "made by ClickPipes",
			columns: "id Int64, note Nullable(String), n Int32, _peerdb_synced_at DateTime64(9) DEFAULT now64(), _peerdb_is_deleted UInt8, _peerdb_version UInt64",
			engine:  "ReplacingMergeTree(_peerdb_version) PRIMARY KEY id ORDER BY id",
			change: func(t *Target) {
				t.Metadata = Metadata{"_peerdb_version", "_peerdb_is_deleted", "_peerdb_synced_at", "_operation"}
			},
		},
		{
			name:        "missing column",
			columns:     "id Int64, n Int32, " + usual,
			engine:      "ReplacingMergeTree(_version, _is_deleted) ORDER BY id",
			errContains: []string{database + ".t", `no column "note"`, "ALTER TABLE `" + database + "`.`t` ADD COLUMN `note` Nullable(String)"},
		},
		{
			name:        "narrow type",
			columns:     "id Int64, note Nullable(String), n Int16, " + usual,
			engine:      "ReplacingMergeTree(_version, _is_deleted) ORDER BY id",
			errContains: []string{database + ".t", `"n"`, "int4", "Int16", "ALTER TABLE `" + database + "`.`t` MODIFY COLUMN `n` Int32"},
		},
		{
			name:        "NULL has no place",
			columns:     "id Int64, note String, n Int32, " + usual,
			engine:      "ReplacingMergeTree(_version, _is_deleted) ORDER BY id",
			errContains: []string{`"note"`, "text", "String", "MODIFY COLUMN `note` Nullable(String)", "`nullable: false`"},
		},
		{
			name:    "NULL may become a default",
			columns: "id Int64, note String, n Int32, " + usual,
			engine:  "ReplacingMergeTree(_version, _is_deleted) ORDER BY id",
			change:  func(t *Target) { t.Nullable = false },
		},
		{
			name:        "computed column",
			columns:     "id Int64, note Nullable(String), n Int32 MATERIALIZED 1, " + usual,
			engine:      "ReplacingMergeTree(_version, _is_deleted) ORDER BY id",
			errContains: []string{`"n" is MATERIALIZED`, "exclude_columns"},
		},
		{
			name:        "engine that does not replace",
			columns:     "id Int64, note Nullable(String), n Int32, " + usual,
			engine:      "MergeTree ORDER BY id",
			errContains: []string{"engine MergeTree", "ReplacingMergeTree", "`engine: MergeTree`", "RENAME"},
		},
		{
			name:        "engine that nobody writes to",
			columns:     "id Int64, note Nullable(String), n Int32, " + usual,
			engine:      "Log",
			errContains: []string{"engine Log", "updates and deletes need", "RENAME"},
		},
		{
			name:        "no version",
			columns:     "id Int64, note Nullable(String), n Int32, " + usual,
			engine:      "ReplacingMergeTree ORDER BY id",
			errContains: []string{"without a version column"},
		},
		{
			name:        "other version",
			columns:     "id Int64, note Nullable(String), n Int32, v UInt64, _is_deleted UInt8",
			engine:      "ReplacingMergeTree(v) ORDER BY id",
			errContains: []string{"set `metadata_columns.version: v`"},
		},
		{
			name:        "no place for deletes",
			columns:     "id Int64, note Nullable(String), n Int32, _version UInt64",
			engine:      "ReplacingMergeTree(_version) ORDER BY id",
			errContains: []string{"no column \"_is_deleted\"", "ADD COLUMN `_is_deleted` UInt8"},
		},
		{
			name:        "version of another type",
			columns:     "id Int64, note Nullable(String), n Int32, _version UInt32, _is_deleted UInt8",
			engine:      "ReplacingMergeTree(_version, _is_deleted) ORDER BY id",
			errContains: []string{`"_version" is UInt32`, "UInt64"},
		},
		{
			name:        "sorted by too little",
			columns:     "id Int64, note Nullable(String), n Int32, " + usual,
			engine:      "ReplacingMergeTree(_version, _is_deleted) ORDER BY tuple()",
			errContains: []string{`without column "id"`, "different rows would replace each other"},
		},
		{
			name:        "sorted by what changes",
			columns:     "id Int64, note Nullable(String), n Int32, " + usual,
			engine:      "ReplacingMergeTree(_version, _is_deleted) ORDER BY (n, id)",
			errContains: []string{`sorted by column "n"`, "would leave the old row behind"},
		},
		{
			name:        "partitioned by what changes",
			columns:     "id Int64, note Nullable(String), n Int32, " + usual,
			engine:      "ReplacingMergeTree(_version, _is_deleted) PARTITION BY n % 2 ORDER BY id",
			errContains: []string{`partitioned by column "n"`},
		},
		{
			name:        "several at once",
			columns:     "id Int64, n Int16, " + usual,
			engine:      "ReplacingMergeTree(_version, _is_deleted) ORDER BY id",
			errContains: []string{`"note"`, `"n"`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			target := newTarget(database)
			if test.change != nil {
				test.change(target)
			}
			mustExec(t, conn, "CREATE OR REPLACE TABLE "+target.quoted()+" ("+test.columns+") ENGINE = "+test.engine)
			err := target.Check(source(), mustRead(t, conn, target))
			if len(test.errContains) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var incompatible *IncompatibleError
			if !errors.As(err, &incompatible) {
				t.Fatalf("got %v, want an IncompatibleError", err)
			}
			for _, want := range test.errContains {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error is %q, want it to contain %q", err, want)
				}
			}
		})
	}
}

func TestDestinationLeavesOutComputedColumns(t *testing.T) {
	conn, database := connect(t)
	target := newTarget(database)
	mustExec(t, conn, "CREATE TABLE "+target.quoted()+" (b String DEFAULT 'x', a Int64, c Int64 MATERIALIZED a, d Int64 ALIAS a) ENGINE = Null")
	want := []encode.Column{{Name: "b", Type: "String"}, {Name: "a", Type: "Int64"}}
	if got := mustRead(t, conn, target).Destination(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
