package shell

import (
	"strings"
	"testing"

	"github.com/penstock/penstock/internal/devstack/devtest"
)

func TestCheckFindsWhatIsWrongAtTheSource(t *testing.T) {
	e := newEnds(t)
	role := strings.ReplaceAll(e.label, "penstock_test", "weak")
	e.source(`
		CREATE TABLE bare (id int);
		CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY);
		CREATE TABLE secluded (id int PRIMARY KEY);
		ALTER TABLE secluded ENABLE ROW LEVEL SECURITY;
		CREATE TABLE hidden (id int PRIMARY KEY);
		CREATE ROLE ` + role + ` LOGIN PASSWORD 'hunter2hunter2';
		GRANT SELECT ON people, orders, bare, fleeting, secluded TO ` + role)
	defer func() { e.source("DROP OWNED BY " + role + "; DROP ROLE " + role) }()
	dsn := strings.Replace(e.postgresDSN, "://"+userinfo(t, e.postgresDSN), "://"+role+":hunter2hunter2", 1)
	e.writeFrom(dsn, "", "")

	o := penstock(t, "check", e.file)
	o.wants(t, exitRefused,
		"ALTER ROLE \""+role+"\" REPLICATION",
		`ALTER TABLE "public"."bare" REPLICA IDENTITY FULL`, "UNLOGGED", "SET LOGGED",
		"row-level security", "GRANT SELECT ON \"public\".\"hidden\"",
		"GRANT CREATE ON DATABASE", "CREATE PUBLICATION",
		"public.people → ", "max_slot_wal_keep_size")
	if strings.Contains(o.out+o.errors, "hunter2hunter2") {
		t.Error("it shows the password")
	}
}

func userinfo(t *testing.T, dsn string) string {
	t.Helper()
	_, rest, _ := strings.Cut(dsn, "://")
	info, _, found := strings.Cut(rest, "@")
	if !found {
		t.Fatalf("the DSN of the tests has no user")
	}
	return info
}

func TestCheckOfPublications(t *testing.T) {
	e := newEnds(t)
	e.source("CREATE PUBLICATION mine FOR TABLE people WITH (publish = 'insert', publish_via_partition_root)")
	e.write("publication_name: mine", "")
	penstock(t, "check", e.file).wants(t, exitRefused, "leaves out updates", `ALTER PUBLICATION "mine" ADD TABLE "public"."orders"`, "created by somebody else")
	e.write("tables: []\n    publication_name: absent", "")
	penstock(t, "check", e.file).wants(t, exitRefused, "nothing to replicate")
	e.write(`tables: ["nowhere.*"]`, "")
	penstock(t, "check", e.file).wants(t, exitRefused, "no table matches")
}

func TestCheckFindsWhatIsWrongAtTheDestination(t *testing.T) {
	e := newEnds(t)
	e.destination("CREATE TABLE public_people (id Int32) ENGINE = Memory")
	e.write("", "create_tables: false")
	penstock(t, "check", e.file).wants(t, exitRefused, "Memory", "`create_tables` is false", "CREATE TABLE", "public_orders")
	e.write("", "tables: {public.nobody: {engine: MergeTree}}")
	penstock(t, "check", e.file).wants(t, exitRefused, "public.nobody")
	e.destination("DROP TABLE public_people")
	penstock(t, "check", e.file).wants(t, 0, "will be created with engine ReplacingMergeTree")
}

func TestCheckOfFilesAndServersThatAreNotThere(t *testing.T) {
	e := newEnds(t)
	penstock(t, "check").wants(t, exitUsage, "one pipeline file")
	penstock(t, "check", e.file+".no").wants(t, exitUsage, "no file")
	e.write("no_such_field: 1", "")
	penstock(t, "check", e.file).wants(t, exitRefused, "no_such_field")
	e.write("", "")
	t.Setenv("SHELL_TEST_CLICKHOUSE", "clickhouse://default:topsecret@127.0.0.1:1/nowhere")
	o := penstock(t, "check", e.file)
	o.wants(t, exitRefused, "127.0.0.1:1")
	v := penstock(t, "verify", e.file)
	v.wants(t, exitUnreachable, "the destination")
	if strings.Contains(o.out+o.errors+v.out+v.errors, "topsecret") {
		t.Error("it shows the password")
	}
	e.writeFrom("postgres://me:topsecret@127.0.0.1:1/nowhere", "", "")
	for _, command := range []string{"verify", "drop"} {
		penstock(t, command, e.file).wants(t, exitUnreachable, "the source")
	}
	penstock(t, "check", e.file).wants(t, exitRefused, "connecting to PostgreSQL")
}

