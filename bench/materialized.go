package main

import (
	"context"
	"fmt"
	"strings"
)

// materialized is the ClickHouse database of engine MaterializedPostgreSQL.
const materialized = "bench_materialized"

// materializedPublication is the name that ClickHouse gives to its publication.
func materializedPublication(database string) string { return database + "_ch_publication" }

// runMaterialized has ClickHouse replicate by itself (ClickHouse docs,
// "MaterializedPostgreSQL", an experimental engine).
func runMaterialized(ctx context.Context, t *trial) error {
	const slot = "bench_materialized"
	host, port, user, password, err := t.login()
	if err != nil {
		return err
	}
	names := make([]string, len(t.tables))
	for i, table := range t.tables {
		names[i] = table.name
	}
	settings := []string{fmt.Sprintf("materialized_postgresql_tables_list = '%s'", strings.Join(names, ","))}
	if t.kind == backlog {
		if err := t.copySlot(ctx, slot); err != nil {
			return err
		}
		settings = append(settings, "materialized_postgresql_replication_slot = '"+slot+"'", "materialized_postgresql_snapshot = '"+t.snapshot+"'")
	}
	for _, setting := range []string{"allow_experimental_database_materialized_postgresql"} {
		if err := t.clickHouse.Exec(ctx, "SET "+setting+" = 1"); err != nil {
			return fmt.Errorf("allowing MaterializedPostgreSQL: %w", err)
		}
	}
	t.begin()
	err = t.clickHouse.Exec(ctx, fmt.Sprintf("CREATE DATABASE %s ENGINE = MaterializedPostgreSQL('%s:%s', '%s', '%s', '%s') SETTINGS %s",
		materialized, host, port, t.database, user, password, strings.Join(settings, ", ")))
	if err != nil {
		return fmt.Errorf("creating the database: %w", err)
	}
	t.in, t.name, t.final = materialized, func(table table) string { return materialized + "." + table.name }, ""
	if err := t.visible(ctx, nil); err != nil {
		return err
	}
	return t.drop(ctx)
}

func (t *trial) drop(ctx context.Context) error { return t.dropMaterialized(ctx) }

func (a *arena) dropMaterialized(ctx context.Context) error {
	if err := a.admin.Exec(ctx, "DROP DATABASE IF EXISTS "+materialized+" SYNC"); err != nil {
		return fmt.Errorf("dropping the database of MaterializedPostgreSQL: %w", err)
	}
	return nil
}
