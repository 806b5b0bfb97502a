package input

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/finding"
)

// Check looks at the source as a start of the pipe would, and further: it goes
// on after the first problem, and tells what may bite later. It changes nothing.
// It returns the tables that can be replicated beside what it found.
func (p *Plan) Check(ctx context.Context) (finding.List, []*change.Table) {
	k := &checking{config: p.config}
	k.run(ctx)
	tables := make([]*change.Table, len(k.tables))
	for i, t := range k.tables {
		tables[i] = t.Table
	}
	return k.found, tables
}

// checking is one preflight of a source.
type checking struct {
	config      *config
	conn        *pgx.Conn
	server      *catalog.Server
	publication *catalog.Publication
	tables      []*catalog.Table
	found       finding.List
}

func (k *checking) run(ctx context.Context) {
	const subject = "connection"
	var err error
	if k.conn, err = k.config.source.Connect(ctx); err != nil {
		k.found.Fail(subject, err)
		return
	}
	defer catalog.Close(k.conn)
	if k.server, err = catalog.ReadServer(ctx, k.conn); err != nil {
		k.found.Fail(subject, err)
		return
	}
	k.found.OK(subject, fmt.Sprintf("PostgreSQL %d.%d, database %q as role %q", k.server.Version/10000, k.server.Version%10000,
		k.config.source.Database(), k.config.source.User()))
	steps := []func(context.Context) error{k.checkServer}
	if k.config.streaming() {
		steps = append(steps, k.checkReplicationSession, k.checkSettings, k.checkSlot, k.checkPublication)
	}
	for _, step := range append(steps, k.checkTables) {
		if err := step(ctx); err != nil {
			k.found.Fail("source", catalog.Explain(err))
			return
		}
	}
	if k.config.streaming() && k.publication == nil {
		if err := k.checkMayPublish(ctx); err != nil {
			k.found.Fail("publication", catalog.Explain(err))
		}
	}
}

// checkServer asks [catalog.Server.Check] about one condition at a time: it
// returns the first that does not hold, and all of them are wanted.
func (k *checking) checkServer(context.Context) error {
	user := k.config.source.User()
	fit := catalog.Server{Version: max(k.server.Version, 160000), WALLevel: "logical", MayReplicate: true}
	for _, condition := range []struct {
		subject, ok string
		streaming   bool
		spoil       func(*catalog.Server)
	}{
		{"version", "PostgreSQL 14 or later", false, func(s *catalog.Server) { s.Version = k.server.Version }},
		{"wal_level", "logical", true, func(s *catalog.Server) { s.WALLevel = k.server.WALLevel }},
		{"REPLICATION", fmt.Sprintf("role %q has the right", user), true, func(s *catalog.Server) { s.MayReplicate = k.server.MayReplicate }},
		{"primary", "the server can decode its WAL", true, func(s *catalog.Server) {
			s.InRecovery, s.Version = k.server.InRecovery, max(k.server.Version, 140000)
		}},
	} {
		if condition.streaming && !k.config.streaming() {
			continue
		}
		trial := fit
		condition.spoil(&trial)
		if err := trial.Check(user, condition.streaming); err != nil {
			k.found.Fail(condition.subject, err)
		} else {
			k.found.OK(condition.subject, condition.ok)
		}
	}
	return nil
}

func (k *checking) checkReplicationSession(ctx context.Context) error {
	const subject = "replication session"
	if !k.server.MayReplicate {
		return nil // said already
	}
	replication, err := k.config.source.ConnectReplication(ctx)
	if err != nil {
		k.found.Fail(subject, err)
		return nil
	}
	k.found.OK(subject, "pg_hba.conf lets it in")
	return replication.Close(ctx)
}

func (k *checking) checkPublication(ctx context.Context) error {
	const subject = "publication"
	name := k.config.publication
	var err error
	k.publication, err = catalog.ReadPublication(ctx, k.conn, k.server, name)
	var failure *change.Failure
	switch {
	case errors.As(err, &failure):
		k.found.Fail(subject, err)
	case err != nil:
		return err
	case k.publication != nil:
		for _, warning := range k.publication.Warnings {
			k.found.Warn(subject, warning, fmt.Sprintf("ALTER PUBLICATION %s SET (publish = 'insert, update, delete, truncate')", pgx.Identifier{name}.Sanitize()))
		}
		if k.publication.Ours {
			k.found.OK(subject, fmt.Sprintf("%q is there, created by Penstock", name))
		} else {
			k.found.OK(subject, fmt.Sprintf("%q is there, created by somebody else: Penstock uses it and never changes it", name))
		}
	case len(k.config.selection.Include) == 0:
		k.found.Problem(subject, fmt.Sprintf("%q does not exist, and field `tables` is empty, so there is nothing to replicate", name),
			`name tables, for example tables: ["public.*"], or create the publication`)
	}
	return nil
}

