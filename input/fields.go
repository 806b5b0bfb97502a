package input

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/input/catalog"
)

// The fields of `postgres_cdc`.
const (
	pcFieldDSN               = "dsn"
	pcFieldTables            = "tables"
	pcFieldExcludeTables     = "exclude_tables"
	pcFieldExcludeColumns    = "exclude_columns"
	pcFieldMode              = "mode"
	pcFieldSlotName          = "slot_name"
	pcFieldPublicationName   = "publication_name"
	pcFieldFormat            = "format"
	pcFieldSyncInterval      = "sync_interval"
	pcFieldSyncMaxRows       = "sync_max_rows"
	pcFieldSnapshot          = "snapshot"
	pcFieldParallelism       = "parallelism"
	pcFieldMaxParallelTables = "max_parallel_tables"
	pcFieldChunkRows         = "chunk_rows"
	pcFieldUnchangedToast    = "unchanged_toast"
	pcFieldHeartbeatInterval = "heartbeat_interval"
	pcFieldCheckpointCache   = "checkpoint_cache"
	pcFieldStateDir          = "state_dir"
	pcFieldCheckpointLimit   = "checkpoint_limit"
	pcFieldMaxInFlightBytes  = "max_in_flight_bytes"
	pcFieldTLS               = "tls"
	pcFieldLifecycle         = "lifecycle"
	pcFieldAddress           = "address"
	pcFieldAPIToken          = "api_token"
	pcFieldStartPaused       = "start_paused"
)

// The values of `mode`, `format` and `unchanged_toast`.
const (
	modeCDC      = "cdc"
	modeSnapshot = "snapshot"
	modeCDCOnly  = "cdc_only"

	formatRows   = "rows"
	formatBlocks = "blocks"

	toastFetch = "fetch"
	toastNull  = "null"
	toastFail  = "fail"
)

