package input

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/internal/change"
)

const (
	mebibyte = 1 << 20
	gibibyte = 1 << 30
	// smallKeepSize is what a busy server writes in minutes: a pause for lunch
	// would lose the slot.
	smallKeepSize = 4 * gibibyte
	// shortSenderTimeout leaves too little room for a stalled network: the
	// default is a minute.
	shortSenderTimeout = 10 * time.Second
)

// settings are what limits slots and WAL senders at the source.
type settings struct {
	maxSlots, slots     int
	maxSenders, senders int
	keepSize            int64 // bytes, -1 for no limit
	idleTimeout         time.Duration
}

func (k *checking) checkSettings(ctx context.Context) error {
	var s settings
	var keepMB, idle int64
	err := k.conn.QueryRow(ctx, `
		SELECT current_setting('max_replication_slots')::int, (SELECT count(*) FROM pg_replication_slots),
		       current_setting('max_wal_senders')::int, (SELECT count(*) FROM pg_stat_replication),
		       (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size'),
		       -- PostgreSQL 18, in seconds
		       coalesce((SELECT CASE unit WHEN 'min' THEN 60 ELSE 1 END * setting::bigint FROM pg_settings WHERE name = 'idle_replication_slot_timeout'), 0)`).
		Scan(&s.maxSlots, &s.slots, &s.maxSenders, &s.senders, &keepMB, &idle)
	if err != nil {
		return fmt.Errorf("reading the server's settings: %w", err)
	}
	s.keepSize, s.idleTimeout = keepMB*mebibyte, time.Duration(idle)*time.Second
	k.checkSenders(&s)
	k.checkKeepSize(&s)
	k.checkTimeouts(&s)

	existing, err := catalog.ReadSlot(ctx, k.conn, k.server, k.config.slot)
	if err != nil || existing != nil {
		return err
	}
	k.checkFreeSlots(&s)
	return k.checkTransactions(ctx)
}

func (k *checking) checkSenders(s *settings) {
	const subject = "max_wal_senders"
	free := s.maxSenders - s.senders
	text := fmt.Sprintf("%d of %d are free", free, s.maxSenders)
	if free < 1 {
		k.found.Problem(subject, text, fmt.Sprintf("ALTER SYSTEM SET max_wal_senders = %d, then restart PostgreSQL", s.maxSenders+4))
		return
	}
	k.found.OK(subject, text)
}

func (k *checking) checkFreeSlots(s *settings) {
	const subject = "max_replication_slots"
	free := s.maxSlots - s.slots
	text := fmt.Sprintf("%d of %d are free", free, s.maxSlots)
	if free < 1 {
		k.found.Problem(subject, text, fmt.Sprintf("ALTER SYSTEM SET max_replication_slots = %d, then restart PostgreSQL; or drop a slot nobody uses: SELECT slot_name FROM pg_replication_slots WHERE NOT active", s.maxSlots+4))
		return
	}
	k.found.OK(subject, text)
}

func (k *checking) checkKeepSize(s *settings) {
	const subject = "max_slot_wal_keep_size"
	switch {
	case s.keepSize < 0:
		k.found.Warn(subject, "no limit: while the pipe is paused or down, the slot keeps WAL until the server's disk is full",
			"ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf() (beyond it the slot is lost, and the pipe needs a resync)")
	case s.keepSize < smallKeepSize:
		k.found.Warn(subject, fmt.Sprintf("%d MB: the slot is lost when the pipe is paused or down for so much WAL, and needs a resync then", s.keepSize/mebibyte),
			"ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf()")
	default:
		k.found.OK(subject, fmt.Sprintf("%d GB", s.keepSize/gibibyte))
	}
}

func (k *checking) checkTimeouts(s *settings) {
	const sender, idle = "wal_sender_timeout", "idle_replication_slot_timeout"
	switch timeout := k.server.WALSenderTimeout; {
	case timeout == 0:
		k.found.Warn(sender, "off: when the network breaks, the server takes the dead session for a reader of the slot for as long as TCP does, which may be hours",
			"ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf()")
	case timeout < shortSenderTimeout:
		k.found.Warn(sender, fmt.Sprintf("%s: a short stall of the network ends the stream", timeout),
			"ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf()")
	default:
		k.found.OK(sender, timeout.String())
	}
	if s.idleTimeout > 0 {
		k.found.Warn(idle, fmt.Sprintf("%s: a pipe that is paused or down for longer loses its slot, and needs a resync then", s.idleTimeout),
			"ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf()")
	}
}

// checkTransactions looks for what the creation of the slot would wait for.
func (k *checking) checkTransactions(ctx context.Context) error {
	var who, end string
	var age time.Duration
	err := k.conn.QueryRow(ctx, `
		SELECT who, "end", now() - began
		  FROM (SELECT format('pid %s of role %s', pid, coalesce(usename, '?')) AS who,
		               format('SELECT pg_terminate_backend(%s)', pid) AS "end", xact_start AS began
		          FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
		        UNION ALL
		        SELECT format('prepared transaction %L of role %s', gid, owner), format('ROLLBACK PREPARED %L or COMMIT PREPARED %L', gid, gid), prepared
		          FROM pg_prepared_xacts) open
		 WHERE now() - began > $1 ORDER BY began LIMIT 1`, oldTransaction).Scan(&who, &end, &age)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for old transactions: %w", err)
	}
	k.found.Warn("transactions", fmt.Sprintf("a transaction has been open for %s (%s): the creation of the slot waits for its end", age.Round(time.Second), who), end)
	return nil
}

func (k *checking) checkSlot(ctx context.Context) error {
	const subject = "slot"
	name := k.config.slot
	slot, err := catalog.ReadSlot(ctx, k.conn, k.server, name)
	if err != nil {
		return err
	}
	if slot == nil {
		k.found.OK(subject, fmt.Sprintf("%q will be created", name))
		return nil
	}
	if err := slot.Check(name, k.config.source.Database()); err != nil {
		var failure *change.Failure
		if !errors.As(err, &failure) {
			return err
		}
		k.found.Fail(subject, err)
		return nil
	}
	use := "nobody reads it"
	if slot.ActivePID != 0 {
		use = fmt.Sprintf("pid %d reads it", slot.ActivePID)
	}
	retained := int64(0)
	if slot.CurrentLSN > slot.RestartLSN {
		retained = int64(slot.CurrentLSN - slot.RestartLSN)
	}
	text := fmt.Sprintf("%q is there and keeps %d MB of WAL, %s", name, retained/mebibyte, use)
	if slot.WALStatus == "unreserved" {
		k.found.Warn(subject, text+"; its wal_status is unreserved: the next checkpoint may lose it", "run the pipe now, and raise max_slot_wal_keep_size")
		return nil
	}
	k.found.OK(subject, text)
	return nil
}
