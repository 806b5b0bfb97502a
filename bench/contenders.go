package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// contender is one way from PostgreSQL to ClickHouse, or a part of the way that
// says what can be had at best.
type contender struct {
	name, what string
	kinds      []kind
	// missing says why it cannot take part, "" if it can.
	missing string
	run     func(ctx context.Context, t *trial) error
}

// ours is the contender that others are compared with.
const ours = "penstock blocks"

func contenders() []contender {
	recvlogical, missing := findRecvlogical()
	return []contender{
		{ours, "the pipeline as shipped, format: blocks", []kind{snapshot, backlog, steady}, "", runPenstock("blocks")},
		{"penstock rows", "the same with format: rows, for pipelines with processors", []kind{snapshot, backlog}, "", runPenstock("rows")},
		{"postgresql()", "ClickHouse, INSERT … SELECT FROM postgresql()", []kind{snapshot}, "", runTableFunction},
		{"MaterializedPostgreSQL", "ClickHouse, database engine", []kind{snapshot, backlog}, "", runMaterialized},
		{"COPY > /dev/null", "COPY … (FORMAT binary), one session, thrown away", []kind{snapshot}, "", runCopy},
		{"pg_recvlogical > /dev/null", "walsender over TCP, thrown away", []kind{backlog}, missing, runRecvlogical(recvlogical)},
		{"peek > /dev/null", "pg_logical_slot_peek_binary_changes through COPY, thrown away", []kind{backlog}, "", runPeek},
	}
}

func (c contender) does(k kind) bool { return slices.Contains(c.kinds, k) }

// runTableFunction has ClickHouse read the tables itself, one after the other.
func runTableFunction(ctx context.Context, t *trial) error {
	host, port, user, password, err := t.login()
	if err != nil {
		return err
	}
	for _, table := range t.tables {
		if err := t.clickHouse.Exec(ctx, table.createDestination()); err != nil {
			return fmt.Errorf("creating the destination: %w", err)
		}
	}
	t.begin()
	for _, table := range t.tables {
		sql := fmt.Sprintf("INSERT INTO public_%s (%s) SELECT %s FROM postgresql('%s:%s', '%s', '%s', '%s', '%s')",
			table.name, table.names(), table.names(), host, port, t.database, table.name, user, password)
		if err := t.clickHouse.Exec(ctx, sql); err != nil {
			return fmt.Errorf("inserting %s: %w", table.name, err)
		}
	}
	t.end()
	if err := t.verify(ctx); err != nil {
		return err
	}
	return t.countParts(ctx)
}

// runCopy reads the tables and keeps nothing.
func runCopy(ctx context.Context, t *trial) error {
	conn, err := pgconn.Connect(ctx, t.arena.dsn)
	if err != nil {
		return fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	t.begin()
	rows, _, err := copyTables(ctx, conn, t.tables)
	if err != nil {
		return err
	}
	t.end()
	return t.counted(rows)
}

// copyTables returns how many rows, and bytes with them, COPY has sent.
func copyTables(ctx context.Context, conn *pgconn.PgConn, tables []table) (rows, bytes int64, err error) {
	for _, table := range tables {
		var size counter
		tag, err := conn.CopyTo(ctx, &size, "COPY "+table.name+" TO STDOUT (FORMAT binary)")
		if err != nil {
			return rows, bytes, fmt.Errorf("copying %s: %w", table.name, err)
		}
		rows += tag.RowsAffected()
		bytes += size.bytes
	}
	return rows, bytes, nil
}

type counter struct{ bytes int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	return len(p), nil
}

// runPeek decodes the backlog in an SQL session, which does not flush a packet
// for each change as a walsender does.
func runPeek(ctx context.Context, t *trial) error {
	conn, err := pgconn.Connect(ctx, t.arena.dsn)
	if err != nil {
		return fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	t.begin()
	changes, _, err := peekChanges(ctx, conn, baseSlot)
	if err != nil {
		return err
	}
	t.end()
	return t.counted(changes)
}

// peekChanges returns how many changes of rows, and bytes with them, the slot
// has for the publication.
func peekChanges(ctx context.Context, conn *pgconn.PgConn, slot string) (changes, bytes int64, err error) {
	var c changeCounter
	_, err = conn.CopyTo(ctx, &c, fmt.Sprintf(`COPY (SELECT lsn, xid, data FROM pg_logical_slot_peek_binary_changes('%s', NULL, NULL,
		'proto_version', '1', 'binary', 'true', 'publication_names', '%s')) TO STDOUT (FORMAT binary)`, slot, publication))
	if err != nil {
		return 0, 0, fmt.Errorf("peeking at the changes of slot %s: %w", slot, err)
	}
	return c.changes, c.bytes, nil
}

// changeCounter counts the messages of pgoutput that are changes of a row, in
// rows of COPY's binary format: lsn, xid, data.
type changeCounter struct{ changes, bytes int64 }

func (c *changeCounter) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	const header, data = 11 + 4 + 4, 2 + 4 + 8 + 4 + 4
	row := p
	if strings.HasPrefix(string(row[:min(len(row), 7)]), "PGCOPY\n") {
		row = row[header:]
	}
	if len(row) > data+4 && binary.BigEndian.Uint16(row) == 3 {
		switch row[data+4] {
		case 'I', 'U', 'D':
			c.changes++
		}
	}
	return len(p), nil
}

// findRecvlogical looks where Debian puts the programs of PostgreSQL.
func findRecvlogical() (path, missing string) {
	if path, err := exec.LookPath("pg_recvlogical"); err == nil {
		return path, ""
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_recvlogical")
	if len(found) == 0 {
		return "", "pg_recvlogical is not installed"
	}
	slices.Sort(found)
	return found[len(found)-1], ""
}

// runRecvlogical streams the backlog to nowhere.
func runRecvlogical(program string) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		const slot = "bench_recvlogical"
		if err := t.copySlot(ctx, slot); err != nil {
			return err
		}
		host, port, user, password, err := t.login()
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, program, "--dbname", t.database, "--start", "--slot", slot, "--file", "/dev/null", "--no-loop", "--endpos", t.arena.end,
			"--option", "proto_version=1", "--option", "binary=true", "--option", "publication_names="+publication)
		cmd.Env = append(os.Environ(), "PGHOST="+host, "PGPORT="+port, "PGUSER="+user, "PGPASSWORD="+password, "PGSSLMODE=disable")
		t.begin()
		output, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("running pg_recvlogical: %w: %s", err, output)
		}
		t.end()
		t.sample.CPUSeconds = childCPU(cmd.ProcessState)
		return t.confirmed(ctx, slot)
	}
}
