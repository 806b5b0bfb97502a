package input

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/input/snapshot"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/lifecycle"
)

// renew makes slot and publication anew where they cannot be streamed from any
// more. Only a resync of the whole pipe may do that: what was missed is then
// loaded.
func (d *driver) renew(ctx context.Context, conn *pgx.Conn) error {
	state := d.pipe.State()
	if !state.ResyncWhole {
		return nil
	}
	publication, err := d.look(ctx, conn)
	if err != nil {
		return err
	}
	err = d.checkSlot(ctx, conn)
	if err == nil && (publication == nil || publication.OID != state.PublicationOID) {
		err = d.publicationRemade(nil)
	}
	var failure *change.Failure
	if err != nil && !errors.As(err, &failure) {
		return err
	}
	if failure == nil {
		return catalog.Publish(ctx, conn, d.server, d.config.publication, publication, d.tables)
	}
	// Until the state has the new ones, a process that is killed comes back here.
	if err := catalog.DropSlot(ctx, conn, d.config.slot); err != nil {
		return err
	}
	if err := catalog.Publish(ctx, conn, d.server, d.config.publication, publication, d.tables); err != nil {
		return err
	}
	oid, err := catalog.PublicationOID(ctx, conn, d.config.publication)
	if err != nil {
		return err
	}
	slot, err := d.openSlot(ctx, conn)
	if err != nil {
		return err
	}
	// Its snapshot is not needed: the loads take a later one, beside the stream.
	slot.release()
	d.log.With("slot", d.config.slot, "reason", failure.Reason).Warn("Made the slot anew for the resync")
	return d.pipe.Update(ctx, func(s *lifecycle.State) error {
		slot.record(s)
		s.SlotCreatedByUs = true
		s.PublicationOID = oid
		return nil
	})
}