// Rule 24: what Penstock did not create is not dropped.
func TestDropKeepsWhatIsTheUsers(t *testing.T) {
	e := newEnds(t)
	slot := "penstock_" + e.label
	e.source("CREATE PUBLICATION " + slot + " FOR TABLE people, orders WITH (publish_via_partition_root)")
	e.source("SELECT pg_create_logical_replication_slot('" + slot + "', 'pgoutput')")
	penstock(t, "drop", e.file, "--yes").wants(t, 0, "kept: slot", "without the pipe's state", "kept: publication", "nothing to drop")

	stop := e.start()
	e.reaches("running")
	stop()
	penstock(t, "drop", e.file, "--yes").wants(t, 0, "was not created by Penstock", "dropped: the state of pipe")
	var slots, publications int
	if err := e.postgres.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1),
		(SELECT count(*) FROM pg_publication WHERE pubname = $1)`, slot).Scan(&slots, &publications); err != nil {
		t.Fatal(err)
	}
	if slots != 1 || publications != 1 {
		t.Errorf("%d slots and %d publications are left, want 1 and 1", slots, publications)
	}
}

func TestDropKeepsASlotThatWasMadeAnew(t *testing.T) {
	e := newEnds(t)
	stop := e.start()
	e.reaches("running")
	stop()
	slot := "penstock_" + e.label
	e.source("SELECT pg_drop_replication_slot('" + slot + "')")
	e.source("INSERT INTO people VALUES (5001, 'more')")
	e.source("SELECT pg_create_logical_replication_slot('" + slot + "', 'pgoutput')")
	penstock(t, "drop", e.file, "--yes").wants(t, 0, "somebody else", "kept: publication", "dropped: the state of pipe")
	penstock(t, "drop", e.file, "--yes").wants(t, 0, "kept: publication", "nothing to drop")
	e.source("SELECT pg_drop_replication_slot('" + slot + "')")
	penstock(t, "drop", e.file, "--yes").wants(t, 0, "dropped: publication")
}

func TestDropRefusesWhileSomebodyElseReadsTheSlot(t *testing.T) {
	e := newEnds(t)
	stop := e.start()
	defer stop()
	e.reaches("running")
	devtest.Eventually(t, patience, "the slot is read", func() (active bool, err error) {
		err = e.postgres.QueryRow(t.Context(), "SELECT active FROM pg_replication_slots WHERE database = current_database()").Scan(&active)
		return active, err
	})
	e.state = t.TempDir() // as from another machine
	e.write("", "")
	penstock(t, "drop", e.file, "--yes").wants(t, exitRefused, "in use by pid")
	var left int
	if err := e.postgres.QueryRow(t.Context(), "SELECT count(*) FROM pg_publication").Scan(&left); err != nil || left != 1 {
		t.Errorf("%d publications are left, %v", left, err)
	}
}

func TestVerifyFindsADifference(t *testing.T) {
	e := newEnds(t)
	e.start()
	e.reaches("running")
	penstock(t, "verify", e.file).wants(t, 0, "equal")
	e.destination("INSERT INTO public_people (id, name, _version) VALUES (7, 'forged', 18446744073709551615)")
	o := penstock(t, "verify", e.file, "--rows", "--timeout", "1s")
	o.wants(t, exitRefused, "DIFFERENT", "id=7", "p7", "forged", "1 of 2 tables")
	if o := penstock(t, "verify", e.file, "--timeout", "1s"); strings.Contains(o.out, "forged") {
		t.Error("it prints rows without --rows")
	}
}

func TestVerifyAtColumnsLeftOut(t *testing.T) {
	e := newEnds(t)
	e.write(`exclude_columns: {"public.orders": [total]}`, "nullable: false")
	e.source("INSERT INTO orders VALUES (9001, NULL, 1)")
	e.start()
	e.reaches("running")
	penstock(t, "verify", e.file).wants(t, 0, "2,001")
}
