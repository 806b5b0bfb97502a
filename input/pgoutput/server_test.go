package pgoutput

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/penstock/penstock/internal/devstack"
	"github.com/penstock/penstock/internal/devstack/devtest"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

// session runs statements on a server that prepares transactions and streams
// those over 64 kB.
type session struct{ conn *pgconn.PgConn }

func connect(t *testing.T) *session {
	t.Helper()
	server := devtest.OwnPostgres(t, devstack.PostgresOptions{Settings: map[string]string{
		"max_prepared_transactions": "4", "logical_decoding_work_mem": "64kB",
	}})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dsn, err := server.Database(ctx, "decoder")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &session{conn}
}

func (s *session) exec(t *testing.T, sql string) [][][]byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	results, err := s.conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if len(results) == 0 {
		return nil
	}
	return results[len(results)-1].Rows
}

// messages returns what the slot holds.
func (s *session) messages(t *testing.T, options string) [][]byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	result := s.conn.ExecParams(ctx,
		`SELECT data FROM pg_logical_slot_get_binary_changes('decoder', NULL, NULL, 'publication_names', 'decoder', 'binary', 'true', 'messages', 'true', `+options+`)`,
		nil, nil, nil, []int16{1}).Read()
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	var messages [][]byte
	for _, row := range result.Rows {
		messages = append(messages, row[0])
	}
	return messages
}

// TestAllThatAServerSendsIsRead makes a server send every kind of message, and
// checks some of what was read against what was done.
func TestAllThatAServerSendsIsRead(t *testing.T) {
	s := connect(t)
	version := string(s.exec(t, "SHOW server_version_num")[0][0])
	if version < "150000" {
		t.Skip("pgoutput sends prepared transactions from PostgreSQL 15 on")
	}
	options := `'proto_version', '4', 'streaming', 'parallel'`
	if version < "160000" {
		options = `'proto_version', '3', 'streaming', 'on'`
	}
	s.exec(t, `
		CREATE TYPE mood AS ENUM ('sad', 'glad');
		CREATE TABLE plain (id int PRIMARY KEY, note text, mood mood);
		CREATE TABLE whole (a int, b text);
		ALTER TABLE whole REPLICA IDENTITY FULL;
		ALTER TABLE plain ALTER note SET STORAGE EXTERNAL;
		CREATE TABLE nothing ();
		CREATE PUBLICATION decoder FOR ALL TABLES;
		SELECT pg_replication_origin_create('elsewhere')`)
	s.exec(t, `SELECT pg_create_logical_replication_slot('decoder', 'pgoutput', false, true)`)

	s.exec(t, `BEGIN;
		INSERT INTO plain VALUES (1, repeat('x', 9000), 'glad'), (2, NULL, NULL);
		UPDATE plain SET mood = 'sad' WHERE id = 1;
		UPDATE plain SET id = 3 WHERE id = 2;
		DELETE FROM plain WHERE id = 3;
		INSERT INTO whole VALUES (1, 'one');
		UPDATE whole SET b = 'two';
		DELETE FROM whole;
		INSERT INTO nothing DEFAULT VALUES;
		TRUNCATE plain, whole RESTART IDENTITY CASCADE;
		SELECT pg_logical_emit_message(true, 'penstock', 'inside');
		COMMIT`)
	s.exec(t, `SELECT pg_logical_emit_message(false, 'penstock', 'outside')`)
	s.exec(t, `SELECT pg_replication_origin_session_setup('elsewhere'); BEGIN; SELECT pg_replication_origin_xact_setup('16/B374D848', now());
		INSERT INTO whole VALUES (5, 'from elsewhere'); COMMIT; SELECT pg_replication_origin_session_reset()`)
	s.exec(t, `BEGIN; INSERT INTO whole VALUES (6, 'prepared'); PREPARE TRANSACTION 'kept'`)
	s.exec(t, `COMMIT PREPARED 'kept'`)
	s.exec(t, `BEGIN; INSERT INTO whole VALUES (7, 'prepared'); PREPARE TRANSACTION 'dropped'`)
	messages := s.messages(t, options+`, 'two_phase', 'true'`)
	s.exec(t, `ROLLBACK PREPARED 'dropped'`)

	// Streamed: committed with a rolled back subtransaction, prepared, aborted.
	s.exec(t, `BEGIN; INSERT INTO whole SELECT g, repeat('y', 100) FROM generate_series(1, 3000) g;
		SAVEPOINT s; INSERT INTO whole SELECT g, repeat('z', 100) FROM generate_series(1, 3000) g; ROLLBACK TO s;
		TRUNCATE whole; SELECT pg_logical_emit_message(true, 'penstock', 'streamed'); INSERT INTO plain VALUES (9, 'q', 'glad');
		INSERT INTO whole SELECT g, repeat('y', 100) FROM generate_series(1, 3000) g; COMMIT`)
	s.exec(t, `BEGIN; INSERT INTO whole SELECT g, repeat('p', 100) FROM generate_series(1, 3000) g; PREPARE TRANSACTION 'streamed'`)
	messages = append(messages, s.messages(t, options+`, 'two_phase', 'true'`)...)
	s.exec(t, `ROLLBACK PREPARED 'streamed'`)
	messages = append(messages, s.messages(t, options+`, 'two_phase', 'true'`)...)

	var seen []string
	kinds := map[Kind]int{}
	var m Message
	inStream := false
	for _, msg := range messages {
		if err := Parse(msg, inStream, &m); err != nil {
			t.Fatalf("%x: %v", msg, err)
		}
		kinds[m.Kind]++
		switch m.Kind {
		case KindStreamStart:
			inStream = true
		case KindStreamStop:
			inStream = false
		}
		if !twoPhase(m.Kind) {
			compare(t, msg, inStream && m.Kind != KindStreamStart, &m)
		}
		if (m.XID != 0) != (inStream && carriesXID(m.Kind)) {
			t.Errorf("%v has XID %d, in a stream %v", m.Kind, m.XID, inStream)
		}
		seen = append(seen, outline(&m)...)
	}
	for k, name := range kindNames {
		if name != "" && kinds[Kind(k)] == 0 {
			t.Errorf("no %s message", name)
		}
	}
	for _, want := range []string{
		"relation public.plain d id+ note mood", "relation public.whole f a+ b+", "relation public.nothing d", "type public.mood",
		"truncate 2 true true", `message true "penstock" "inside"`, `message false "penstock" "outside"`, `message true "penstock" "streamed"`,
		"origin elsewhere 16B374D848", "update 0", "update K", "update O", "delete K", "delete O",
		"begin prepare kept", "prepare kept", "commit prepared kept", "rollback prepared dropped", "stream prepare streamed",
	} {
		if !slices.Contains(seen, want) {
			t.Errorf("%q is missing in %s", want, strings.Join(slices.Compact(seen), "\n"))
		}
	}
}

