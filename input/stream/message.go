package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock/penstock/input/pgoutput"
	"github.com/penstock/penstock/internal/change"
)

// frame handles one CopyData of the replication stream.
func (r *Reader) frame(ctx context.Context, frame []byte) error {
	if len(frame) == 0 {
		return fmt.Errorf("reading the stream behind %s: an empty frame", change.FormatLSN(r.received))
	}
	r.source.Received(len(frame))
	switch frame[0] {
	case pgoutput.FrameXLogData:
		wal, err := pgoutput.ParseXLogData(frame)
		if err != nil {
			return fmt.Errorf("behind %s: %w", change.FormatLSN(r.received), err)
		}
		lsn := wal.Start
		if lsn == 0 { // as messages have that go before another of the same record
			lsn = r.received
		}
		r.received = max(r.received, lsn)
		if err := pgoutput.Parse(wal.Data, false, &r.message); err != nil {
			return fmt.Errorf("at %s: %w", change.FormatLSN(lsn), err)
		}
		if err := r.handle(ctx, lsn); err != nil {
			return fmt.Errorf("%s at %s: %w", r.message.Kind, change.FormatLSN(lsn), err)
		}
		return nil
	case pgoutput.FrameKeepalive:
		keepalive, err := pgoutput.ParseKeepalive(frame)
		if err != nil {
			return fmt.Errorf("behind %s: %w", change.FormatLSN(r.received), err)
		}
		r.keepalive(keepalive)
		if keepalive.ReplyRequested {
			return r.report(ctx, time.Now(), false)
		}
		return nil
	default:
		return fmt.Errorf("reading the stream behind %s: unknown frame %q", change.FormatLSN(r.received), frame[0])
	}
}

// keepalive moves the position over WAL that holds nothing for us, so that an
// idle publication in a busy cluster does not hold WAL back.
func (r *Reader) keepalive(k pgoutput.Keepalive) {
	r.received = max(r.received, k.End)
	if r.inside {
		return
	}
	// Every transaction that ended before it has been received. The server says
	// so only once, hence it counts even where it has to wait for acks.
	r.lastEnd = max(r.lastEnd, k.End)
	if r.assembler.rows == 0 {
		r.checkpoint.Passed(r.lastEnd)
	}
}

// handle takes the message in r.message, whose WAL record begins at lsn.
func (r *Reader) handle(ctx context.Context, lsn uint64) error {
	m := &r.message
	switch m.Kind {
	case pgoutput.KindInsert:
		rel, err := r.relation(m.Insert.RelationOID)
		if err != nil || rel.table == nil {
			return err
		}
		return r.gathered(ctx, r.assembler.insert(rel, lsn, &m.Insert))
	case pgoutput.KindUpdate:
		rel, err := r.relation(m.Update.RelationOID)
		if err != nil || rel.table == nil {
			return err
		}
		return r.gathered(ctx, r.assembler.update(rel, lsn, &m.Update))
	case pgoutput.KindDelete:
		rel, err := r.relation(m.Delete.RelationOID)
		if err != nil || rel.table == nil {
			return err
		}
		return r.gathered(ctx, r.assembler.delete(rel, lsn, &m.Delete))
	case pgoutput.KindBegin:
		if r.inside {
			return fmt.Errorf("transaction %d is still open", r.assembler.transaction.XID)
		}
		r.inside = true
		r.assembler.begin(change.Transaction{XID: m.Begin.XID, CommitLSN: m.Begin.FinalLSN, CommitTime: m.Begin.CommitTime.Time()})
		return nil
	case pgoutput.KindCommit:
		return r.commit(ctx)
	case pgoutput.KindRelation:
		return r.announced(ctx, lsn)
	case pgoutput.KindTruncate:
		return r.truncate(ctx, lsn)
	case pgoutput.KindOrigin, pgoutput.KindType, pgoutput.KindLogicalMessage:
		// Where a transaction came from; a type's name, which the catalog tells
		// better; our own heartbeat.
		return nil
	case pgoutput.KindStreamStart, pgoutput.KindStreamStop, pgoutput.KindStreamCommit, pgoutput.KindStreamAbort, pgoutput.KindStreamPrepare,
		pgoutput.KindBeginPrepare, pgoutput.KindPrepare, pgoutput.KindCommitPrepared, pgoutput.KindRollbackPrepared:
		return fmt.Errorf("protocol version 1, which was asked for, has no such message")
	}
	return fmt.Errorf("no branch for this kind of message")
}

