package output

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/finding"
	"github.com/penstock/penstock/output/ddl"
)

// Check looks at the destination as the output would when it starts, and at what it would do with source tables. It
// changes nothing.
func (p *Plan) Check(ctx context.Context, tables []*change.Table) finding.List {
	k := &checking{plan: p, sources: make(map[string]string)}
	if !k.checkServer(ctx) {
		return k.found
	}
	conn, err := p.Connect()
	if err != nil {
		k.found.Fail("connection", err)
		return k.found
	}
	defer func() { _ = conn.Close() }()
	k.conn = conn
	if err := k.checkDatabase(ctx); err != nil {
		k.found.Fail("database", err)
		return k.found
	}
	k.checkGrants(ctx)
	for _, name := range p.unknownTables(tables) {
		k.found.Warn(name, "field `tables` of the output names a table that the pipe does not replicate", "correct the name or remove it")
	}
	for _, table := range tables {
		if err := k.checkTable(ctx, table); err != nil {
			k.found.Fail(table.String(), err)
		}
	}
	return k.found
}

// checking is one preflight of a destination.
type checking struct {
	plan    *Plan
	conn    driver.Conn
	utc     bool
	sources map[string]string // source table by destination
	found   finding.List
}

// checkServer says whether it is worth going on.
func (k *checking) checkServer(ctx context.Context) bool {
	server, err := k.plan.Ping(ctx)
	if err != nil {
		k.found.Fail("connection", err)
		return false
	}
	k.utc = server.UTC()
	k.found.OK("connection", fmt.Sprintf("ClickHouse %s, database %q as user %q", server.Version, k.plan.conf.dsn.Database, k.plan.conf.dsn.User))
	return true
}

func (k *checking) checkDatabase(ctx context.Context) error {
	const subject = "database"
	name := k.plan.conf.dsn.Database
	var engine string
	if err := k.conn.QueryRow(ctx, "SELECT engine FROM system.databases WHERE name = ?", name).Scan(&engine); err != nil {
		return fmt.Errorf("reading the engine of database %q: %w", name, err)
	}
	switch engine {
	case "Atomic", "Replicated", "Shared":
		k.found.OK(subject, "engine "+engine)
	default:
		k.found.Warn(subject, fmt.Sprintf("database %q has engine %s, which cannot exchange two tables: a resync needs that", name, engine),
			fmt.Sprintf("CREATE DATABASE another_name ENGINE = Atomic, and name it in field `dsn` instead of %q", name))
	}
	return nil
}

// checkGrants asks whether the user may do what the output does. Servers before 24.11 cannot be asked; there the first
// statement will tell.
func (k *checking) checkGrants(ctx context.Context) {
	const subject = "grants"
	wanted := []string{"SELECT", "INSERT", "CREATE TABLE", "ALTER TABLE", "DROP TABLE"}
	var missing []string
	on := ddl.Quote(k.plan.conf.dsn.Database) + ".*"
	for _, privilege := range wanted {
		var granted uint8
		if err := k.conn.QueryRow(ctx, "CHECK GRANT "+privilege+" ON "+on).Scan(&granted); err != nil {
			return
		}
		if granted == 0 {
			missing = append(missing, privilege)
		}
	}
	if missing == nil {
		k.found.OK(subject, strings.Join(wanted, ", "))
		return
	}
	list := strings.Join(missing, ", ")
	fix := fmt.Sprintf("GRANT %s ON %s TO %s", list, on, ddl.Quote(k.plan.conf.dsn.User))
	for _, privilege := range missing {
		if privilege == "SELECT" || privilege == "INSERT" {
			k.found.Problem(subject, "the user lacks "+list, fix)
			return
		}
	}
	k.found.Warn(subject, fmt.Sprintf("the user lacks %s, which new tables, schema changes and a resync need", list), fix)
}

func (k *checking) checkTable(ctx context.Context, table *change.Table) error {
	target, err := k.plan.target(table, k.utc)
	if err != nil {
		k.found.Warn(table.String(), "its destination is not known before its rows come: "+err.Error(), "")
		return nil
	}
	subject := table.String() + " → " + target.String()
	if other, taken := k.sources[target.Name]; taken {
		k.found.Warn(subject, "goes to the same table as "+other+": rows with the same key replace each other", "use @database_schema and @table in field `table`")
	}
	k.sources[target.Name] = table.String()
	existing, err := target.Read(ctx, k.conn)
	if err != nil {
		return err
	}
	if existing != nil {
		if err := target.Check(table, existing); err != nil {
			return k.incompatible(subject, err)
		}
		k.found.OK(subject, fmt.Sprintf("is there with engine %s and fits", existing.Engine))
		return nil
	}
	statement, err := target.Create(table)
	if err != nil {
		return k.incompatible(subject, err)
	}
	if !k.plan.conf.createTables {
		k.found.Problem(subject, "does not exist and `create_tables` is false", "set it to true, or run "+strings.ReplaceAll(statement, "\n", " "))
		return nil
	}
	k.found.OK(subject, fmt.Sprintf("will be created with engine %s", target.Engine))
	return nil
}

// incompatible makes one finding of each thing that does not fit. Its sentence holds what mends it.
func (k *checking) incompatible(subject string, err error) error {
	var mismatch *ddl.IncompatibleError
	if !errors.As(err, &mismatch) {
		return err
	}
	for _, problem := range mismatch.Problems {
		text, fix, found := strings.Cut(problem, ": run ")
		if !found {
			text, fix = problem, ""
		}
		k.found.Problem(subject, text, fix)
	}
	return nil
}
