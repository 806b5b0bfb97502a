package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/penstock/penstock/input/pgoutput"
	"github.com/penstock/penstock/internal/change"
)

// Delivery is what goes downstream as one batch of messages: batches of rows,
// or one control.
type Delivery struct {
	Batches []*Assembled
	Control *change.Control
	// Ack takes the outcome, from any goroutine.
	Ack func(error)
}

// Options of a Reader.
type Options struct {
	Slot, Publication string
	// Binary asks for values in binary format where the type has one.
	Binary bool
	// A delivery is sent when its first change is SyncInterval old, or when it
	// has MaxRows rows or MaxBytes bytes, and only between transactions unless
	// one is larger than that by itself.
	SyncInterval time.Duration
	MaxRows      int
	MaxBytes     int
	// SenderTimeout is the server's wal_sender_timeout, 0 for none.
	SenderTimeout time.Duration
	// DrainTimeout bounds how long the end waits for acks.
	DrainTimeout time.Duration
	// Started is called when the server has agreed to stream.
	Started func()
}

// Source is what the reader asks of its user.
type Source interface {
	// Relation returns the definition of a table that the stream announced, nil
	// where it is not replicated, and what the output has to be told where the
	// definition is another one than before. It may ask the database.
	Relation(ctx context.Context, sent *pgoutput.Relation, lsn uint64) (*change.Table, *change.Control, error)
	// Applied says that the output has done what a control says.
	Applied(ctx context.Context, c *change.Control) error
	// Confirm makes a position durable before the server is told.
	Confirm(ctx context.Context, position uint64) error
	// Received counts bytes of the stream.
	Received(bytes int)
}

// Times of the reader's own clockwork.
const (
	// tick is how soon acks reach the server.
	tick = time.Second
	// maxStatusInterval is how often the server hears of us at least; also 60 %
	// of wal_sender_timeout, so that the server's own keepalives still win.
	maxStatusInterval = 10 * time.Second
	// confirmInterval limits how often a position is made durable under load.
	confirmInterval = 2 * time.Second
	// clockEvery is after how many messages the timers are looked at while the
	// socket never runs dry.
	clockEvery = 64
)

// Reader follows a slot on one connection.
type Reader struct {
	conn       *pgconn.PgConn
	options    Options
	source     Source
	checkpoint *Checkpoint
	out        chan<- *Delivery

	relations   map[uint32]*relation
	lastOID     uint32
	last        *relation
	assembler   assembler
	message     pgoutput.Message
	inside      bool      // a transaction is open
	lastEnd     uint64    // end of the last commit seen, or of WAL without any behind it
	received    uint64    // end of the WAL seen
	announcedAt uint64    // position given to the last Relation message
	flushAt     time.Time // when the gathered changes are due; zero = none gathered
	nextTick    time.Time
	statusAt    time.Time // when the next status is due at the latest
	confirmedAt time.Time
	reported    uint64 // the position last told to the server
	status      []byte
}

// NewReader returns a reader that sends deliveries to out.
func NewReader(conn *pgconn.PgConn, source Source, checkpoint *Checkpoint, out chan<- *Delivery, options Options) *Reader {
	return &Reader{
		conn: conn, options: options, source: source, checkpoint: checkpoint, out: out,
		relations: map[uint32]*relation{},
		status:    make([]byte, 0, pgoutput.StandbyStatusSize),
	}
}

// Run streams until ctx ends, which is not an error, or something fails. At the
// end it waits for what is in flight and reports the last position.
func (r *Reader) Run(ctx context.Context) error {
	if err := r.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if r.options.Started != nil {
		r.options.Started()
	}
	// A read that waits ends with ctx.
	stop := context.AfterFunc(ctx, func() { _ = r.conn.Conn().SetReadDeadline(time.Now()) })
	defer stop()
	err := r.follow(ctx)
	if ctx.Err() == nil {
		return err
	}
	return r.drain()
}

// start asks for the stream (PostgreSQL docs 55.4, START_REPLICATION; 55.5.1,
// the plugin's parameters). Position 0/0 means where the slot stands.
func (r *Reader) start(ctx context.Context) error {
	arguments := []string{
		"proto_version '1'",
		"publication_names " + literal(pgx.Identifier{r.options.Publication}.Sanitize()),
	}
	if r.options.Binary {
		arguments = append(arguments, "binary 'true'")
	}
	err := pglogrepl.StartReplication(ctx, r.conn, pgx.Identifier{r.options.Slot}.Sanitize(), 0, pglogrepl.StartReplicationOptions{PluginArgs: arguments})
	if err != nil {
		return fmt.Errorf("starting replication from slot %q: %w", r.options.Slot, err)
	}
	return nil
}