// relation returns what a change refers to.
func (r *Reader) relation(oid uint32) (*relation, error) {
	if !r.inside {
		return nil, errors.New("a change outside a transaction")
	}
	if oid == r.lastOID && r.last != nil {
		return r.last, nil
	}
	rel, ok := r.relations[oid]
	if !ok {
		return nil, fmt.Errorf("the stream did not announce relation %d", oid)
	}
	r.lastOID, r.last = oid, rel
	return rel, nil
}

// gathered is called after each row: it starts the clock of a delivery, and
// cuts a transaction that is too large for one.
func (r *Reader) gathered(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	a := &r.assembler
	if r.flushAt.IsZero() {
		r.flushAt = time.Now().Add(r.options.SyncInterval)
	}
	if a.transactionRows >= r.options.MaxRows || a.transactionBytes >= r.options.MaxBytes {
		a.transactionRows, a.transactionBytes = 0, 0
		return r.flush(ctx, 0)
	}
	return nil
}

func (r *Reader) commit(ctx context.Context) error {
	a := &r.assembler
	if m := &r.message.Commit; !r.inside || m.CommitLSN != a.transaction.CommitLSN {
		return fmt.Errorf("the commit at %s does not end the transaction that is open", change.FormatLSN(m.CommitLSN))
	}
	r.inside = false
	r.lastEnd = max(r.lastEnd, r.message.Commit.EndLSN)
	r.received = max(r.received, r.lastEnd)
	if a.rows == 0 {
		// Nothing of the transaction is left to send, but a part of it may be
		// on its way: its end is confirmed behind that.
		r.checkpoint.Passed(r.lastEnd)
		return nil
	}
	if a.rows >= r.options.MaxRows || a.bytes >= r.options.MaxBytes || r.options.SyncInterval <= 0 {
		return r.flush(ctx, r.lastEnd)
	}
	if deadline := r.flushAt; deadline.Before(r.nextTick) {
		return r.readUntil(ctx, deadline)
	}
	return nil
}

// announced takes a Relation message: the first time the stream meets a table,
// and whenever its definition may have changed. The message has no position of
// its own; the one it gets is never lower than that of a row sent before, and
// never that of another definition.
func (r *Reader) announced(ctx context.Context, lsn uint64) error {
	lsn = max(lsn, r.received, r.announcedAt+1)
	r.announcedAt = lsn
	sent := r.message.Relation // its columns are a fresh slice
	var table *change.Table
	var control *change.Control
	err := r.meanwhile(ctx, func() (err error) {
		table, control, err = r.source.Relation(ctx, &sent, lsn)
		return err
	})
	if err != nil {
		return err
	}
	if control != nil {
		control.Transaction = r.assembler.transaction
		if err := r.barrier(ctx, control); err != nil {
			return err
		}
	}
	now, err := newRelation(table, &sent)
	if err != nil {
		return err
	}
	if old := r.relations[sent.OID]; old != nil && old.table == table {
		r.assembler.replace(old, now)
	}
	r.relations[sent.OID] = now
	r.last = nil
	return nil
}

func (r *Reader) truncate(ctx context.Context, lsn uint64) error {
	oids := append([]uint32(nil), r.message.Truncate.OIDs...)
	for _, oid := range oids {
		rel, err := r.relation(oid)
		if err != nil {
			return err
		}
		if rel.table == nil {
			continue
		}
		if err := r.barrier(ctx, &change.Control{Operation: change.Truncate, Table: rel.table, LSN: lsn, Transaction: r.assembler.transaction}); err != nil {
			return err
		}
	}
	return nil
}

// meanwhile runs work that may take long, answering the server meanwhile.
func (r *Reader) meanwhile(ctx context.Context, work func() error) error {
	result := make(chan error, 1)
	go func() { result <- work() }()
	ticker := time.NewTicker(r.tick())
	defer ticker.Stop()
	for {
		select {
		case err := <-result:
			return err
		case <-ticker.C:
			if err := r.beat(ctx, time.Now()); err != nil && ctx.Err() == nil {
				<-result
				return err
			}
		}
	}
}
