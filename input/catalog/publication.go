package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/internal/change"
)

// ourMark is the comment on a publication that Penstock created: only such a
// publication is altered or dropped by us.
const ourMark = "created by penstock"

// Publication is what the source publishes under one name.
type Publication struct {
	Name string
	// OID tells it from another one of that name.
	OID uint32
	// Ours says that Penstock created it.
	Ours    bool
	viaRoot bool
	tables  map[uint32]PublishedTable
	// Warnings are operations that it does not publish.
	Warnings []string
}

// PublishedTable is how a publication restricts one table.
type PublishedTable struct {
	// Columns is the column list, nil for all columns.
	Columns []string
	// RowFilter is the WHERE clause, "" for none.
	RowFilter string
	// Generated says that stored generated columns are in the stream.
	Generated bool
}

func (p *Publication) table(oid uint32) (PublishedTable, bool) {
	if p == nil {
		return PublishedTable{}, false
	}
	t, ok := p.tables[oid]
	return t, ok
}

// ReadPublication returns the publication called name, nil where there is none.
func ReadPublication(ctx context.Context, conn *pgx.Conn, server *Server, name string) (*Publication, error) {
	p := &Publication{Name: name, tables: map[uint32]PublishedTable{}}
	var insert, update, remove, truncate bool
	err := conn.QueryRow(ctx, `
		SELECT oid, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot,
		       coalesce(obj_description(oid, 'pg_publication') = $2, false)
		  FROM pg_publication WHERE pubname = $1`, name, ourMark).
		Scan(&p.OID, &insert, &update, &remove, &truncate, &p.viaRoot, &p.Ours)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading publication %q: %w", name, Explain(err))
	}
	for _, operation := range []struct {
		name      string
		published bool
	}{{"inserts", insert}, {"updates", update}, {"deletes", remove}, {"truncates", truncate}} {
		if !operation.published {
			p.Warnings = append(p.Warnings, fmt.Sprintf("publication %q leaves out %s, so they are not replicated", name, operation.name))
		}
	}
	if err := p.readTables(ctx, conn, server); err != nil {
		return nil, err
	}
	if err := p.checkPartitions(ctx, conn); err != nil {
		return nil, err
	}
	return p, nil
}

// PublicationOID returns the OID of the publication called name, 0 where there
// is none.
func PublicationOID(ctx context.Context, conn *pgx.Conn, name string) (uint32, error) {
	var oid uint32
	err := conn.QueryRow(ctx, `SELECT oid FROM pg_publication WHERE pubname = $1`, name).Scan(&oid)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("looking up publication %q: %w", name, Explain(err))
	}
	return oid, nil
}

// publishesGenerated says whether a publication that we make has the server
// send stored generated columns.
func publishesGenerated(server *Server) bool { return server.Version >= 180000 }

func (p *Publication) readTables(ctx context.Context, conn *pgx.Conn, server *Server) error {
	restrictions, generated := "NULL::text[], ''", "false"
	if publishesGenerated(server) {
		generated = "(SELECT pubgencols = 's' FROM pg_publication p WHERE p.pubname = t.pubname)"
	}
	if server.Version >= 150000 {
		// attnames always lists the columns; only prattrs tells a list from all.
		restrictions = `CASE WHEN EXISTS (SELECT FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
		                                  WHERE p.pubname = t.pubname AND r.prrelid = c.oid AND r.prattrs IS NOT NULL)
		                     THEN t.attnames::text[] END,
		                coalesce(t.rowfilter, '')`
	}
	rows, err := conn.Query(ctx, `
		SELECT c.oid, `+restrictions+`, `+generated+`
		  FROM pg_publication_tables t
		  JOIN pg_namespace n ON n.nspname = t.schemaname
		  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
		 WHERE t.pubname = $1`, p.Name)
	if err != nil {
		return fmt.Errorf("reading publication %q: %w", p.Name, Explain(err))
	}
	var oid uint32
	var t PublishedTable
	_, err = pgx.ForEachRow(rows, []any{&oid, &t.Columns, &t.RowFilter, &t.Generated}, func() error {
		// A column list names generated columns as it names others.
		t.Generated = t.Generated || (publishesGenerated(server) && t.Columns != nil)
		p.tables[oid] = t
		t.Columns = nil
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading publication %q: %w", p.Name, Explain(err))
	}
	return nil
}

// checkPartitions refuses a publication that publishes partitions as tables of
// their own: rows that move between them would be two tables' business.
func (p *Publication) checkPartitions(ctx context.Context, conn *pgx.Conn) error {
	oids := make([]uint32, 0, len(p.tables))
	for oid := range p.tables {
		oids = append(oids, oid)
	}
	var partition, root string
	err := conn.QueryRow(ctx, `
		SELECT oid::regclass::text, pg_partition_root(oid)::text
		  FROM pg_class WHERE oid = ANY($1) AND relispartition ORDER BY 1 LIMIT 1`, oids).Scan(&partition, &root)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading publication %q: %w", p.Name, Explain(err))
	}
	f := &change.Failure{
		Class:  ClassPublication,
		Reason: fmt.Sprintf("publication %q publishes partitions (such as %s) instead of the partitioned table", p.Name, partition),
		Fix:    fmt.Sprintf("run ALTER PUBLICATION %s SET (publish_via_partition_root = true)", quote(p.Name)),
	}
	if p.viaRoot { // and yet a partition is listed: its root is not published
		f.Fix = fmt.Sprintf("run ALTER PUBLICATION %s ADD TABLE %s, which publishes all partitions", quote(p.Name), root)
	}
	return f
}

