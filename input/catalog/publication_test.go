package catalog

import (
	"fmt"
	"strings"
	"testing"
)

// publish has Penstock make or alter the publication p for what globs select.
func (d *database) publish(existing *Publication, globs ...string) {
	d.t.Helper()
	tables, err := d.tables(Selection{Include: globs}, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := Publish(d.t.Context(), d.db, d.server, "p", existing, tables); err != nil {
		d.t.Fatal(err)
	}
}

// published lists what publication p publishes.
func (d *database) published() (list string) {
	d.t.Helper()
	err := d.db.QueryRow(d.t.Context(), `SELECT coalesce(string_agg(tablename, ' ' ORDER BY tablename), '') FROM pg_publication_tables WHERE pubname = 'p'`).Scan(&list)
	if err != nil {
		d.t.Fatal(err)
	}
	return list
}

const twoTables = "CREATE TABLE a (id int PRIMARY KEY, x text, y text); CREATE TABLE b (id int PRIMARY KEY)"

func TestOurPublicationFollowsTheTables(t *testing.T) {
	d := newDatabase(t, twoTables, "CREATE TABLE child () INHERITS (a)",
		"CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id)", "CREATE TABLE leaf PARTITION OF parts DEFAULT")
	if p := d.publication("p"); p != nil {
		t.Errorf("got %+v where there is none", p)
	}
	d.publish(nil, "public.a", "public.parts")
	// A table that inherits does not come along, a partitioned one stands for
	// its partitions.
	if got := d.published(); got != "a parts" {
		t.Errorf("published %q, want a and parts", got)
	}
	p := d.publication("p")
	if !p.Ours || len(p.Warnings) > 0 {
		t.Errorf("got %+v", p)
	}
	d.publish(p, "public.[ab]", "public.parts")
	if got := d.published(); got != "a b parts" {
		t.Errorf("published %q after a table was added", got)
	}
	d.publish(d.publication("p"), "public.b")
	if got := d.published(); got != "b" {
		t.Errorf("published %q after tables were removed", got)
	}
	// Nothing to do is nothing done, also where we might not.
	_, dsn := d.role("")
	d.exec("GRANT SELECT ON b TO " + d.source.Database())
	open(t, dsn).publish(d.publication("p"), "public.b")

	if err := DropPublication(t.Context(), d.db, d.publication("p")); err != nil {
		t.Error(err)
	}
	if p := d.publication("p"); p != nil {
		t.Error("our publication was not dropped")
	}
	if err := DropPublication(t.Context(), d.db, nil); err != nil {
		t.Error(err)
	}
}

// TestUsersPublicationIsLeftAlone guards rule 24.
func TestUsersPublicationIsLeftAlone(t *testing.T) {
	d := newDatabase(t, twoTables, "CREATE PUBLICATION p FOR TABLE a WITH (publish = 'insert, update')", "COMMENT ON PUBLICATION p IS 'not created by penstock'")
	p := d.publication("p")
	if p.Ours {
		t.Error("the user's publication is taken for ours")
	}
	if got := fmt.Sprint(p.Warnings); got != fmt.Sprint([]string{`publication "p" leaves out deletes, so they are not replicated`, `publication "p" leaves out truncates, so they are not replicated`}) {
		t.Errorf("warnings %s", got)
	}
	d.publish(p, "public.b")
	if err := DropPublication(t.Context(), d.db, p); err != nil {
		t.Error(err)
	}
	if got := d.published(); got != "a" {
		t.Errorf("published %q, want what the user published", got)
	}
	// Without `tables` it says what is replicated; with, it must hold them.
	tables, err := d.tables(Selection{}, p)
	if err != nil || names(tables) != "public.a" {
		t.Errorf("got %s, %v", names(tables), err)
	}
	_, err = d.tables(Selection{Include: []string{"public.*"}}, p)
	wantFailure(t, err, ClassPublication, "public.b", `ALTER PUBLICATION "p" ADD TABLE "public"."b"`, "`exclude_tables`")
	_, err = d.tables(Selection{Exclude: []string{"public.*"}}, p)
	wantFailure(t, err, ClassConfiguration, "the publication holds no table")
}

func TestPublicationOfAllTables(t *testing.T) {
	d := newDatabase(t, twoTables, "CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id)", "CREATE TABLE leaf PARTITION OF parts DEFAULT",
		"CREATE PUBLICATION p FOR ALL TABLES WITH (publish_via_partition_root = true)")
	tables, err := d.tables(Selection{}, d.publication("p"))
	if err != nil || names(tables) != "public.a public.b public.parts" {
		t.Errorf("got %s, %v", names(tables), err)
	}
}

// TestPublishedPartitionsAreRefused guards rule 13.
func TestPublishedPartitionsAreRefused(t *testing.T) {
	d := newDatabase(t, "CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id)", "CREATE TABLE leaf PARTITION OF parts DEFAULT")
	d.exec("SET search_path = pg_catalog") // as our sessions have it, so that names are qualified
	read := func() error {
		_, err := ReadPublication(t.Context(), d.db, d.server, "p")
		return err
	}
	d.exec("CREATE PUBLICATION p FOR TABLE public.parts")
	wantFailure(t, read(), ClassPublication, "public.leaf", `ALTER PUBLICATION "p" SET (publish_via_partition_root = true)`)
	d.exec("ALTER PUBLICATION p SET (publish_via_partition_root = true)")
	if err := read(); err != nil {
		t.Errorf("after the fix: %v", err)
	}
	d.exec("ALTER PUBLICATION p SET TABLE public.leaf")
	wantFailure(t, read(), ClassPublication, "public.leaf", `ALTER PUBLICATION "p" ADD TABLE public.parts`)
	d.exec("ALTER PUBLICATION p ADD TABLE public.parts")
	if err := read(); err != nil {
		t.Errorf("after the fix: %v", err)
	}
}

func TestColumnListsAndRowFilters(t *testing.T) {
	d := newDatabase(t, twoTables, "CREATE TABLE g (id int PRIMARY KEY, secret int, leak int GENERATED ALWAYS AS (secret) STORED)")
	if d.server.Version < 150000 {
		d.exec("CREATE PUBLICATION p FOR TABLE a, b")
		for oid, table := range d.publication("p").tables {
			if table.Columns != nil || table.RowFilter != "" {
				t.Errorf("table %d: %+v", oid, table)
			}
		}
		return
	}
	d.exec("CREATE PUBLICATION p FOR TABLE a (x, id) WHERE (id > 5 AND x <> 'it''s'), b, g (id)")
	tables, err := d.tables(Selection{}, d.publication("p"))
	if err != nil {
		t.Fatal(err)
	}
	a, b, g := tables[0], tables[1], tables[2]
	if got := describe(a); got != "id int4 NOT NULL, x text {id}" {
		t.Errorf("a is %s", got)
	}
	if got := describe(b); got != "id int4 NOT NULL {id}" || b.RowFilter != "" {
		t.Errorf("b is %s where %q", got, b.RowFilter)
	}
	// What the user left out is not copied by another way.
	if got := describe(g); got != "id int4 NOT NULL {id}" {
		t.Errorf("g is %s", got)
	}
	var rows int
	d.exec("INSERT INTO a VALUES (5, 'a'), (6, 'it''s'), (7, 'b')")
	if err := d.db.QueryRow(t.Context(), "SELECT count(*) FROM public.a WHERE "+a.RowFilter).Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%q matches %d rows, %v", a.RowFilter, rows, err)
	}
	d.exec("ALTER PUBLICATION p SET TABLE a (x), b")
	_, err = d.tables(Selection{}, d.publication("p"))
	wantFailure(t, err, ClassConfiguration, "public.a", "column list")
}

