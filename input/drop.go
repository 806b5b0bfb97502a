package input

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/lifecycle"
)

// Leftovers are what a pipe that is not run any more has at the source.
type Leftovers struct {
	// Slot that Penstock created, "" for none.
	Slot string
	// Publication that Penstock created, nil for none.
	Publication *catalog.Publication
	// Kept are sentences about what is there and not ours to drop.
	Kept []string
}

// Leftovers finds what the pipe left at the source. state is its durable state,
// nil where there is none. A slot that somebody reads is an error.
func (p *Plan) Leftovers(ctx context.Context, conn *pgx.Conn, state *lifecycle.State) (*Leftovers, error) {
	l := &Leftovers{}
	if !p.config.streaming() && (state == nil || state.Slot.IsZero()) {
		return l, nil
	}
	server, err := catalog.ReadServer(ctx, conn)
	if err != nil {
		return nil, err
	}
	slot, name := p.config.slot, p.config.publication
	if state != nil && !state.Slot.IsZero() { // it knows better, where the configuration was changed since
		if state.Slot.SystemID != server.SystemID || state.Slot.Database != p.Database() {
			return nil, &change.Failure{
				Class: catalog.ClassSlot,
				Reason: fmt.Sprintf("the state of the pipe belongs to database %q of the cluster with system identifier %s, and this is database %q of %s",
					state.Slot.Database, state.Slot.SystemID, p.Database(), server.SystemID),
				Fix: "point field `dsn` at that one",
			}
		}
		slot = state.Slot.Name
		if state.Publication != "" {
			name = state.Publication
		}
	}
	if err := leftSlot(ctx, conn, server, slot, state, l); err != nil {
		return nil, err
	}
	publication, err := catalog.ReadPublication(ctx, conn, server, name)
	switch {
	case err != nil:
		return nil, err
	case publication == nil:
	case publication.Ours && l.Slot == "" && len(l.Kept) > 0:
		l.Kept = append(l.Kept, fmt.Sprintf("publication %q, which that slot may be read with: once the slot is dropped, drop again", name))
	case publication.Ours:
		l.Publication = publication
	default:
		l.Kept = append(l.Kept, fmt.Sprintf("publication %q was not created by Penstock", name))
	}
	return l, nil
}

func leftSlot(ctx context.Context, conn *pgx.Conn, server *catalog.Server, name string, state *lifecycle.State, l *Leftovers) error {
	slot, err := catalog.ReadSlot(ctx, conn, server, name)
	if err != nil || slot == nil {
		return err
	}
	if slot.ActivePID != 0 {
		return &change.Failure{
			Class:  catalog.ClassSlot,
			Reason: fmt.Sprintf("slot %q is in use by pid %d", name, slot.ActivePID),
			Fix:    "stop the pipe that reads it first",
		}
	}
	statement := fmt.Sprintf("if nobody needs it, run SELECT pg_drop_replication_slot('%s')", name)
	switch {
	case state == nil:
		l.Kept = append(l.Kept, fmt.Sprintf("slot %q is there, and without the pipe's state nothing tells that Penstock created it: %s", name, statement))
	case !state.SlotCreatedByUs:
		l.Kept = append(l.Kept, fmt.Sprintf("slot %q was not created by Penstock: %s", name, statement))
	case slot.ConfirmedLSN > state.ConfirmedLSN:
		l.Kept = append(l.Kept, fmt.Sprintf("slot %q stands at %s, further than the pipe ever was (%s), so somebody else has advanced it or made it anew: %s",
			name, change.FormatLSN(slot.ConfirmedLSN), change.FormatLSN(state.ConfirmedLSN), statement))
	default:
		l.Slot = name
	}
	return nil
}

// Drop drops the slot, then the publication that it needs.
func (l *Leftovers) Drop(ctx context.Context, conn *pgx.Conn) error {
	if l.Slot != "" {
		if err := catalog.DropSlot(ctx, conn, l.Slot); err != nil {
			return err
		}
	}
	return catalog.DropPublication(ctx, conn, l.Publication)
}
