package catalog

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/penstock/penstock/internal/devstack"
	"github.com/penstock/penstock/internal/devstack/devtest"
)

func TestCheckSlotName(t *testing.T) {
	for name, good := range map[string]bool{
		"penstock_shop": true, "0": true, strings.Repeat("x", 63): true,
		"": false, "Shop": false, "a-b": false, "a b": false, "ä": false, "a\n": false, strings.Repeat("x", 64): false,
	} {
		err := CheckSlotName(name)
		if (err == nil) != good {
			t.Errorf("%q: got %v", name, err)
		}
		if err != nil && !strings.Contains(err.Error(), "`slot_name`") {
			t.Errorf("%q does not name the field", err)
		}
	}
}

func (d *database) replication() *pgconn.PgConn {
	d.t.Helper()
	conn, err := d.source.ConnectReplication(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func (d *database) slot(name string) *Slot {
	d.t.Helper()
	slot, err := ReadSlot(d.t.Context(), d.db, d.server, name)
	if err != nil {
		d.t.Fatal(err)
	}
	return slot
}

func TestSlotIsMadeReadAndDropped(t *testing.T) {
	d := newDatabase(t)
	name := d.source.Database()
	if slot := d.slot(name); slot != nil {
		t.Errorf("got %+v where there is none", slot)
	}
	created, err := CreateSlot(t.Context(), d.replication(), d.db, name)
	if err != nil {
		t.Fatal(err)
	}
	slot := d.slot(name)
	if created.Snapshot == "" || slot.ConfirmedLSN != created.ConsistentPoint || slot.RestartLSN == 0 || slot.RestartLSN > slot.ConfirmedLSN || slot.CurrentLSN < slot.ConfirmedLSN {
		t.Errorf("made %+v, read %+v", created, slot)
	}
	if slot.Plugin != "pgoutput" || slot.Database != name || slot.Temporary || slot.WALStatus != "reserved" || slot.SafeWALSize != nil || slot.InvalidationReason != "" {
		t.Errorf("read %+v", slot)
	}
	if err := slot.Check(name, name); err != nil {
		t.Error(err)
	}
	_, err = CreateSlot(t.Context(), d.replication(), d.db, name)
	if !IsDuplicate(err) {
		t.Errorf("made again: %v", err)
	}
	wantFailure(t, slot.Check(name, "other"), ClassSlot, name, "other", "`slot_name`")
	d.exec("SELECT pg_create_logical_replication_slot('" + name + "_other', 'test_decoding')")
	wantFailure(t, d.slot(name+"_other").Check(name+"_other", name), ClassSlot, "test_decoding")
	d.exec("SELECT pg_create_physical_replication_slot('" + name + "_physical')")
	t.Cleanup(func() { d.db.Exec(context.Background(), "SELECT pg_drop_replication_slot($1)", name+"_physical") })
	wantFailure(t, d.slot(name+"_physical").Check(name+"_physical", name), ClassSlot)
	for range 2 { // the second time there is nothing to drop
		if err := DropSlot(t.Context(), d.db, name); err != nil {
			t.Error(err)
		}
	}
	if d.slot(name) != nil {
		t.Error("the slot is still there")
	}
	wantFailure(t, MissingSlot(name), ClassSlot, name, "resync")
}

// TestBlockedSlotNamesTheTransaction guards rule 22.
func TestBlockedSlotNamesTheTransaction(t *testing.T) {
	server := devtest.OwnPostgres(t, devstack.PostgresOptions{Settings: map[string]string{"max_prepared_transactions": "5"}})
	d := open(t, server.DSN(), "CREATE TABLE t (id int)")
	blocked := func() error {
		t.Helper()
		_, err := createSlot(t.Context(), d.replication(), d.db, "blocked", time.Second)
		if err == nil {
			t.Fatal("the slot was made beside an open transaction")
		}
		devtest.Eventually(t, patience, "nothing is left of the slot", func() (bool, error) { return d.slot("blocked") == nil, nil })
		return err
	}

	writer := open(t, server.DSN(), "BEGIN", "INSERT INTO t VALUES (1)")
	err := blocked()
	for _, want := range []string{
		`creating slot "blocked"`, fmt.Sprintf("pid %d", writer.db.PgConn().PID()), "role postgres", "idle in transaction", "INSERT INTO t VALUES (1)",
		fmt.Sprintf("pg_terminate_backend(%d)", writer.db.PgConn().PID()),
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if Explain(err) != err {
		t.Error("a blocked slot is not tried again")
	}

	// A prepared transaction blocks without a session.
	writer.exec("PREPARE TRANSACTION 'for''gotten'")
	if err := blocked(); !strings.Contains(err.Error(), "prepared transaction 'for''gotten'") || !strings.Contains(err.Error(), "ROLLBACK PREPARED 'for''gotten'") {
		t.Errorf("%q does not name the prepared transaction", err)
	}
	writer.exec("COMMIT PREPARED 'for''gotten'")
	if _, err := createSlot(t.Context(), d.replication(), d.db, "blocked", patience); err != nil {
		t.Errorf("after its end: %v", err)
	}
}

// TestBlockingTransactionOfAnotherRole: a role without pg_monitor sees the pid
// of others' sessions and little else.
func TestBlockingTransactionOfAnotherRole(t *testing.T) {
	d := newDatabase(t, "CREATE TABLE t (id int)", "BEGIN", "INSERT INTO t VALUES (1)")
	before := newDatabase(t)
	_, dsn := before.role("")
	plain := open(t, dsn)
	err := blockedSlot(t.Context(), plain.db)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("pg_terminate_backend(%d)", d.db.PgConn().PID())) {
		t.Errorf("got %v", err)
	}
	d.exec("ROLLBACK")
}

// TestLostSlotSaysWhatToRaise guards rule 21.
func TestLostSlotSaysWhatToRaise(t *testing.T) {
	server := devtest.OwnPostgres(t, devstack.PostgresOptions{Settings: map[string]string{
		"max_slot_wal_keep_size": "1MB", "max_wal_size": "32MB", "min_wal_size": "32MB",
	}})
	d := open(t, server.DSN(), "CREATE TABLE t (x text)")
	if _, err := CreateSlot(t.Context(), d.replication(), d.db, "s"); err != nil {
		t.Fatal(err)
	}
	if slot := d.slot("s"); slot.SafeWALSize == nil {
		t.Errorf("a slot with a limit says nothing of it: %+v", slot)
	}
	devtest.Eventually(t, patience, "the slot is lost", func() (bool, error) {
		d.exec("INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 20000)", "SELECT pg_switch_wal()", "CHECKPOINT")
		return d.slot("s").WALStatus == "lost", nil
	})
	slot := d.slot("s")
	wantFailure(t, slot.Check("s", "postgres"), ClassSlot, `slot "s" is lost`, "wal_removed", "max_slot_wal_keep_size", "pg_drop_replication_slot('s')", "resync")
	err := pgconnExec(d.replication(), `START_REPLICATION SLOT s LOGICAL 0/0 (proto_version '1', publication_names 'p')`)
	if !IsSlotInvalid(err) {
		t.Errorf("streaming from a lost slot: %v (%s)", err, SQLSTATE(err))
	}
	if !IsMissing(pgconnExec(d.replication(), `START_REPLICATION SLOT nowhere LOGICAL 0/0 (proto_version '1', publication_names 'p')`)) {
		t.Error("streaming from a slot that is not there is not told apart")
	}
}

func pgconnExec(conn *pgconn.PgConn, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := conn.Exec(ctx, sql).ReadAll()
	return err
}

func TestNoSlotLeftIsAFailure(t *testing.T) {
	server := devtest.OwnPostgres(t, devstack.PostgresOptions{Settings: map[string]string{"max_replication_slots": "1"}})
	d := open(t, server.DSN(), "SELECT pg_create_physical_replication_slot('taken')")
	_, err := CreateSlot(t.Context(), d.replication(), d.db, "s")
	wantFailure(t, err, ClassServer, "max_replication_slots", "pg_replication_slots")
}

func TestReplicationWithoutTheRightIsAFailure(t *testing.T) {
	d := newDatabase(t)
	name, dsn := d.role("")
	_, err := open(t, dsn).source.ConnectReplication(t.Context())
	wantFailure(t, err, ClassPrivilege, `ALTER ROLE "`+name+`" REPLICATION`)
}
