package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/input/pgoutput"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/devstack/devtest"
)

// patience is how long tests wait for what must happen.
const patience = time.Minute

// pipe is a database with tables, a publication and a slot.
type pipe struct {
	t      testing.TB
	source *catalog.Source
	db     *pgx.Conn
	server *catalog.Server
	name   string // of the slot and of the publication
}

// newPipe makes a database with what statements say. Tables whose name begins
// with "other" are not published. parameters are added to the DSN.
func newPipe(t testing.TB, parameters string, statements ...string) *pipe {
	t.Helper()
	before := goleak.IgnoreCurrent()
	dsn := devtest.Postgres(t)
	t.Cleanup(func() { goleak.VerifyNone(t, devtest.IgnoreServers(), before) })
	return newPipeAt(t, dsn, parameters, statements...)
}

// newPipeAt is newPipe in a database that is there.
func newPipeAt(t testing.TB, dsn, parameters string, statements ...string) *pipe {
	t.Helper()
	source, err := catalog.NewSource(dsn+parameters, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &pipe{t: t, source: source, name: source.Database()}
	if p.db, err = source.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.db.Close(context.Background()) })
	if p.server, err = catalog.ReadServer(t.Context(), p.db); err != nil {
		t.Fatal(err)
	}
	p.exec("SET search_path = public")
	p.exec(statements...)
	if err := catalog.Publish(t.Context(), p.db, p.server, p.name, nil, p.tables()); err != nil {
		t.Fatal(err)
	}
	p.exec(fmt.Sprintf("SELECT pg_create_logical_replication_slot('%s', 'pgoutput')", p.name))
	return p
}

// exec runs statements, each in a transaction of its own.
func (p *pipe) exec(statements ...string) {
	p.t.Helper()
	for _, s := range statements {
		if _, err := p.db.Exec(p.t.Context(), s); err != nil {
			p.t.Fatalf("%s: %v", s, err)
		}
	}
}

func (p *pipe) tables() []*catalog.Table {
	p.t.Helper()
	tables, err := catalog.Tables(p.t.Context(), p.db, p.server, &catalog.Selection{Include: []string{"public.*"}, Exclude: []string{"public.other*"}}, nil, true)
	if err != nil {
		p.t.Fatal(err)
	}
	return tables
}