// Publish makes publication name hold exactly tables: it is created where
// existing is nil, and altered where it is ours. A publication of the user's is
// left alone; [Tables] has checked that it holds what is needed.
func Publish(ctx context.Context, conn *pgx.Conn, server *Server, name string, existing *Publication, tables []*Table) error {
	if existing != nil && !existing.Ours {
		return nil
	}
	names := make([]string, len(tables))
	changed := existing == nil || len(existing.tables) != len(tables)
	for i, t := range tables {
		// ONLY: without it, tables that inherit from this one come along.
		names[i] = "ONLY " + quote(t.Schema, t.Name)
		if _, ok := existing.table(t.OID); !ok {
			changed = true
		}
	}
	if !changed {
		return nil
	}
	list := strings.Join(names, ", ")
	if existing != nil {
		if _, err := conn.Exec(ctx, fmt.Sprintf("ALTER PUBLICATION %s SET TABLE %s", quote(name), list)); err != nil {
			return fmt.Errorf("altering publication %q: %w", name, explainPublication(name, err))
		}
		return nil
	}
	options := "publish_via_partition_root = true"
	if publishesGenerated(server) {
		options += ", publish_generated_columns = stored"
	}
	// One transaction: a publication without its mark would look like the user's.
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf("CREATE PUBLICATION %s FOR TABLE %s WITH (%s)", quote(name), list, options)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, fmt.Sprintf("COMMENT ON PUBLICATION %s IS '%s'", quote(name), ourMark))
		return err
	})
	if err != nil {
		return fmt.Errorf("creating publication %q: %w", name, explainPublication(name, err))
	}
	return nil
}

func explainPublication(name string, err error) error {
	switch SQLSTATE(err) {
	case codeNoPrivilege:
	case codeReadOnly:
		return &change.Failure{
			Class: ClassPublication, Err: err,
			Reason: fmt.Sprintf("publication %q does not exist, and a standby cannot create it", name),
			Fix:    "create it on the primary, with publish_via_partition_root = true",
		}
	default:
		return Explain(err)
	}
	return &change.Failure{
		Class: ClassPrivilege, Err: err,
		Reason: fmt.Sprintf("our role may not create publication %q (%s)", name, Explain(err).(*change.Failure).Reason),
		Fix:    "GRANT CREATE ON DATABASE and ownership of the tables to the role, or let the owner create the publication and name it in field `publication_name`",
	}
}

// DropPublication drops the publication if it is ours.
func DropPublication(ctx context.Context, conn *pgx.Conn, p *Publication) error {
	if p == nil || !p.Ours {
		return nil
	}
	if _, err := conn.Exec(ctx, "DROP PUBLICATION IF EXISTS "+quote(p.Name)); err != nil {
		return fmt.Errorf("dropping publication %q: %w", p.Name, Explain(err))
	}
	return nil
}
