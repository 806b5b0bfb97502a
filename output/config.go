package output

import (
	"fmt"
	"os"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/output/ddl"
	"github.com/penstock/penstock/output/encode"
	"github.com/penstock/penstock/output/insert"
)

// config is what the fields say.
type config struct {
	dsn             *insert.DSN
	table           *service.InterpolatedString
	tableText       string
	engine          ddl.Engine
	cluster         string
	tables          map[string]tableConfig // by schema.table of the source
	nullable        bool
	metadata        ddl.Metadata
	unrepresentable encode.Policy
	createTables    bool
	maxInFlight     int
	timeout         time.Duration
	insertSettings  map[string]string
}

// tableConfig is what differs for one source table.
type tableConfig struct {
	engine      ddl.Engine // "" for the output's
	orderBy     []string
	partitionBy string
	nullable    *bool // nil for the output's
	types       map[string]string
	settings    map[string]string
}

// target returns what the destination table called name is to be for a source table.
func (c *config) target(name string, table *change.Table, utc bool) *ddl.Target {
	t := &ddl.Target{
		Database: c.dsn.Database, Name: name, Cluster: c.cluster,
		Engine: c.engine, Metadata: c.metadata, Nullable: c.nullable, UTC: utc,
	}
	if own, ok := c.tables[table.String()]; ok {
		if own.engine != "" {
			t.Engine = own.engine
		}
		if own.nullable != nil {
			t.Nullable = *own.nullable
		}
		t.OrderBy, t.PartitionBy, t.Types, t.Settings = own.orderBy, own.partitionBy, own.types, own.settings
	}
	return t
}

func parseConfig(parsed *service.ParsedConfig) (*config, error) {
	c := &config{}
	var err error
	if err = c.parseConnection(parsed); err != nil {
		return nil, err
	}
	if c.table, err = parsed.FieldInterpolatedString(fieldTable); err != nil {
		return nil, fmt.Errorf("field table: %w", err)
	}
	var engine, policy string
	for name, field := range map[string]*string{
		fieldTable: &c.tableText, fieldEngine: &engine, fieldCluster: &c.cluster, fieldUnrepresentable: &policy,
	} {
		if *field, err = parsed.FieldString(name); err != nil {
			return nil, err
		}
	}
	if c.engine, err = parseEngine(engine); err != nil {
		return nil, fmt.Errorf("field engine: %w", err)
	}
	if c.unrepresentable, err = parsePolicy(policy); err != nil {
		return nil, fmt.Errorf("field unrepresentable: %w", err)
	}
	if c.nullable, err = parsed.FieldBool(fieldNullable); err != nil {
		return nil, err
	}
	if c.createTables, err = parsed.FieldBool(fieldCreateTables); err != nil {
		return nil, err
	}
	if c.metadata, err = parseMetadata(parsed.Namespace(fieldMetadata)); err != nil {
		return nil, fmt.Errorf("field metadata_columns: %w", err)
	}
	if c.tables, err = parseTables(parsed); err != nil {
		return nil, fmt.Errorf("field tables: %w", err)
	}
	return c, nil
}

func (c *config) parseConnection(parsed *service.ParsedConfig) error {
	text, err := parsed.FieldString(fieldDSN)
	if err != nil {
		return err
	}
	if text == "${CLICKHOUSE_DSN}" { // the default: the engine fills in only what stands in a file
		text = os.Getenv("CLICKHOUSE_DSN")
	}
	if c.dsn, err = insert.ParseDSN(text); err != nil {
		return err
	}
	custom, enabled, err := parsed.FieldTLSToggled(fieldTLS)
	if err != nil {
		return fmt.Errorf("field tls: %w", err)
	}
	if enabled {
		c.dsn.TLS = custom
	}
	if c.maxInFlight, err = parsed.FieldMaxInFlight(); err != nil {
		return err
	}
	if c.maxInFlight < 1 {
		return fmt.Errorf("field max_in_flight: must be at least 1, got %d", c.maxInFlight)
	}
	if c.timeout, err = parsed.FieldDuration(fieldInsertTimeout); err != nil {
		return fmt.Errorf("field insert_timeout: %w", err)
	}
	if c.timeout <= 0 {
		return fmt.Errorf("field insert_timeout: must be above zero, got %s", c.timeout)
	}
	if c.insertSettings, err = parseSettings(parsed, fieldInsertSettings); err != nil {
		return fmt.Errorf("field insert_settings: %w", err)
	}
	return nil
}

