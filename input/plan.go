package input

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/lifecycle"
)

// Plan is a configured input that is not run: what commands ask about a source
// without replicating it.
type Plan struct{ config *config }

// NewPlan reads the fields of a `postgres_cdc`, as YAML with its environment
// variables replaced, and the label of the input.
func NewPlan(fields, label string) (*Plan, error) {
	parsed, err := spec().ParseYAML(fields, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the fields of postgres_cdc: %w", err)
	}
	c, err := parseConfig(parsed, label)
	if err != nil {
		return nil, err
	}
	return &Plan{config: c}, nil
}

// Pipe is the name of the pipe.
func (p *Plan) Pipe() string { return p.config.pipe }

// Slot is the name of the replication slot; "" where the pipe has none.
func (p *Plan) Slot() string {
	if !p.config.streaming() {
		return ""
	}
	return p.config.slot
}

// Publication is the name of the publication.
func (p *Plan) Publication() string { return p.config.publication }

// Database is the name of the source database.
func (p *Plan) Database() string { return p.config.source.Database() }

// Connect opens an SQL session at the source.
func (p *Plan) Connect(ctx context.Context) (*pgx.Conn, error) { return p.config.source.Connect(ctx) }

// StateCache is the label of the cache that keeps the pipe's state, "" where a
// file does.
func (p *Plan) StateCache() string { return p.config.stateCache }

// Store opens the pipe's durable state. mgr is needed where a cache keeps it.
func (p *Plan) Store(mgr *service.Resources) (lifecycle.Store, error) {
	if p.config.stateCache != "" {
		return lifecycle.CacheStore(mgr, p.config.stateCache, p.config.pipe), nil
	}
	return lifecycle.FileStore(p.config.stateDir, p.config.pipe)
}

// PlannedTable is a table that the pipe replicates.
type PlannedTable struct {
	*change.Table
	// RowFilter is the publication's WHERE clause, "" for none.
	RowFilter string
	// LeftOut are its columns that are not replicated.
	LeftOut []string
}

// Tables returns the tables that the pipe replicates, by name.
func (p *Plan) Tables(ctx context.Context, conn *pgx.Conn) ([]PlannedTable, error) {
	server, _, tables, err := survey(ctx, conn, p.config)
	if err != nil {
		return nil, catalog.Explain(err)
	}
	types := catalog.NewTypes(conn, server.MoneyDigits)
	planned := make([]PlannedTable, len(tables))
	for i, t := range tables {
		planned[i] = PlannedTable{Table: t.Table, RowFilter: t.RowFilter}
		all, err := catalog.Columns(ctx, conn, types, t.OID)
		if err != nil {
			return nil, err
		}
		for _, c := range all {
			if t.Column(c.Name) < 0 {
				planned[i].LeftOut = append(planned[i].LeftOut, c.Name)
			}
		}
		slices.Sort(planned[i].LeftOut)
	}
	return planned, nil
}
