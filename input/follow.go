package input

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/input/stream"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/internal/pgvalue"
	"github.com/penstock/penstock/lifecycle"
)

// drainTimeout bounds how long the end of a stream waits for acks, so that a
// stalled output cannot keep the process from ending.
const drainTimeout = 10 * time.Second

// confirmTimeout bounds how long the last position may take to become durable.
const confirmTimeout = time.Second

// maxDeliveryBytes bounds what the stream gathers before it sends.
const maxDeliveryBytes = 16 << 20

// errNeedText says that a column has a type whose binary format we do not read,
// so the stream has to be asked for text.
var errNeedText = errors.New("a column needs the text format")

// errMissing says that the server misses something that the stream needs.
var errMissing = errors.New("slot or publication is missing")

// follow streams from the slot until work ends, and loads beside it what is not
// loaded: tables that came into the configuration, and those of a resync.
func (d *driver) follow(ctx, work context.Context, phase lifecycle.Phase) error {
	conn, err := d.config.source.Connect(work)
	if err != nil {
		return err
	}
	defer catalog.Close(conn)
	if phase == lifecycle.Resync {
		if err := d.renew(work, conn); err != nil {
			return err
		}
	}
	if err := d.checkStream(work, conn); err != nil {
		return err
	}
	if err := d.reconcile(work, conn); err != nil {
		return err
	}
	definitions, err := newDefinitions(d, conn)
	if err != nil {
		return err
	}
	group, following := errgroup.WithContext(work)
	group.Go(func() error { return d.stream(following, definitions) })
	group.Go(func() error { return d.loadBeside(ctx, following, phase) })
	err = group.Wait()
	if err == nil && work.Err() != nil {
		return errInterrupted
	}
	if errors.Is(err, errMissing) {
		return d.explainMissing(work, conn, err)
	}
	return err
}

// stream follows the slot until work ends.
func (d *driver) stream(work context.Context, definitions *definitions) error {
	replication, err := d.config.source.ConnectReplication(work)
	if err != nil {
		return err
	}
	defer catalog.Close(replication)
	maxRows := d.config.syncMaxRows
	if !d.config.blocks {
		maxRows = min(maxRows, structureRows)
	}
	reader := stream.NewReader(replication, definitions, stream.NewCheckpoint(d.pipe.State().ConfirmedLSN), d.outbox.deliveries, stream.Options{
		Slot: d.config.slot, Publication: d.config.publication, Binary: definitions.binary,
		SyncInterval: d.config.syncInterval, MaxRows: maxRows, MaxBytes: maxDeliveryBytes,
		SenderTimeout: d.server.WALSenderTimeout, DrainTimeout: drainTimeout,
		Started: d.pipe.Healthy,
	})
	err = reader.Run(work)
	if errors.Is(err, errNeedText) {
		d.needText = true
		return errInterrupted
	}
	return d.explainStream(err)
}

// checkStream makes sure that what the stream needs is there.
func (d *driver) checkStream(ctx context.Context, conn *pgx.Conn) error {
	server, err := catalog.ReadServer(ctx, conn)
	if err != nil {
		return err
	}
	d.server = server
	if err := server.Check(d.config.source.User(), true); err != nil {
		return err
	}
	if err := d.checkSlot(ctx, conn); err != nil {
		return err
	}
	return d.checkPublication(ctx, conn, server)
}

// explainStream tells apart what ends a stream.
func (d *driver) explainStream(err error) error {
	switch {
	case catalog.IsMissing(err):
		return fmt.Errorf("%w: %w", errMissing, err)
	case catalog.IsActiveElsewhere(err):
		return fmt.Errorf("slot %q is in use by another process; waiting for it to be free: %w", d.config.slot, err)
	}
	return err
}

// definitions knows what the tables of the stream are.
type definitions struct {
	*driver
	conn   *pgx.Conn // used by one Relation at a time
	types  *catalog.Types
	binary bool
	tables map[uint32]*change.Table
}

var _ stream.Source = (*definitions)(nil)

func newDefinitions(d *driver, conn *pgx.Conn) (*definitions, error) {
	state := d.pipe.State()
	s := &definitions{
		driver: d, conn: conn, binary: !d.needText,
		types: catalog.NewTypes(conn, d.server.MoneyDigits), tables: make(map[uint32]*change.Table, len(state.Tables)),
	}
	for name, t := range state.Tables {
		if t.Phase == lifecycle.TableRemoved {
			continue
		}
		table, err := change.Parse(t.Definition)
		if err != nil {
			return nil, fmt.Errorf("reading the definition of %s in the state of the pipe: %w", name, err)
		}
		s.tables[table.OID] = table
		s.binary = s.binary && readsBinary(table)
	}
	return s, nil
}

func readsBinary(t *change.Table) bool {
	for i := range t.Columns {
		if !pgvalue.Binary(t.Columns[i].Type) {
			return false
		}
	}
	return true
}

// Confirm implements stream.Source.
func (s *definitions) Confirm(_ context.Context, position uint64) error {
	// Not the stream's context: the last position is confirmed when that is over.
	ctx, cancel := context.WithTimeout(context.Background(), confirmTimeout)
	defer cancel()
	return s.pipe.Update(ctx, func(state *lifecycle.State) error {
		state.ConfirmedLSN = max(state.ConfirmedLSN, position)
		return nil
	})
}

// Received implements stream.Source.
func (s *definitions) Received(bytes int) { s.pipe.Received(bytes) }

// Applied implements stream.Source: only now the state may have the new
// definition, or a crash would leave the destination without it.
func (s *definitions) Applied(ctx context.Context, c *change.Control) error {
	if c.Operation != change.Schema {
		return nil
	}
	s.tables[c.Table.OID] = c.Table
	return s.pipe.Update(ctx, func(state *lifecycle.State) error {
		t := state.Tables[c.Table.String()]
		if t == nil {
			t = &lifecycle.TableState{Phase: lifecycle.TableRunning}
			t.Load.Complete = true
			state.Tables[c.Table.String()] = t
		}
		t.Definition = c.Table.Describe()
		return nil
	})
}