func spec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Beta().
		Categories("Services").
		Summary("Copies PostgreSQL tables and then streams their changes from a logical replication slot.").
		Description(`
The input first makes a replication slot and copies the selected tables as they were at that moment, in parallel, with `+"`COPY`"+`. Then it streams every change behind that moment. Progress is confirmed to PostgreSQL only when the output has acknowledged it, so nothing is lost when either end, or the process, goes away.

The role in `+"`dsn`"+` needs `+"`REPLICATION`"+` and `+"`SELECT`"+` on the tables. The server needs `+"`wal_level = logical`"+`. PostgreSQL 14 to 18 are supported.

### Metadata

With `+"`format: rows`"+` each message is one row as a flat object and has the metadata `+"`operation`"+` (read, insert, update, delete, truncate or schema), `+"`database_schema`, `table`, `lsn`, `commit_lsn`, `commit_ts_ms`, `transaction_id`, `key`"+` and `+"`schema`"+`. Messages of the operations truncate and schema have an empty object as body. With `+"`format: blocks`"+` a message is an opaque block of changes to one table, several times faster, for the `+"`clickhouse`"+` output.`).
		Fields(
			service.NewStringField(pcFieldDSN).
				Description("Where the source is, as a URL or key=value pairs. Left out, it is taken from the environment.").
				Default("${POSTGRES_DSN}").
				Example("postgres://penstock:secret@localhost:5432/shop?sslmode=require").Secret(),
			service.NewStringListField(pcFieldTables).
				Description("The tables to replicate: globs over `schema.table`, where `*` is any run of characters, `?` is one and `[…]` a class. Empty means every table of the publication, which must then exist.").
				Example([]any{"public.*"}).Example([]any{"shop.orders", "shop.order_*"}).Default([]any{}),
			service.NewStringListField(pcFieldExcludeTables).
				Description("Tables to leave out although `tables` matches them, in the same form.").
				Example([]any{"public.*_archive"}).Default([]any{}),
			service.NewAnyMapField(pcFieldExcludeColumns).
				Description("Columns to leave out, for each `schema.table`. Columns of the key cannot be left out.").
				Example(map[string]any{"public.users": []any{"ssn"}}).Default(map[string]any{}).Advanced(),
			service.NewStringAnnotatedEnumField(pcFieldMode, map[string]string{
				modeCDC:      "Copy the tables, then stream changes.",
				modeSnapshot: "Copy the tables, then end.",
				modeCDCOnly:  "Stream changes from now on, without a copy.",
			}).Description("What to do.").Default(modeCDC),
			service.NewStringField(pcFieldSlotName).
				Description("The replication slot, created if it does not exist. Empty means `penstock_` and the input's label.").
				Example("penstock_shop").Default("").Advanced(),
			service.NewStringField(pcFieldPublicationName).
				Description("The publication, created for the selected tables if it does not exist. One that Penstock did not create is never changed. Empty means the name of the slot.").
				Default("").Advanced(),
			service.NewStringAnnotatedEnumField(pcFieldFormat, map[string]string{
				formatRows:   "One structured message for each row, for pipelines with processors and for other outputs.",
				formatBlocks: "One opaque message for each run of changes to a table; the fastest way into the `clickhouse` output.",
			}).Description("The form of messages.").Default(formatRows),
			service.NewDurationField(pcFieldSyncInterval).
				Description("How long changes are gathered before they are sent on. Shorter means fresher data and more, smaller inserts.").
				Example("100ms").Default("1s"),
			service.NewIntField(pcFieldSyncMaxRows).
				Description("Changes are sent on as soon as there are so many; a transaction is split only where it has more by itself. With `format: rows`, where each costs much more memory, 10000 at the most.").
				Default(100000).LintRule(positive),
			service.NewObjectField(pcFieldSnapshot,
				service.NewIntField(pcFieldParallelism).Description("Sessions that read at the same time.").Default(4).LintRule(positive),
				service.NewIntField(pcFieldMaxParallelTables).Description("Tables that are read at the same time.").Default(4).LintRule(positive),
				service.NewIntField(pcFieldChunkRows).Description("About how many rows a session reads at once; what is lost of a load when the process is killed.").Default(250000).LintRule(positive),
			).Description("How tables are copied.").Advanced(),
			service.NewStringAnnotatedEnumField(pcFieldUnchangedToast, map[string]string{
				toastFetch: "Look the value up in the source table by key.",
				toastNull:  "Send NULL.",
				toastFail:  "Stop with an error that names table and column.",
			}).Description("What to do with a large value that an update left unchanged: PostgreSQL does not put it into the stream unless the table has `REPLICA IDENTITY FULL`. Stored generated columns, which PostgreSQL before 18 leaves out too, are treated the same way.").
				Default(toastFetch).Advanced(),
			service.NewDurationField(pcFieldHeartbeatInterval).
				Description("How often a message is written to the WAL, so that the slot of an idle database moves on; no table is involved. `0s` for never.").
				Default("1m").Advanced(),
			service.NewStringField(pcFieldCheckpointCache).
				Description("The label of a cache resource that keeps the state of the pipe. Empty means a file in `state_dir`.").
				Default("").Advanced(),
			service.NewStringField(pcFieldStateDir).
				Description("The folder of the state file. It must survive restarts.").
				Default("./penstock-state"),
			service.NewIntField(pcFieldCheckpointLimit).
				Description("How many batches may be on their way to the output at the same time.").
				Default(64).Advanced().LintRule(positive),
			service.NewIntField(pcFieldMaxInFlightBytes).
				Description("How many bytes of changes may be on their way to the output at the same time. One batch always may.").
				Default(32<<20).Advanced().LintRule(positive),
			service.NewTLSToggledField(pcFieldTLS),
			service.NewObjectField(pcFieldLifecycle,
				service.NewStringField(pcFieldAddress).Description("Where the status page, the HTTP API and the metrics are served. Empty for nowhere. Inputs of one process may share an address.").Default("127.0.0.1:4196"),
				service.NewStringField(pcFieldAPIToken).Description("If set, requests must carry it as `Authorization: Bearer …`.").Default("").Secret(),
				service.NewBoolField(pcFieldStartPaused).Description("Whether a new pipe begins paused, until it is resumed.").Default(false),
			).Description("How the pipe is watched and controlled."),
			service.NewAutoRetryNacksToggleField().
				Description("Whether a batch that the output rejects is sent again until it is accepted. With `false` the input goes back to the last confirmed position instead and reads from there again; nothing is lost either way.").
				Advanced(),
		).
		Example("Into ClickHouse", "Copies every table of a schema and keeps it up to date.", `
input:
  label: shop
  postgres_cdc:
    dsn: ${POSTGRES_DSN}
    tables: ["public.*"]
    format: blocks
output:
  clickhouse:
    dsn: ${CLICKHOUSE_DSN}
`).
		Example("With a mapping", "Masks a column on the way.", `
input:
  label: crm
  postgres_cdc:
    dsn: ${POSTGRES_DSN}
    tables: ["crm.contacts"]
pipeline:
  processors:
    - mapping: |
        root = this
        root.email = if this.email != null { this.email.hash("sha256").encode("hex") }
output:
  clickhouse:
    dsn: ${CLICKHOUSE_DSN}
`)
}

const positive = `root = if this < 1 { "must be 1 or more" }`

// config is what the fields say.
type config struct {
	source         *catalog.Source
	selection      catalog.Selection
	pipe           string
	slot           string
	publication    string
	mode           string
	blocks         bool
	syncInterval   time.Duration
	syncMaxRows    int
	parallelism    int
	maxTables      int
	chunkRows      int
	unchangedToast string
	heartbeat      time.Duration
	stateCache     string
	stateDir       string
	maxBatches     int
	maxBytes       int64
	address, token string
	startPaused    bool
	retryNacks     bool
}