func parseEngine(name string) (ddl.Engine, error) {
	for _, known := range ddl.Engines() {
		if name == known {
			return ddl.Engine(name), nil
		}
	}
	return "", fmt.Errorf("unknown engine %q, known are %v", name, ddl.Engines())
}

func parsePolicy(name string) (encode.Policy, error) {
	switch name {
	case "fail":
		return encode.Fail, nil
	case "null":
		return encode.Null, nil
	case "clamp":
		return encode.Clamp, nil
	}
	return 0, fmt.Errorf("unknown policy %q, known are fail, null, clamp", name)
}

func parseMetadata(parsed *service.ParsedConfig) (m ddl.Metadata, err error) {
	seen := make(map[string]string)
	for _, f := range []struct {
		name     string
		column   *string
		optional bool
	}{
		{fieldMetadataVersion, &m.Version, false},
		{fieldMetadataIsDeleted, &m.IsDeleted, false},
		{fieldMetadataSyncedAt, &m.SyncedAt, true},
		{fieldMetadataOperation, &m.Operation, false},
	} {
		if *f.column, err = parsed.FieldString(f.name); err != nil {
			return m, err
		}
		if *f.column == "" {
			if !f.optional {
				return m, fmt.Errorf("%s must not be empty", f.name)
			}
			continue
		}
		if other, taken := seen[*f.column]; taken {
			return m, fmt.Errorf("%s and %s have the same name, %q", other, f.name, *f.column)
		}
		seen[*f.column] = f.name
	}
	return m, nil
}

func parseTables(parsed *service.ParsedConfig) (map[string]tableConfig, error) {
	fields, err := parsed.FieldObjectMap(fieldTables)
	if err != nil {
		return nil, err
	}
	tables := make(map[string]tableConfig, len(fields))
	for name, field := range fields {
		if tables[name], err = parseTable(field); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return tables, nil
}

func parseTable(parsed *service.ParsedConfig) (t tableConfig, err error) {
	if parsed.Contains(fieldTableEngine) {
		name, err := parsed.FieldString(fieldTableEngine)
		if err != nil {
			return t, err
		}
		if t.engine, err = parseEngine(name); err != nil {
			return t, fmt.Errorf("engine: %w", err)
		}
	}
	if parsed.Contains(fieldTableOrderBy) {
		if t.orderBy, err = parsed.FieldStringList(fieldTableOrderBy); err != nil {
			return t, err
		}
	}
	if parsed.Contains(fieldTablePartitionBy) {
		if t.partitionBy, err = parsed.FieldString(fieldTablePartitionBy); err != nil {
			return t, err
		}
	}
	if parsed.Contains(fieldTableNullable) {
		nullable, err := parsed.FieldBool(fieldTableNullable)
		if err != nil {
			return t, err
		}
		t.nullable = &nullable
	}
	if parsed.Contains(fieldTableTypes) {
		if t.types, err = parsed.FieldStringMap(fieldTableTypes); err != nil {
			return t, fmt.Errorf("types: %w", err)
		}
	}
	if t.settings, err = parseSettings(parsed, fieldTableSettings); err != nil {
		return t, fmt.Errorf("settings: %w", err)
	}
	return t, nil
}

// parseSettings reads a map of names to numbers, booleans or texts.
func parseSettings(parsed *service.ParsedConfig, field string) (map[string]string, error) {
	if !parsed.Contains(field) {
		return nil, nil
	}
	values, err := parsed.FieldAnyMap(field)
	if err != nil {
		return nil, err
	}
	settings := make(map[string]string, len(values))
	for name, parsedValue := range values {
		value, err := parsedValue.FieldAny()
		if err != nil {
			return nil, err
		}
		switch v := value.(type) {
		case bool:
			settings[name] = "0"
			if v {
				settings[name] = "1"
			}
		case map[string]any, []any, nil:
			return nil, fmt.Errorf("%s must be a number, a text or a boolean", name)
		default:
			settings[name] = fmt.Sprint(v)
		}
	}
	return settings, nil
}