// mostTables bounds how many tables that cannot be replicated are looked for:
// each costs another look at all of them.
const mostTables = 50

// checkTables surveys the tables. The survey ends at the first that cannot be
// replicated, so that one is left out and the survey repeated.
func (k *checking) checkTables(ctx context.Context) error {
	if len(k.config.selection.Include) == 0 && k.publication == nil {
		if k.config.streaming() {
			return nil // said already
		}
	}
	selection := k.config.selection
	selection.Exclude = slices.Clone(selection.Exclude)
	restricting := k.publication
	if restricting != nil && restricting.Ours && len(selection.Include) > 0 {
		restricting = nil
	}
	for bad := 0; ; bad++ {
		tables, err := catalog.Tables(ctx, k.conn, k.server, &selection, restricting, k.config.streaming())
		var failure *change.Failure
		switch {
		case err == nil:
			k.tables = tables
			k.describeTables()
			return nil
		case !errors.As(err, &failure):
			return err
		case failure.Table == "":
			if bad == 0 {
				k.found.Fail("tables", err)
			}
			return nil // no table is left
		case bad == mostTables:
			k.found.Problem("tables", fmt.Sprintf("%d tables cannot be replicated, and there are more", bad), "mend or leave out those above, then check again")
			return nil
		}
		k.found.Fail(failure.Table, err)
		selection.Exclude = append(selection.Exclude, catalog.Literal(failure.Table))
	}
}

func (k *checking) describeTables() {
	for _, t := range k.tables {
		for _, warning := range t.Warnings {
			k.found.Warn(t.String(), warning, "")
		}
		key := "the whole row is the key"
		if !t.KeyIsWholeRow {
			key = "key (" + strings.Join(t.KeyNames(), ", ") + ")"
		}
		text := fmt.Sprintf("%d columns, %s", len(t.Columns), key)
		if t.Partitioned {
			text += ", partitioned"
		}
		if t.RowFilter != "" {
			text += ", rows " + t.RowFilter
		}
		k.found.OK(t.String(), text)
	}
}

// checkMayPublish says whether our role may create the publication that is not
// there yet.
func (k *checking) checkMayPublish(ctx context.Context) error {
	const subject = "publication"
	name := k.config.publication
	oids := make([]uint32, len(k.tables))
	for i, t := range k.tables {
		oids[i] = t.OID
	}
	var create bool
	var others []string
	err := k.conn.QueryRow(ctx, `SELECT has_database_privilege(current_database(), 'CREATE'),
		ARRAY(SELECT format('%I.%I', relnamespace::regnamespace, relname) FROM pg_class
		       WHERE oid = ANY($1) AND NOT pg_has_role(relowner, 'USAGE') ORDER BY 1)`, oids).Scan(&create, &others)
	if err != nil {
		return fmt.Errorf("asking for the right to create a publication: %w", err)
	}
	role := pgx.Identifier{k.config.source.User()}.Sanitize()
	if !create {
		k.found.Problem(subject, fmt.Sprintf("%q does not exist and our role may not create it", name),
			fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s", pgx.Identifier{k.config.source.Database()}.Sanitize(), role))
	}
	if len(others) > 0 {
		k.found.Problem(subject, fmt.Sprintf("%q does not exist, and only the owner of a table may publish it, which our role is not of %d (such as %s)", name, len(others), others[0]),
			fmt.Sprintf("let the owner run CREATE PUBLICATION %s FOR TABLE %s WITH (publish_via_partition_root = true)", pgx.Identifier{name}.Sanitize(), strings.Join(others, ", ")))
	}
	if create && len(others) == 0 && len(k.tables) > 0 {
		k.found.OK(subject, fmt.Sprintf("%q will be created", name))
	}
	return nil
}

// oldTransaction is the age from which a writing transaction is worth a word:
// the creation of a slot waits for all that are open.
const oldTransaction = 30 * time.Second