// reconcile brings the state in line with the configuration, once for a
// process: tables that are new are made at the destination and wait to be
// loaded, and tables that are gone are not replicated any more.
func (d *driver) reconcile(ctx context.Context, conn *pgx.Conn) error {
	if d.reconciled {
		return nil
	}
	publication, err := d.lookLeniently(ctx, conn)
	if err != nil {
		return err
	}
	if err := catalog.Publish(ctx, conn, d.server, d.config.publication, publication, d.tables); err != nil {
		return err
	}
	state := d.pipe.State()
	present := map[string]bool{}
	var fresh []*catalog.Table
	for _, t := range d.tables {
		present[t.String()] = true
		if known := state.Tables[t.String()]; known == nil || known.Phase == lifecycle.TableRemoved {
			fresh = append(fresh, t)
		}
	}
	for _, t := range fresh {
		c := &change.Control{Operation: change.Schema, Table: t.Table}
		if left := state.Tables[t.String()]; left != nil {
			if c.Previous, err = change.Parse(left.Definition); err != nil {
				return fmt.Errorf("reading the definition of %s in the state of the pipe: %w", t, err)
			}
		}
		if err := d.outbox.apply(ctx, c); err != nil {
			return err
		}
	}
	err = d.pipe.Update(ctx, func(s *lifecycle.State) error {
		for _, t := range fresh {
			d.add(s, t)
		}
		for name, t := range s.Tables {
			if !present[name] && t.Phase != lifecycle.TableRemoved {
				t.Phase = lifecycle.TableRemoved
				d.log.With("table", name).Info("Table removed from the pipe; its destination is kept")
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.reconciled = true
	if d.pipe.Phase() == lifecycle.Running && len(d.pipe.ResyncWanted()) > 0 {
		return errInterrupted
	}
	return nil
}

// add puts a table that came into the configuration into the state. One that
// was there before is loaded again beside itself: its destination has rows, and
// their versions win over those of a first load.
func (d *driver) add(s *lifecycle.State, t *catalog.Table) {
	name := t.String()
	phase, before := lifecycle.TablePending, s.Tables[name] != nil
	switch {
	case d.config.mode == modeCDCOnly:
		phase = lifecycle.TableRunning
	case before:
		phase = lifecycle.TableResync
		if i, wanted := slices.BinarySearch(s.Resync, name); !wanted {
			s.Resync = slices.Insert(s.Resync, i, name)
		}
	}
	s.Tables[name] = &lifecycle.TableState{Phase: phase, Definition: t.Describe()}
	d.log.With("table", name, "again", before).Info("Table added to the pipe")
}

// lookLeniently surveys the source for a pipe that is already running: a new
// table that cannot be replicated must not stop the others.
func (d *driver) lookLeniently(ctx context.Context, conn *pgx.Conn) (*catalog.Publication, error) {
	config := *d.config
	for {
		config.selection.Exclude = append(d.config.selection.Exclude[:len(d.config.selection.Exclude):len(d.config.selection.Exclude)], d.skipped...)
		server, publication, tables, err := survey(ctx, conn, &config)
		if err == nil {
			d.server, d.tables = server, tables
			return publication, nil
		}
		var failure *change.Failure
		if !errors.As(err, &failure) || failure.Table == "" || d.pipe.State().Tables[failure.Table] != nil {
			return nil, err
		}
		d.log.With("table", failure.Table, "reason", failure.Reason, "fix", failure.Fix).Warn("Leaving out a new table that cannot be replicated")
		d.skipped = append(d.skipped, catalog.Literal(failure.Table))
	}
}

// loadBeside loads tables while the stream goes on: in phase running those that
// are new, into their own destination; in phase resync those asked for, each
// into a table of its own that then takes the place of the old one. Changes
// meanwhile go to both. It returns nil when there is nothing left to load.
func (d *driver) loadBeside(ctx, work context.Context, phase lifecycle.Phase) error {
	anew := phase == lifecycle.Resync
	tables, err := d.unloaded(anew)
	if err != nil {
		return err
	}
	if len(tables) > 0 {
		if err := d.loadTables(ctx, work, tables, anew); err != nil {
			return err
		}
	}
	if !anew {
		return nil
	}
	for _, name := range d.pipe.ResyncWanted() {
		// Nothing is left of a table that was removed while it waited.
		if err := d.pipe.ResyncDone(ctx, name); err != nil {
			return err
		}
	}
	return d.pipe.To(ctx, lifecycle.Running)
}

// unloaded returns the tables to load.
func (d *driver) unloaded(anew bool) ([]*catalog.Table, error) {
	state := d.pipe.State()
	wanted := map[string]bool{}
	for _, name := range state.Resync {
		wanted[name] = anew
	}
	for name, t := range state.Tables {
		if !anew && !t.Load.Complete && d.config.mode != modeCDCOnly && (t.Phase == lifecycle.TablePending || t.Phase == lifecycle.TableSnapshot) {
			wanted[name] = true
		}
	}
	var tables []*catalog.Table
	for _, t := range d.tables {
		if wanted[t.String()] {
			tables = append(tables, t)
		}
	}
	return tables, nil
}

func (d *driver) loadTables(ctx, work context.Context, tables []*catalog.Table, anew bool) error {
	conn, err := d.config.source.Connect(work)
	if err != nil {
		return err
	}
	defer catalog.Close(conn)
	if anew {
		// From here on changes go to the new table too. A load that was cut short
		// starts over with an empty one.
		for _, t := range tables {
			if err := d.outbox.apply(work, &change.Control{Operation: change.TableBegin, Table: t.Table}); err != nil {
				return err
			}
		}
	}
	if err := d.plan(work, conn, tables, anew); err != nil {
		return err
	}
	anchor, err := snapshot.Export(work, d.config.source)
	if err != nil {
		return err
	}
	defer anchor.Close()
	if err := d.load(ctx, work, anchor, tables); err != nil {
		return err
	}
	if !anew {
		return nil
	}
	for _, t := range tables {
		if err := d.swapIn(ctx, work, t); err != nil {
			return err
		}
	}
	return nil
}

// swapIn puts a loaded table in the place of the old one.
func (d *driver) swapIn(ctx, work context.Context, t *catalog.Table) error {
	if err := d.outbox.apply(work, &change.Control{Operation: change.TableDone, Table: t.Table}); err != nil {
		return err
	}
	err := d.pipe.Update(ctx, func(s *lifecycle.State) error {
		if known := s.Tables[t.String()]; known != nil {
			known.Phase, known.Failure = lifecycle.TableRunning, nil
		}
		return nil
	})
	if err != nil {
		return err
	}
	return d.pipe.ResyncDone(ctx, t.String())
}
