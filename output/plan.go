package output

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/output/ddl"
	"github.com/penstock/penstock/output/insert"
)

// Plan is a configured output that is not run: what commands ask about a destination without writing to it.
type Plan struct {
	conf  *config
	names *tableNames
}

// NewPlan reads the fields of a `clickhouse` output, as YAML with its environment variables replaced.
func NewPlan(fields string) (*Plan, error) {
	parsed, err := spec().ParseYAML(fields, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the fields of clickhouse: %w", err)
	}
	conf, err := parseConfig(parsed)
	if err != nil {
		return nil, err
	}
	return &Plan{conf: conf, names: newTableNames(conf.table, conf.tableText)}, nil
}

// String returns the DSN without password and parameters.
func (p *Plan) String() string { return p.conf.dsn.String() }

// Database is the name of the destination database.
func (p *Plan) Database() string { return p.conf.dsn.Database }

// IsDeleted is the name of the column that marks deleted rows.
func (p *Plan) IsDeleted() string { return p.conf.metadata.IsDeleted }

// NullAsDefault says that NULLs of a source table become the defaults of their types.
func (p *Plan) NullAsDefault(table *change.Table) bool {
	return !p.conf.target("", table, false).Nullable
}

// Replaces says whether the destination holds the rows of a source table as they are, and not their history or nothing.
func (p *Plan) Replaces(table *change.Table) bool {
	return p.conf.target("", table, false).Replaces()
}

// Engine is that of a source table's destination.
func (p *Plan) Engine(table *change.Table) string {
	return string(p.conf.target("", table, false).Engine)
}

// Destination is the name of a source table's destination. It fails where the field `table` asks a row for more than its
// schema and table.
func (p *Plan) Destination(table *change.Table) (string, error) {
	m := service.NewMessage(nil)
	m.MetaSetMut(change.MetaDatabaseSchema, table.Schema)
	m.MetaSetMut(change.MetaTable, table.Name)
	return p.names.resolve(m)
}

// Connect opens a connection for queries, which is made when it is first used.
func (p *Plan) Connect() (driver.Conn, error) {
	dsn := p.conf.dsn
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr:        dsn.Hosts,
		Auth:        clickhouse.Auth{Database: dsn.Database, Username: dsn.User, Password: string(dsn.Password)},
		TLS:         dsn.TLS,
		DialTimeout: dsn.DialTimeout,
		// The first host that answers, as the output does.
		ConnOpenStrategy: clickhouse.ConnOpenInOrder,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the connection to %s: %w", dsn, err)
	}
	return conn, nil
}

// Ping makes sure that the server answers, is recent enough, and has the database.
func (p *Plan) Ping(ctx context.Context) (insert.Server, error) {
	o := newOutput(p.conf, nil, nil)
	client, err := o.newClient()
	if err != nil {
		return insert.Server{}, err
	}
	defer func() { _ = client.Close() }()
	return o.probe(ctx, client)
}

// target is what the destination of a source table is to be.
func (p *Plan) target(table *change.Table, utc bool) (*ddl.Target, error) {
	name, err := p.Destination(table)
	if err != nil {
		return nil, err
	}
	return p.conf.target(name, table, utc), nil
}

// unknownTables returns the names under the field `tables` that no source table has.
func (p *Plan) unknownTables(tables []*change.Table) []string {
	var unknown []string
	for name := range p.conf.tables {
		if !slices.ContainsFunc(tables, func(t *change.Table) bool { return t.String() == name }) {
			unknown = append(unknown, name)
		}
	}
	slices.SortFunc(unknown, strings.Compare)
	return unknown
}

// Unauthorized says that the server refused the user or the password.
func Unauthorized(err error) bool {
	var failure *insert.Error
	return errors.As(err, &failure) && failure.Class == insert.ClassAuthentication
}