func TestPublicationThatMayNotBeMade(t *testing.T) {
	d := newDatabase(t, twoTables)
	_, dsn := d.role("REPLICATION")
	d.exec("GRANT SELECT ON a, b TO " + d.source.Database())
	plain := open(t, dsn)
	tables, err := plain.tables(Selection{Include: []string{"public.*"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = Publish(t.Context(), plain.db, plain.server, "p", nil, tables)
	wantFailure(t, err, ClassPrivilege, `"p"`, "permission denied", "GRANT CREATE ON DATABASE", "`publication_name`")
	plain.exec("SET default_transaction_read_only = on") // as on a standby
	err = Publish(t.Context(), plain.db, plain.server, "p", nil, tables)
	wantFailure(t, err, ClassPublication, `"p"`, "primary")
}

// TestPublicationNamesAreQuoted: nothing that a user writes is taken for SQL.
func TestPublicationNamesAreQuoted(t *testing.T) {
	d := newDatabase(t, `CREATE TABLE "T ""x"" DROP" (id int PRIMARY KEY)`)
	tables, err := d.tables(Selection{Include: []string{"public.*"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	name := `p"; DROP TABLE x; --`
	if err := Publish(t.Context(), d.db, d.server, name, nil, tables); err != nil {
		t.Fatal(err)
	}
	p := d.publication(name)
	if p == nil || !p.Ours || len(p.tables) != 1 || !strings.Contains(p.Name, "DROP") {
		t.Errorf("got %+v", p)
	}
}
