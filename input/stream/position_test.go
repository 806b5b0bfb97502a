package stream

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/internal/devstack"
	"github.com/penstock/penstock/internal/devstack/devtest"
)

// soon has the reader report every 1.2 s instead of every 10 s. A machine that
// stands still for longer than the difference to 2 s loses the connection.
const soon = "&wal_sender_timeout=2000"

// TestStatusIsSentWhateverStands guards rule 6: the server would cut the
// connection after wal_sender_timeout.
func TestStatusIsSentWhateverStands(t *testing.T) {
	for _, tt := range []struct {
		name  string
		stall func(t *testing.T, p *pipe) (f *following, goOn func())
	}{
		{"the output takes nothing", func(_ *testing.T, p *pipe) (*following, func()) {
			return p.follow(Options{}), func() {}
		}},
		{"the output acks nothing", func(_ *testing.T, p *pipe) (*following, func()) {
			f := p.follow(Options{})
			d := f.next()
			return f, func() { d.Ack(nil) }
		}},
		{"a barrier is not acked", func(_ *testing.T, p *pipe) (*following, func()) {
			p.exec("TRUNCATE orders")
			f := p.follow(Options{})
			f.next().Ack(nil)
			d := f.next()
			if d.Control == nil {
				p.t.Fatalf("got %q, want a truncate", describe(d))
			}
			return f, func() { d.Ack(nil) }
		}},
		{"a definition is looked up", func(_ *testing.T, p *pipe) (*following, func()) {
			known := make(chan struct{})
			return p.follow(Options{}, func(f *following) { f.relation = func() { <-known } }), func() { close(known) }
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPipe(t, soon, orders)
			p.exec("INSERT INTO orders VALUES (1)")
			f, goOn := tt.stall(t, p)
			var first time.Time
			f.eventually("the connection has outlived its timeout twice", func() (bool, error) {
				heard := p.heard()
				if first.IsZero() && heard.Unix() > 0 {
					first = heard
				}
				return !first.IsZero() && heard.Sub(first) > 4*time.Second, nil
			})
			p.exec("INSERT INTO orders VALUES (2, 'end', 0, NULL)")
			goOn()
			f.rows("insert id=2 note=end price=0.00 at=∅")
			if err := f.stop(); err != nil {
				t.Errorf("stopping: %v", err)
			}
		})
	}
}

// TestIdlePublicationHoldsNoWAL guards rule 5.
func TestIdlePublicationHoldsNoWAL(t *testing.T) {
	p := newPipe(t, soon, orders, "CREATE TABLE other (n int)")
	f := p.follow(Options{})
	for range 2 {
		p.exec("INSERT INTO other SELECT generate_series(1, 1000)")
		written := p.now()
		f.eventually("the slot follows", func() (bool, error) { return p.confirmed() >= written, nil })
	}
	// The server says only once how far it is: also when a delivery was in
	// flight then, and also when changes had been gathered.
	p.exec("INSERT INTO orders VALUES (1)")
	d := f.next()
	p.exec("INSERT INTO other SELECT generate_series(1, 1000)")
	written := p.now()
	f.reported()
	if got := p.confirmed(); got >= written {
		t.Errorf("confirmed %x with a delivery in flight", got)
	}
	d.Ack(nil)
	f.eventually("the slot follows after the ack", func() (bool, error) { return p.confirmed() >= written, nil })
}

// TestNothingBehindAnUnackedDeliveryIsConfirmed guards rule 3.
func TestNothingBehindAnUnackedDeliveryIsConfirmed(t *testing.T) {
	p := newPipe(t, soon, orders, "CREATE TABLE other (n int)")
	f := p.follow(Options{}) // one delivery for each transaction
	before := p.confirmed()
	var deliveries []*Delivery
	for id := range 3 {
		p.exec(fmt.Sprintf("INSERT INTO orders VALUES (%d)", id))
		deliveries = append(deliveries, f.next())
	}
	deliveries[2].Ack(nil)
	deliveries[1].Ack(nil)
	p.exec("INSERT INTO other VALUES (1)")
	end := p.now()
	f.reported()
	if got, limit := p.confirmed(), deliveries[0].Batches[0].Rows[0].LSN; got > limit || got < before {
		t.Errorf("the slot stands at %x; the change at %x is not acked", got, limit)
	}
	deliveries[0].Ack(nil)
	f.eventually("the slot follows after the ack", func() (bool, error) { return p.confirmed() >= end, nil })
}

// TestMidTransactionPositionIsNeverConfirmed guards rules 3 and 15: a large
// transaction comes in parts, and only the last moves the position.
func TestMidTransactionPositionIsNeverConfirmed(t *testing.T) {
	p := newPipe(t, soon, orders)
	f := p.follow(Options{MaxRows: 100})
	p.exec("INSERT INTO orders SELECT generate_series(1, 1000)")
	total := 0
	for range 9 {
		d := f.next()
		if n := len(d.Batches[0].Rows); n != 100 {
			t.Errorf("a part has %d rows, want 100", n)
		}
		total += len(d.Batches[0].Rows)
		d.Ack(nil)
	}
	heard := p.heard()
	f.eventually("the server hears of us", func() (bool, error) {
		return p.heard().After(heard.Add(time.Second)), nil
	})
	last := f.next()
	if got, limit := p.confirmed(), last.Batches[0].Rows[0].LSN; got > limit {
		t.Errorf("the slot stands at %x inside a transaction; the change at %x is not acked", got, limit)
	}
	commit := last.Batches[0].Transactions[0].CommitLSN
	if got := f.checkpoint.Confirmed(); got >= commit {
		t.Errorf("confirmed %x before the end of the transaction at %x is acked", got, commit)
	}
	last.Ack(nil)
	f.eventually("the slot follows after the last part", func() (bool, error) { return p.confirmed() > commit, nil })
	if total+len(last.Batches[0].Rows) != 1000 {
		t.Errorf("got %d rows, want 1000", total+len(last.Batches[0].Rows))
	}
}