// streaming says that the pipe needs a slot and a publication.
func (c *config) streaming() bool { return c.mode != modeSnapshot }

func parseConfig(p *service.ParsedConfig, label string) (*config, error) {
	r := reader{conf: p}
	c := &config{
		selection:      catalog.Selection{Include: r.list(pcFieldTables), Exclude: r.list(pcFieldExcludeTables)},
		slot:           r.text(pcFieldSlotName),
		publication:    r.text(pcFieldPublicationName),
		mode:           r.text(pcFieldMode),
		blocks:         r.text(pcFieldFormat) == formatBlocks,
		syncInterval:   r.duration(pcFieldSyncInterval),
		syncMaxRows:    r.number(pcFieldSyncMaxRows),
		parallelism:    r.number(pcFieldSnapshot, pcFieldParallelism),
		maxTables:      r.number(pcFieldSnapshot, pcFieldMaxParallelTables),
		chunkRows:      r.number(pcFieldSnapshot, pcFieldChunkRows),
		unchangedToast: r.text(pcFieldUnchangedToast),
		heartbeat:      r.duration(pcFieldHeartbeatInterval),
		stateCache:     r.text(pcFieldCheckpointCache),
		stateDir:       r.text(pcFieldStateDir),
		maxBatches:     r.number(pcFieldCheckpointLimit),
		maxBytes:       int64(r.number(pcFieldMaxInFlightBytes)),
		address:        r.text(pcFieldLifecycle, pcFieldAddress),
		token:          r.text(pcFieldLifecycle, pcFieldAPIToken),
		startPaused:    r.flag(pcFieldLifecycle, pcFieldStartPaused),
		retryNacks:     r.flag(service.AutoRetryNacksToggleFieldName),
	}
	var err error
	if c.selection.ExcludeColumns, err = excludeColumns(p); err != nil {
		return nil, err
	}
	var tlsConfig *tls.Config
	if withTLS, enabled, err := p.FieldTLSToggled(pcFieldTLS); err != nil {
		return nil, err
	} else if enabled {
		tlsConfig = withTLS
	}
	dsn := r.text(pcFieldDSN)
	if r.err != nil {
		return nil, r.err
	}
	if dsn == "${POSTGRES_DSN}" { // the default: the engine fills in only what stands in a file
		dsn = os.Getenv("POSTGRES_DSN")
	}
	if dsn == "" {
		return nil, errors.New("field `dsn` is empty: set it, or the environment variable POSTGRES_DSN, to the URL of the source, such as postgres://user:password@host:5432/database")
	}
	if c.source, err = catalog.NewSource(dsn, tlsConfig); err != nil {
		return nil, err
	}
	if c.slot == "" {
		c.slot = slotNameFor(label)
	}
	if c.publication == "" {
		c.publication = c.slot
	}
	if c.pipe = label; label == "" {
		c.pipe = c.slot
	}
	if c.syncInterval < 0 || c.heartbeat < 0 {
		return nil, errors.New("fields `sync_interval` and `heartbeat_interval` must not be negative")
	}
	return c, errors.Join(catalog.CheckSlotName(c.slot), c.selection.Check())
}

// slotNameFor makes the name of a slot of a label, which may hold characters
// that a slot may not.
func slotNameFor(label string) string {
	name := "penstock"
	if label != "" {
		name += "_" + strings.Map(func(c rune) rune {
			if (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') {
				return c
			}
			return '_'
		}, strings.ToLower(label))
	}
	return name[:min(len(name), 63)]
}

func excludeColumns(p *service.ParsedConfig) (map[string][]string, error) {
	tables, err := p.FieldAnyMap(pcFieldExcludeColumns)
	if err != nil {
		return nil, err
	}
	excluded := make(map[string][]string, len(tables))
	for table, value := range tables {
		if excluded[table], err = value.FieldStringList(); err != nil {
			return nil, fmt.Errorf("field `%s`: the columns of %q must be a list of names: %w", pcFieldExcludeColumns, table, err)
		}
	}
	return excluded, nil
}

// reader reads fields and keeps the first error.
type reader struct {
	conf *service.ParsedConfig
	err  error
}

func read[T any](r *reader, field func(...string) (T, error), path []string) T {
	v, err := field(path...)
	if err != nil && r.err == nil {
		r.err = err
	}
	return v
}

func (r *reader) text(path ...string) string   { return read(r, r.conf.FieldString, path) }
func (r *reader) list(path ...string) []string { return read(r, r.conf.FieldStringList, path) }
func (r *reader) number(path ...string) int    { return read(r, r.conf.FieldInt, path) }
func (r *reader) flag(path ...string) bool     { return read(r, r.conf.FieldBool, path) }
func (r *reader) duration(path ...string) time.Duration {
	return read(r, r.conf.FieldDuration, path)
}
