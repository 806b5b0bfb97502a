package catalog

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/devstack/devtest"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

// patience is how long tests wait for what must happen.
const patience = time.Minute

// database is a session of a superuser.
type database struct {
	t      *testing.T
	dsn    string
	source *Source
	db     *pgx.Conn
	server *Server
}

func newDatabase(t *testing.T, statements ...string) *database {
	t.Helper()
	before := goleak.IgnoreCurrent()
	dsn := devtest.Postgres(t)
	t.Cleanup(func() { goleak.VerifyNone(t, devtest.IgnoreServers(), before) })
	return open(t, dsn, statements...)
}

func open(t *testing.T, dsn string, statements ...string) *database {
	t.Helper()
	d := &database{t: t, dsn: dsn}
	var err error
	if d.source, err = NewSource(dsn, nil); err != nil {
		t.Fatal(err)
	}
	if d.db, err = d.source.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.db.Close(context.Background()) })
	if d.server, err = ReadServer(t.Context(), d.db); err != nil {
		t.Fatal(err)
	}
	d.exec("SET search_path = public")
	d.exec(statements...)
	return d
}

func (d *database) exec(statements ...string) {
	d.t.Helper()
	for _, s := range statements {
		if _, err := d.db.Exec(d.t.Context(), s); err != nil {
			d.t.Fatalf("%s: %v", s, err)
		}
	}
}

// role makes a role for this test that may log in, and returns the DSN that
// uses it. Its name is the database's.
func (d *database) role(attributes string) (name, dsn string) {
	d.t.Helper()
	name = d.source.Database()
	d.exec("CREATE ROLE " + name + " LOGIN PASSWORD 'role' " + attributes)
	d.t.Cleanup(func() {
		_, err := d.db.Exec(context.Background(), "DROP OWNED BY "+name+"; DROP ROLE "+name)
		if err != nil {
			d.t.Error(err)
		}
	})
	user := d.source.config.User + ":" + d.source.config.Password
	return name, strings.Replace(d.dsn, user, name+":role", 1)
}

// tables selects by globs, as a pipe that streams does where nothing else is said.
func (d *database) tables(selection Selection, published *Publication) ([]*Table, error) {
	return Tables(d.t.Context(), d.db, d.server, &selection, published, true)
}

func (d *database) table(name string) *Table {
	d.t.Helper()
	tables, err := d.tables(Selection{Include: []string{Literal("public." + name)}}, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return tables[0]
}

func (d *database) publication(name string) *Publication {
	d.t.Helper()
	p, err := ReadPublication(d.t.Context(), d.db, d.server, name)
	if err != nil {
		d.t.Fatal(err)
	}
	return p
}

func names(tables []*Table) string {
	var names []string
	for _, t := range tables {
		names = append(names, t.String())
	}
	return strings.Join(names, " ")
}

// wantFailure checks that err is a Failure of a class whose sentences say what
// they should.
func wantFailure(t *testing.T, err error, class string, says ...string) {
	t.Helper()
	var failure *change.Failure
	if !errors.As(err, &failure) {
		t.Fatalf("got %v, want a failure", err)
	}
	if failure.Class != class {
		t.Errorf("class %q, want %q (%v)", failure.Class, class, err)
	}
	if failure.Reason == "" || failure.Fix == "" {
		t.Errorf("reason %q, fix %q", failure.Reason, failure.Fix)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%q does not say %q", err, s)
		}
	}
}