// literal writes a string constant.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func (r *Reader) follow(ctx context.Context) error {
	now := time.Now()
	r.statusAt, r.nextTick = now.Add(r.statusInterval()), now.Add(r.tick())
	frontend := r.conn.Frontend()
	for n := 0; ; n++ {
		if n%clockEvery == 0 {
			if err := r.timers(ctx, time.Now()); err != nil {
				return err
			}
		}
		received, err := frontend.Receive()
		switch {
		case err == nil:
		case isTimeout(err):
			n = -1 // look at the clock next
			continue
		default:
			return fmt.Errorf("reading the stream: %w", err)
		}
		switch m := received.(type) {
		case *pgproto3.CopyData:
			err = r.frame(ctx, m.Data)
		case *pgproto3.ErrorResponse:
			err = fmt.Errorf("the server ended the stream: %w", pgconn.ErrorResponseToPgError(m))
		case *pgproto3.CopyDone:
			err = errors.New("the server ended the stream: it is shutting down")
		}
		if err != nil {
			return err
		}
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func (r *Reader) statusInterval() time.Duration {
	if r.options.SenderTimeout > 0 {
		return min(maxStatusInterval, r.options.SenderTimeout*6/10)
	}
	return maxStatusInterval
}

func (r *Reader) tick() time.Duration { return min(tick, r.statusInterval()/2) }

// timers does what is due, and sets the deadline of the next read.
func (r *Reader) timers(ctx context.Context, now time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !now.Before(r.nextTick) {
		if err := r.beat(ctx, now); err != nil {
			return err
		}
	}
	if !r.inside && !r.flushAt.IsZero() && !now.Before(r.flushAt) {
		if err := r.flush(ctx, r.lastEnd); err != nil {
			return err
		}
	}
	deadline := r.nextTick
	if !r.inside && !r.flushAt.IsZero() && r.flushAt.Before(deadline) {
		deadline = r.flushAt
	}
	return r.readUntil(ctx, deadline)
}

func (r *Reader) readUntil(ctx context.Context, deadline time.Time) error {
	if err := r.conn.Conn().SetReadDeadline(deadline); err != nil {
		return fmt.Errorf("setting a deadline: %w", err)
	}
	return ctx.Err() // its end may just have set a deadline that this one undid
}

// beat reports progress, and answers for a stalled downstream.
func (r *Reader) beat(ctx context.Context, now time.Time) error {
	r.nextTick = now.Add(r.tick())
	if err := r.checkpoint.Nack(); err != nil {
		return fmt.Errorf("a batch was rejected downstream, streaming again from the last confirmed position: %w", err)
	}
	confirmed := r.checkpoint.Confirmed()
	advanced := confirmed > r.reported && now.Sub(r.confirmedAt) >= confirmInterval
	if !advanced && now.Before(r.statusAt) {
		return nil
	}
	return r.report(ctx, now, advanced)
}

// report sends a status. The position in it moves only where advance is set,
// for it has to be durable on our side first.
func (r *Reader) report(ctx context.Context, now time.Time, advance bool) error {
	if confirmed := r.checkpoint.Confirmed(); advance && confirmed > r.reported {
		if err := r.source.Confirm(ctx, confirmed); err != nil {
			return fmt.Errorf("recording the confirmed position: %w", err)
		}
		r.reported, r.confirmedAt = confirmed, now
	}
	status := pgoutput.StandbyStatus{Written: max(r.received, r.reported), Flushed: r.reported, Applied: r.reported, Time: pgoutput.TimestampOf(now)}
	r.status = status.Append(r.status[:0])
	frontend := r.conn.Frontend()
	frontend.Send(&pgproto3.CopyData{Data: r.status})
	if err := frontend.Flush(); err != nil {
		return fmt.Errorf("sending the status: %w", err)
	}
	r.statusAt = now.Add(r.statusInterval())
	return nil
}

// drain waits for what is in flight and tells the server the last position.
func (r *Reader) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), r.options.DrainTimeout)
	defer cancel()
	err := r.await(ctx, func() bool { return r.checkpoint.Pending() == 0 })
	if err != nil && r.checkpoint.Nack() == nil {
		err = fmt.Errorf("%d batches were still in flight at the end; they will be read again: %w", r.checkpoint.Pending(), err)
	}
	reportCtx, cancelReport := context.WithTimeout(context.Background(), tick)
	defer cancelReport()
	_ = r.conn.Conn().SetWriteDeadline(time.Now().Add(tick))
	return errors.Join(err, r.report(reportCtx, time.Now(), true))
}

// await waits until done, answering the server meanwhile.
func (r *Reader) await(ctx context.Context, done func() bool) error {
	ticker := time.NewTicker(r.tick())
	defer ticker.Stop()
	for !done() {
		select {
		case <-r.checkpoint.Changed():
			if err := r.checkpoint.Nack(); err != nil {
				return fmt.Errorf("a batch was rejected downstream: %w", err)
			}
		case <-ticker.C:
			if err := r.beat(ctx, time.Now()); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// flush sends what was gathered. end is the position that its ack confirms, 0
// inside a transaction.
func (r *Reader) flush(ctx context.Context, end uint64) error {
	r.flushAt = time.Time{}
	if r.assembler.rows == 0 {
		return nil
	}
	return r.deliver(ctx, &Delivery{Batches: r.assembler.take()}, end)
}

func (r *Reader) deliver(ctx context.Context, d *Delivery, end uint64) error {
	d.Ack = r.checkpoint.Sent(end)
	ticker := time.NewTicker(r.tick())
	defer ticker.Stop()
	for {
		select {
		case r.out <- d:
			return nil
		case <-ticker.C:
			if err := r.beat(ctx, time.Now()); err != nil {
				r.checkpoint.withdraw()
				return err
			}
		case <-ctx.Done():
			// Never sent, so nothing to wait for; the position stays before it.
			r.checkpoint.withdraw()
			return ctx.Err()
		}
	}
}

// barrier sends a control when everything before it is acked, and returns when
// it is acked itself.
func (r *Reader) barrier(ctx context.Context, c *change.Control) error {
	end := uint64(0)
	if !r.inside {
		end = r.lastEnd
	}
	if err := r.flush(ctx, end); err != nil {
		return err
	}
	settled := func() bool { return r.checkpoint.Pending() == 0 }
	if err := r.await(ctx, settled); err != nil {
		return err
	}
	if err := r.deliver(ctx, &Delivery{Control: c}, 0); err != nil {
		return err
	}
	if err := r.await(ctx, settled); err != nil {
		return err
	}
	return r.source.Applied(ctx, c)
}
