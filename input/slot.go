package input

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/input/snapshot"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/lifecycle"
)

// slot is a slot that this process has just taken over, and a snapshot that is
// not older than it.
type slot struct {
	identity lifecycle.SlotIdentity
	created  bool
	// anchor is nil where the slot was found, not made.
	anchor *snapshot.Anchor
}

func (s *slot) release() {
	if s.anchor != nil {
		s.anchor.Close()
	}
}

// record puts the slot into the pipe's state: all progress belongs to it.
func (s *slot) record(state *lifecycle.State) {
	state.Slot = s.identity
	state.SlotCreatedByUs = state.SlotCreatedByUs || s.created
	state.ConfirmedLSN = s.identity.CreationLSN
}

// openSlot makes the slot and exports its snapshot. A slot of that name that is
// there already is taken over: somebody made it in advance, or this process was
// killed between making it and recording that. Either way every snapshot from
// now on is behind the position that it streams from.
func (d *driver) openSlot(ctx context.Context, conn *pgx.Conn) (*slot, error) {
	name := d.config.slot
	identity := lifecycle.SlotIdentity{SystemID: d.server.SystemID, Database: d.config.source.Database(), Name: name}
	existing, err := catalog.ReadSlot(ctx, conn, d.server, name)
	if err != nil {
		return nil, err
	}
	if existing != nil {
		if err := existing.Check(name, identity.Database); err != nil {
			return nil, err
		}
		identity.CreationLSN = existing.ConfirmedLSN
		return &slot{identity: identity}, nil
	}
	replication, err := d.config.source.ConnectReplication(ctx)
	if err != nil {
		return nil, err
	}
	closeReplication := func() { catalog.Close(replication) }
	created, err := catalog.CreateSlot(ctx, replication, conn, name)
	if err != nil {
		closeReplication()
		return nil, err
	}
	identity.CreationLSN = created.ConsistentPoint
	return &slot{
		identity: identity, created: true,
		anchor: &snapshot.Anchor{Snapshot: created.Snapshot, Taken: time.Now(), Close: closeReplication},
	}, nil
}

// checkSlot makes sure that the slot is still the one that the state's progress
// belongs to.
func (d *driver) checkSlot(ctx context.Context, conn *pgx.Conn) error {
	state := d.pipe.State()
	name := state.Slot.Name
	if name != d.config.slot {
		return &change.Failure{
			Class:  catalog.ClassSlot,
			Reason: fmt.Sprintf("the state of the pipe belongs to slot %q, and field `slot_name` is now %q", name, d.config.slot),
			Fix:    "set `slot_name` back, or give the input another label to begin a new pipe",
		}
	}
	if d.server.SystemID != state.Slot.SystemID || d.config.source.Database() != state.Slot.Database {
		return &change.Failure{
			Class:  catalog.ClassSlot,
			Reason: fmt.Sprintf("the state of the pipe belongs to database %q of another PostgreSQL cluster (system identifier %s, this one is %s)", state.Slot.Database, state.Slot.SystemID, d.server.SystemID),
			Fix:    "point field `dsn` back to it, or give the input another label to begin a new pipe",
		}
	}
	found, err := catalog.ReadSlot(ctx, conn, d.server, name)
	if err != nil {
		return err
	}
	if found == nil {
		return catalog.MissingSlot(name)
	}
	if err := found.Check(name, state.Slot.Database); err != nil {
		return err
	}
	if found.ConfirmedLSN > state.ConfirmedLSN {
		return &change.Failure{
			Class: catalog.ClassSlot,
			Reason: fmt.Sprintf("slot %q stands at %s, behind the last position that this pipe confirmed (%s): it was advanced or made anew by somebody else, and the changes between are not in the destination",
				name, change.FormatLSN(found.ConfirmedLSN), change.FormatLSN(state.ConfirmedLSN)),
			Fix: "resync the pipe",
		}
	}
	return nil
}