// outline says in words what a message holds.
func outline(m *Message) []string {
	switch m.Kind {
	case KindRelation:
		s := "relation " + m.Relation.Namespace + "." + m.Relation.Name + " " + string(rune(m.Relation.Identity))
		for _, c := range m.Relation.Columns {
			s += " " + c.Name
			if c.Key {
				s += "+"
			}
		}
		return []string{s}
	case KindType:
		return []string{"type " + m.Type.Namespace + "." + m.Type.Name}
	case KindTruncate:
		return []string{fmt.Sprint("truncate ", len(m.Truncate.OIDs), m.Truncate.Cascade, m.Truncate.RestartIdentity)}
	case KindLogicalMessage:
		l := m.LogicalMessage
		return []string{fmt.Sprintf("message %v %q %q", l.Transactional, l.Prefix, l.Content)}
	case KindOrigin:
		return []string{fmt.Sprintf("origin %s %X", m.Origin.Name, m.Origin.CommitLSN)}
	case KindUpdate:
		if m.Update.OldKind == NoOld {
			return []string{"update 0"}
		}
		return []string{"update " + string(rune(m.Update.OldKind))}
	case KindDelete:
		return []string{"delete " + string(rune(m.Delete.OldKind))}
	case KindBeginPrepare, KindPrepare, KindStreamPrepare:
		return []string{m.Kind.String() + " " + m.Prepare.GID}
	case KindCommitPrepared:
		return []string{m.Kind.String() + " " + m.CommitPrepared.GID}
	case KindRollbackPrepared:
		return []string{m.Kind.String() + " " + m.RollbackPrepared.GID}
	}
	return nil
}