func query[T any](p *pipe, sql string, arguments ...any) (value T) {
	p.t.Helper()
	if err := p.db.QueryRow(p.t.Context(), sql, arguments...).Scan(&value); err != nil {
		p.t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func (p *pipe) lsn(sql string, arguments ...any) uint64 {
	p.t.Helper()
	lsn, err := pglogrepl.ParseLSN(query[string](p, sql, arguments...))
	if err != nil {
		p.t.Fatal(err)
	}
	return uint64(lsn)
}

func (p *pipe) now() uint64 { return p.lsn("SELECT pg_current_wal_lsn()::text") }

// confirmed is how far the server believes that we are.
func (p *pipe) confirmed() uint64 {
	return p.lsn("SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1", p.name)
}

// stands waits until the slot stands at want, and fails where it goes beyond.
func (p *pipe) stands(want uint64) {
	p.t.Helper()
	devtest.Eventually(p.t, patience, fmt.Sprintf("the slot stands at %x", want), func() (bool, error) {
		got := p.confirmed()
		if got > want {
			p.t.Fatalf("the slot stands at %x, beyond %x", got, want)
		}
		return got == want, nil
	})
}

const walsender = " FROM pg_stat_replication JOIN pg_replication_slots ON pid = active_pid WHERE slot_name = $1"

// heard is when the server last heard of us, by our clock.
func (p *pipe) heard() time.Time {
	p.t.Helper()
	return query[time.Time](p, "SELECT coalesce(max(reply_time), 'epoch')"+walsender, p.name)
}

// following is a Reader at work.
type following struct {
	*pipe
	checkpoint *Checkpoint
	out        chan *Delivery
	result     chan error
	stopReader context.CancelFunc

	relation func() // called when the stream announces a table
	confirm  func(position uint64) error
	tables   map[string]*change.Table

	mu      sync.Mutex
	applied []*change.Control
}

var _ Source = (*following)(nil)

// Relation takes the columns that are announced as they come; those that the
// catalog did not know are text.
func (f *following) Relation(_ context.Context, sent *pgoutput.Relation, lsn uint64) (*change.Table, *change.Control, error) {
	if f.relation != nil {
		f.relation()
	}
	known := f.tables[sent.Namespace+"."+sent.Name]
	if known == nil {
		return nil, nil, nil
	}
	announced := func(c change.Column) bool {
		return c.Generated || slices.ContainsFunc(sent.Columns, func(s pgoutput.RelationColumn) bool { return s.Name == c.Name })
	}
	table := *known
	table.Version = lsn
	table.Columns = slices.DeleteFunc(slices.Clone(known.Columns), func(c change.Column) bool { return !announced(c) })
	for _, c := range sent.Columns {
		if known.Column(c.Name) < 0 {
			table.Columns = append(table.Columns, change.Column{
				Name: c.Name, TypeMod: -1, Type: &change.Type{OID: 25, Name: "text", Schema: "pg_catalog", Kind: change.TypeBase},
			})
		}
	}
	if slices.EqualFunc(table.Columns, known.Columns, func(a, b change.Column) bool { return a.Name == b.Name }) {
		return known, nil, nil
	}
	f.tables[table.String()] = &table
	return &table, &change.Control{Operation: change.Schema, Table: &table, Previous: known, LSN: lsn}, nil
}

func (f *following) Applied(_ context.Context, c *change.Control) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applied = append(f.applied, c)
	return nil
}

func (f *following) Confirm(_ context.Context, position uint64) error {
	if f.confirm != nil {
		return f.confirm(position)
	}
	return nil
}

func (f *following) Received(int) {}

// follow starts a Reader with defaults for what o leaves out; prepare may
// change how its Source behaves.
func (p *pipe) follow(o Options, prepare ...func(*following)) *following {
	p.t.Helper()
	o.Slot, o.Publication = p.name, p.name
	if o.MaxRows == 0 {
		o.MaxRows = 100000
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 24
	}
	if o.DrainTimeout == 0 {
		o.DrainTimeout = time.Second
	}
	o.SenderTimeout = p.server.WALSenderTimeout
	ctx, cancel := context.WithCancel(p.t.Context())
	f := &following{
		pipe: p, checkpoint: NewCheckpoint(p.confirmed()), out: make(chan *Delivery), result: make(chan error, 1),
		stopReader: cancel, tables: map[string]*change.Table{},
	}
	for _, t := range p.tables() {
		f.tables[t.String()] = t.Table
	}
	for _, fn := range prepare {
		fn(f)
	}
	started := make(chan struct{})
	o.Started = func() { close(started) }
	conn, err := p.source.ConnectReplication(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.result <- NewReader(conn, f, f.checkpoint, f.out, o).Run(ctx)
		closing, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	p.t.Cleanup(func() {
		cancel()
		for { // whatever a failed test has left
			select {
			case d := <-f.out:
				d.Ack(errors.New("the test is over"))
			case <-ended:
				return
			}
		}
	})
	select {
	case <-started:
	case err := <-f.result:
		p.t.Fatalf("starting: %v", err)
	}
	return f
}

// reported waits until the server has heard from us that we have received all
// WAL written by now, with whatever position we confirm.
func (f *following) reported() {
	f.t.Helper()
	now := f.now()
	f.eventually("the server hears what we have received", func() (bool, error) {
		return f.lsn("SELECT coalesce(max(write_lsn), '0/0')::text"+walsender, f.name) >= now, nil
	})
	heard := f.heard()
	f.eventually("the server hears of us once more", func() (bool, error) { return f.heard().After(heard), nil })
}

// eventually waits for a condition while the stream goes on.
func (f *following) eventually(what string, cond func() (bool, error)) {
	f.t.Helper()
	devtest.Eventually(f.t, patience, what, func() (bool, error) {
		select {
		case err := <-f.result:
			f.t.Fatalf("the stream ended: %v", err)
		default:
		}
		return cond()
	})
}

// next returns the next delivery, not acked.
func (f *following) next() *Delivery {
	f.t.Helper()
	select {
	case d := <-f.out:
		return d
	case err := <-f.result:
		f.t.Fatalf("the stream ended: %v", err)
	case <-time.After(patience):
		f.t.Fatal("no delivery came")
	}
	return nil
}

// nothing checks that the Reader offers no delivery, long after it could have.
func (f *following) nothing(why string) {
	f.t.Helper()
	heard := f.heard()
	for range 2 {
		f.eventually("the server hears of us", func() (bool, error) {
			select {
			case d := <-f.out:
				f.t.Fatalf("got %s %s", describe(d), why)
			default:
			}
			now := f.heard()
			after := now.After(heard)
			heard = now
			return after, nil
		})
	}
}

// rows returns what was streamed, acked at once, up to the row that ends with
// last.
func (f *following) rows(last string) (rows []string) {
	f.t.Helper()
	for {
		d := f.next()
		rows = append(rows, describe(d)...)
		d.Ack(nil)
		if n := len(rows); n > 0 && strings.HasSuffix(rows[n-1], last) {
			return rows
		}
	}
}

// stop ends the stream in good order.
func (f *following) stop() error {
	f.t.Helper()
	f.stopReader()
	return f.end()
}

func (f *following) end() error {
	f.t.Helper()
	select {
	case err := <-f.result:
		f.result <- nil // for others that ask
		return err
	case <-time.After(patience):
		f.t.Fatal("the stream does not end")
	}
	return nil
}

// describe shows the rows of a delivery without their positions, or its control.
func describe(d *Delivery) (rows []string) {
	if c := d.Control; c != nil {
		return []string{c.Operation.String() + " " + c.Table.String()}
	}
	for _, b := range d.Batches {
		for i := range b.Rows {
			row := show(b.Batch, i)
			operation, values, _ := strings.Cut(row, "@")
			_, values, _ = strings.Cut(values, " ")
			rows = append(rows, operation+" "+values)
		}
	}
	return rows
}