// TestStopDoesNotConfirmWhatIsInFlight guards rule 7.
func TestStopDoesNotConfirmWhatIsInFlight(t *testing.T) {
	p := newPipe(t, "", orders)
	p.exec("INSERT INTO orders VALUES (1)", "INSERT INTO orders VALUES (2)", "INSERT INTO orders VALUES (3)")
	f := p.follow(Options{DrainTimeout: 100 * time.Millisecond})
	f.next().Ack(nil)
	acked := f.checkpoint.Confirmed()
	inFlight := f.next() // and the third is being offered
	err := f.stop()
	if err == nil || !strings.Contains(err.Error(), "1 batches were still in flight") {
		t.Errorf("stopping: got %v", err)
	}
	p.stands(acked)
	inFlight.Ack(nil) // late acks harm nobody
}

func TestStopWaitsForAcks(t *testing.T) {
	p := newPipe(t, soon, orders)
	p.exec("INSERT INTO orders VALUES (1)")
	f := p.follow(Options{DrainTimeout: patience})
	d := f.next()
	f.stopReader()
	f.nothing("after the stop")
	d.Ack(nil)
	if err := f.end(); err != nil {
		t.Errorf("stopping: %v", err)
	}
	if got := f.checkpoint.Confirmed(); got <= d.Batches[0].Rows[0].LSN {
		t.Errorf("confirmed %x, which is not behind the acked change", got)
	}
	p.stands(f.checkpoint.Confirmed())
}

// TestPositionIsDurableBeforeTheServerKnows guards rule 4: a slot that stands
// behind what the state says was advanced by somebody else.
func TestPositionIsDurableBeforeTheServerKnows(t *testing.T) {
	p := newPipe(t, "", orders)
	asker, err := p.source.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer asker.Close(t.Context())
	asks := *p
	asks.db = asker
	confirmed := make(chan uint64, 100)
	f := p.follow(Options{}, func(f *following) {
		f.confirm = func(position uint64) error {
			if got := asks.confirmed(); got >= position {
				t.Errorf("the server was told %x before it was durable", got)
			}
			confirmed <- position
			return nil
		}
	})
	p.exec("INSERT INTO orders VALUES (1)")
	f.next().Ack(nil)
	position := f.checkpoint.Confirmed()
	f.eventually("the server knows", func() (bool, error) { return p.confirmed() >= position, nil })
	if len(confirmed) == 0 {
		t.Error("the server was told without Confirm")
	}
	if err := f.stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func TestPositionThatIsNotDurableIsNotReported(t *testing.T) {
	p := newPipe(t, "", orders)
	refusal := errors.New("the disk is full")
	f := p.follow(Options{}, func(f *following) { f.confirm = func(uint64) error { return refusal } })
	before := p.confirmed()
	p.exec("INSERT INTO orders VALUES (1)")
	select {
	case d := <-f.out:
		d.Ack(nil)
	case err := <-f.result:
		f.result <- err
	}
	if err := f.end(); !errors.Is(err, refusal) {
		t.Errorf("the stream ended with %v", err)
	}
	if got := p.confirmed(); got != before {
		t.Errorf("the slot stands at %x, want %x", got, before)
	}
}

func TestRejectedBatchEndsTheStream(t *testing.T) {
	p := newPipe(t, "", orders)
	f := p.follow(Options{})
	p.exec("INSERT INTO orders VALUES (1)")
	d := f.next()
	rejection := errors.New("too many parts")
	d.Ack(rejection)
	if err := f.end(); !errors.Is(err, rejection) {
		t.Errorf("the stream ended with %v", err)
	}
	if got, limit := p.confirmed(), d.Batches[0].Rows[0].LSN; got > limit {
		t.Errorf("the slot stands at %x, behind the rejected change at %x", got, limit)
	}
}

func TestEndOfTheServerIsToldApart(t *testing.T) {
	p := newPipe(t, "", orders)
	f := p.follow(Options{})
	p.exec(fmt.Sprintf("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '%s'", p.name))
	err := f.end()
	if catalog.SQLSTATE(err) != "57P01" {
		t.Errorf("the stream ended with %v", err)
	}
	busy := p.follow(Options{})
	conn, err := p.source.ConnectReplication(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	second := NewReader(conn, busy, NewCheckpoint(0), nil, Options{Slot: p.name, Publication: p.name})
	if err := second.Run(t.Context()); !catalog.IsActiveElsewhere(err) {
		t.Errorf("a second stream ended with %v", err)
	}
}

// TestServerShutsDownInGoodOrderWhileFollowed guards the source: it waits at
// its end until we have confirmed all WAL, its last record too.
func TestServerShutsDownInGoodOrderWhileFollowed(t *testing.T) {
	server := devtest.OwnPostgres(t, devstack.PostgresOptions{})
	p := newPipeAt(t, server.DSN(), "", orders)
	f := p.follow(Options{})
	p.exec("INSERT INTO orders VALUES (1)")
	f.next().Ack(nil)
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.end(); err == nil {
		t.Error("the stream ended as if it had been asked to")
	}
	again, err := p.source.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.db = again
	// A server that had to be killed forgets its statistics.
	if n := query[int](p, "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'orders'"); n != 1 {
		t.Errorf("the server was killed: its statistics say %d rows", n)
	}
}
