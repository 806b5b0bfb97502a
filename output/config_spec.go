package output

import (
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/output/ddl"
)

// Names of the fields.
const (
	fieldDSN             = "dsn"
	fieldTLS             = "tls"
	fieldTable           = "table"
	fieldEngine          = "engine"
	fieldCluster         = "cluster"
	fieldTables          = "tables"
	fieldNullable        = "nullable"
	fieldMetadata        = "metadata_columns"
	fieldUnrepresentable = "unrepresentable"
	fieldCreateTables    = "create_tables"
	fieldInsertTimeout   = "insert_timeout"
	fieldInsertSettings  = "insert_settings"

	fieldMetadataVersion   = "version"
	fieldMetadataIsDeleted = "is_deleted"
	fieldMetadataSyncedAt  = "synced_at"
	fieldMetadataOperation = "operation"

	fieldTableEngine      = "engine"
	fieldTableOrderBy     = "order_by"
	fieldTablePartitionBy = "partition_by"
	fieldTableNullable    = "nullable"
	fieldTableTypes       = "types"
	fieldTableSettings    = "settings"
)

// defaultTable names the destination after the source's schema and table.
const defaultTable = "${! @database_schema }_${! @table }"

func spec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Stable().
		Categories("Services").
		Summary("Keeps ClickHouse tables like the PostgreSQL tables that a `postgres_cdc` input reads.").
		Description(`
Each source table has a table here, which is made when its first message arrives, or checked if it is there already. Rows
are stored with their position in the source's write-ahead log as version, in a `+"`ReplacingMergeTree`"+`: an insert may be
repeated or overtaken and the table ends the same. Read it with `+"`FINAL`"+` to see the source's rows as they are.

Both formats of the input are taken, `+"`rows` and `blocks`"+`, and give the same tables. All changes to a table in one batch
are one native block and one INSERT: the size of the batches is set at the input, so there is no `+"`batching`"+` here.

What fails for a reason that passes (network, too many parts, memory, a read-only replica) is repeated with growing pauses
until it succeeds. What does not pass by itself fails the messages of that table alone.`).
		Fields(connectionFields()...).
		Fields(tableFields()...).
		Fields(
			service.NewIntField("max_in_flight").
				Description("The most batches that are written at once.").
				LintRule(`root = if this < 1 { ["max_in_flight must be at least 1"] }`).
				Default(4),
			service.NewDurationField(fieldInsertTimeout).
				Description("How long one attempt of an INSERT or another statement may take before it is given up and repeated.").
				Default("5m").
				Advanced(),
			service.NewAnyMapField(fieldInsertSettings).
				Description("ClickHouse settings to send with each INSERT.").
				Default(map[string]any{}).
				Example(map[string]any{"insert_quorum": 2}).
				Advanced(),
		).
		// Here and not at the field: a rule of a map is asked about each of its values.
		LintRule(`root = this.tables.or({}).keys().filter(name -> !name.contains(".")).map_each(name -> "tables: %q must be the name of a source table with its schema, such as public.%s".format(name, name))`)
}

func connectionFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewStringField(fieldDSN).
			Description("Where to connect, over the native protocol: `clickhouse://user:password@host:9000,host2:9000/database?secure=true`. "+
				"The hosts are replicas of the same tables and are tried in turn. The database must exist. Characters such as `@ : / ? # %` in a user or password are percent-encoded. "+
				"Parameters: `secure` (TLS), `skip_verify` and `tls_server_name` (with `secure`), `compress` (`lz4`, `zstd` or `none`; default `lz4`, on the same machine `none`), `dial_timeout` (per host; default `10s`). Left out, it is taken from the environment.").
			Default("${CLICKHOUSE_DSN}").
			Examples("clickhouse://default:@localhost:9000/analytics", "clickhouse://penstock:${CLICKHOUSE_PASSWORD}@ch1:9440,ch2:9440/analytics?secure=true").
			LintRule(`root = if this.trim() != "" && !this.has_prefix("$") && !this.trim().re_match("^(clickhouse|tcp)://[^/]") { ["dsn must be of the form clickhouse://user:password@host:9000/database"] }`).
			Secret(),
		service.NewTLSToggledField(fieldTLS).
			Description("TLS with certificates of your own; `secure=true` in the `dsn` is enough for a server with a public one.").
			Advanced(),
	}
}

func tableFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewInterpolatedStringField(fieldTable).
			Description("Name of the destination table, in the database of the `dsn`. It is asked for each message, and must be the same for all messages of one source table.").
			Default(defaultTable).
			Examples("${! @table }", "pg_${! @database_schema }_${! @table }").
			LintRule(`root = if this.trim() == "" { ["table must not be empty"] }`),
		service.NewStringEnumField(fieldEngine, ddl.Engines()...).
			Description("Engine of new tables. `ReplacingMergeTree` holds the rows as they are at the source. `MergeTree` keeps every change as a row of a history. " +
				"`Null` keeps nothing and feeds materialized views. The replicated ones are for a cluster of your own; in ClickHouse Cloud use the plain names.").
			Default(string(ddl.ReplacingMergeTree)),
		service.NewStringField(fieldCluster).
			Description("Cluster on which tables are made and altered (`ON CLUSTER`). Empty for none.").
			Default("").
			Advanced(),
		service.NewObjectMapField(fieldTables, perTableFields()...).
			Description("What differs for single tables, by the name of the source table, `schema.table`.").
			Default(map[string]any{}).
			Example(map[string]any{
				"public.orders": map[string]any{
					"order_by": []any{"tenant_id", "id"},
					"types":    map[string]any{"amount": "Decimal(38, 9)", "client": "IPv6"},
				},
			}).
			Advanced(),
		service.NewBoolField(fieldNullable).
			Description("Whether a column that may be NULL at the source is `Nullable` here. With `false` NULL becomes the type's default, such as 0 or an empty string, which cannot be told from the value.").
			Default(true),
		service.NewObjectField(fieldMetadata,
			service.NewStringField(fieldMetadataVersion).
				Description("`UInt64`, the WAL position of the row's change, 0 for rows of the snapshot.").
				LintRule(nameRequired).
				Default("_version"),
			service.NewStringField(fieldMetadataIsDeleted).
				Description("`UInt8`, 1 where the row was deleted.").
				LintRule(nameRequired).
				Default("_is_deleted"),
			service.NewStringField(fieldMetadataSyncedAt).
				Description("`DateTime64(6, 'UTC')`, when the row was written here. Empty leaves it out.").
				Default("_synced_at"),
			service.NewStringField(fieldMetadataOperation).
				Description("`LowCardinality(String)`, what happened to the row: read, insert, update or delete. For `engine: MergeTree` only.").
				LintRule(nameRequired).
				Default("_operation"),
		).
			Description("Names of the columns that are added to the source's. The names that ClickPipes uses are `_peerdb_version`, `_peerdb_is_deleted` and `_peerdb_synced_at`.").
			LintRule(`let names = this.values().filter(name -> name != "")
root = if $names.unique().length() != $names.length() { ["metadata_columns must have different names"] }`).
			Advanced(),
		service.NewStringAnnotatedEnumField(fieldUnrepresentable, map[string]string{
			"fail":  "the table stops, with an error that names the value, until the column has another type or this field another value",
			"null":  "NULL, or the type's default where the column is not Nullable",
			"clamp": "the nearest value that the type has",
		}).
			Description("What becomes of a value that the ClickHouse type cannot hold, such as a date before 1900 in `Date32`. It is never silent: such values are counted, and logged once per column.").
			Default("fail"),
		service.NewBoolField(fieldCreateTables).
			Description("Whether tables that are not there are made. With `false` they must be, and fit.").
			Default(true),
	}
}

const nameRequired = `root = if this.trim() == "" { ["must not be empty"] }`

func perTableFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewStringEnumField(fieldTableEngine, ddl.Engines()...).
			Description("Engine of this table.").
			Optional(),
		service.NewStringListField(fieldTableOrderBy).
			Description("Columns to sort by. With a replacing engine they must be the columns of the source's key, in any order.").
			Optional(),
		service.NewStringField(fieldTablePartitionBy).
			Description("Expression to partition by. With a replacing engine it may use columns of the source's key only.").
			Example("toYYYYMM(created_at)").
			LintRule(`root = if this.contains(";") { ["partition_by must be one expression"] }`).
			Optional(),
		service.NewBoolField(fieldTableNullable).
			Description("As `nullable` above, for this table.").
			Optional(),
		service.NewStringMapField(fieldTableTypes).
			Description("ClickHouse types of single columns, taken as they are.").
			Example(map[string]any{"total": "Decimal(38, 9)"}).
			Optional(),
		service.NewAnyMapField(fieldTableSettings).
			Description("Settings of the new table.").
			Example(map[string]any{"index_granularity": 4096}).
			Optional(),
	}
}
