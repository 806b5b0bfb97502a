package output

import (
	"context"
	"errors"
	"fmt"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/output/ddl"
	"github.com/penstock/penstock/output/insert"
)

// A table is loaded again ("resync") beside itself. TableBegin makes an empty shadow table. From then on rows of a
// snapshot go to the shadow alone, and changes to both, so that the old table stays right while the new one fills.
// TableDone gives the shadow the table's name in one atomic step and drops what was there.
//
// That a shadow is being loaded is known in memory only. After a restart of the program the input begins the load again,
// with TableBegin, and a shadow that was left behind is dropped.
//
// A history is not replaced, and Null holds nothing to replace: there the rows of the load are inserted as they come.

// shadowSuffix is behind the name of a table that is loaded to take the place of another.
const shadowSuffix = "__resync"

// beginShadow makes an empty shadow. The caller has the table alone.
func (d *destination) beginShadow(ctx context.Context, table *change.Table) error {
	d.shadow = nil
	target := d.target(table)
	if !target.Replaces() {
		return nil
	}
	conn, err := d.conn()
	if err != nil {
		return err
	}
	shadow := newDestination(d.output, d.name+shadowSuffix)
	shadowTarget := shadow.target(table)
	if err := conn.Exec(ctx, shadowTarget.Drop(d.output.dropsAnySize())); err != nil {
		return fmt.Errorf("dropping what an earlier load left in %s: %w", shadowTarget, err)
	}
	existing, err := target.Read(ctx, conn)
	if err != nil {
		return err
	}
	// What somebody has added to the table is kept, if the table still fits.
	if existing != nil && target.Check(table, existing) == nil {
		if like := shadowTarget.CreateLike(target, existing); like != "" {
			if err := conn.Exec(ctx, like); err != nil {
				return fmt.Errorf("creating %s: %w", shadowTarget, err)
			}
		}
	}
	if err := shadow.alone(ctx, func() error { return shadow.prepare(ctx, table) }); err != nil {
		return err
	}
	d.shadow = shadow
	d.output.log.With("table", d.fullName, "into", shadow.fullName).Info("loading table again")
	return nil
}

// swapShadow puts the shadow in the table's place. The caller has the table alone. Without a shadow it has been done: what
// begins a load always comes first.
func (d *destination) swapShadow(ctx context.Context, table *change.Table) error {
	if d.shadow == nil {
		return nil
	}
	conn, err := d.conn()
	if err != nil {
		return err
	}
	target, shadow := d.target(table), d.shadow.target(table)
	loaded, err := shadow.UUID(ctx, conn)
	if err != nil {
		return err
	}
	// An EXCHANGE whose answer was lost must not be undone by a second one.
	err = conn.Retry(ctx, func(ctx context.Context, once insert.Queries) error {
		current, err := target.UUID(ctx, once)
		switch {
		case err != nil || current == loaded:
			return err
		case current == "": // dropped by somebody, which is a reason to resync
			return once.Exec(ctx, shadow.Rename(target))
		}
		return once.Exec(ctx, target.Exchange(shadow))
	})
	if err != nil {
		return fmt.Errorf("putting %s in the place of %s (its database must be of engine Atomic, Replicated or Shared): %w", shadow, target, err)
	}
	d.shadow = nil
	d.output.log.With("table", d.fullName, "source", table.String()).Info("swapped in the table that was loaded again")
	// The load is done, whatever becomes of the old rows.
	if err := conn.Exec(ctx, shadow.Drop(d.output.dropsAnySize())); err != nil {
		d.output.log.With("table", shadow.String(), "error", err.Error()).Warn("the old rows were not dropped: DROP TABLE it by hand")
	}
	return nil
}

// isDoomed says whether rows no longer fit this table while another is being made to take its place.
func (d *destination) isDoomed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.doomed
}

// tolerate swallows that the table does not fit where that is why it is being replaced. The caller has the table alone.
func (d *destination) tolerate(err error) error {
	var incompatible *ddl.IncompatibleError
	if d.shadow == nil || !errors.As(err, &incompatible) {
		return err
	}
	d.mu.Lock()
	d.doomed = true
	d.mu.Unlock()
	d.output.log.With("table", d.fullName, "error", err.Error()).Info("changes go only to the table that is being loaded")
	return nil
}

// dropsAnySize says whether the server lets a query lift its limit on what may be dropped.
func (o *Output) dropsAnySize() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.server.AtLeast(23, 12)
}
