package output

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/output/ddl"
	"github.com/penstock/penstock/output/insert"
)

// failurePause is the least time between two attempts at a table that fails for good. The engine sends a refused batch
// again at once, and a table that someone must mend first should not keep a core busy.
const failurePause = time.Second

// exclusive is the weight of whoever needs a table for itself; an insert weighs one.
const exclusive = 1 << 30

// destination is one destination table and what is known about it.
//
// Inserts share it; whoever alters it has it alone: waits for the inserts that run, and has later ones wait. Unlike a
// sync.RWMutex the semaphore gives up when the context ends, and an insert may take as long as ClickHouse is down.
type destination struct {
	output   *Output
	name     string
	fullName string // database.table, unquoted, for logs and errors
	inserts  *semaphore.Weighted

	// shadow is the table that is being loaded to take this one's place, nil while there is none. Whoever has the table
	// alone may set it, whoever shares it may read it.
	shadow *destination

	mu       sync.Mutex
	prepared []*prepared // for each definition that messages carry, the latest last
	doomed   bool        // rows no longer fit, and the shadow takes the place of this table
	failedAt time.Time
	warned   map[string]struct{} // lossy columns that were logged
}

// keptDefinitions is how many definitions of one destination are kept prepared. Usually there is one, after a schema
// change two; several source tables may share a destination.
const keptDefinitions = 16

// destination returns the destination table called name.
func (o *Output) destination(name string) *destination {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := o.destinations[name]
	if d == nil {
		d = newDestination(o, name)
		o.destinations[name] = d
	}
	return d
}

func newDestination(o *Output, name string) *destination {
	return &destination{
		output: o, name: name, fullName: o.conf.dsn.Database + "." + name,
		inserts: semaphore.NewWeighted(exclusive), warned: make(map[string]struct{}),
	}
}

// conn returns the connection for work on this table.
func (d *destination) conn() (*insert.Table, error) {
	d.output.mu.Lock()
	defer d.output.mu.Unlock()
	if d.output.client == nil {
		return nil, fmt.Errorf("table %s: the output is closed", d.fullName)
	}
	return d.output.client.Table(d.fullName), nil
}

func (d *destination) target(table *change.Table) *ddl.Target {
	d.output.mu.Lock()
	utc := d.output.server.UTC()
	d.output.mu.Unlock()
	return d.output.conf.target(d.name, table, utc)
}

// use returns how to insert rows of a definition, with the table shared until release is called. The first time, the
// table is made or checked. p is nil where the rows do not fit and need not, because the table is about to be replaced.
func (d *destination) use(ctx context.Context, table *change.Table) (p *prepared, release func(), err error) {
	for {
		if err := d.inserts.Acquire(ctx, 1); err != nil {
			return nil, nil, fmt.Errorf("table %s: waiting for the table: %w", d.fullName, err)
		}
		release := func() { d.inserts.Release(1) }
		if p := d.lookup(table); p != nil {
			return p, release, nil
		}
		if d.shadow != nil && d.isDoomed() {
			return nil, release, nil
		}
		release()
		err := d.alone(ctx, func() error {
			if d.lookup(table) != nil {
				return nil // someone else was quicker
			}
			return d.tolerate(d.prepare(ctx, table))
		})
		if err != nil {
			return nil, nil, err
		}
	}
}

// alone runs f with no insert into the table running.
func (d *destination) alone(ctx context.Context, f func() error) error {
	if err := d.inserts.Acquire(ctx, exclusive); err != nil {
		return fmt.Errorf("table %s: waiting for inserts to end: %w", d.fullName, err)
	}
	defer d.inserts.Release(exclusive)
	return f()
}

func (d *destination) lookup(table *change.Table) *prepared {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := len(d.prepared) - 1; i >= 0; i-- {
		if p := d.prepared[i]; p.table == table || sameDefinition(p.table, table) {
			return p
		}
	}
	return nil
}

// prepare makes or checks the table for a definition. The caller has the table alone.
func (d *destination) prepare(ctx context.Context, table *change.Table) error {
	conn, err := d.conn()
	if err != nil {
		return err
	}
	target := d.target(table)
	existing, err := target.Read(ctx, conn)
	if err != nil {
		return err
	}
	if existing == nil {
		if existing, err = d.create(ctx, conn, target, table); err != nil {
			return err
		}
	}
	if err := target.Check(table, existing); err != nil {
		return err
	}
	p, err := d.newPrepared(table, target, existing)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.prepared) == keptDefinitions {
		d.prepared = d.prepared[1:]
	}
	d.prepared = append(d.prepared, p)
	return nil
}

// create makes the table and returns its definition as the server has it.
func (d *destination) create(ctx context.Context, conn *insert.Table, target *ddl.Target, table *change.Table) (*ddl.Existing, error) {
	statement, err := target.Create(table)
	if err != nil {
		return nil, err
	}
	if !d.output.conf.createTables {
		return nil, &ddl.IncompatibleError{Table: d.fullName, Problems: []string{
			"it does not exist and `create_tables` is false: set it to true, or run " + strings.ReplaceAll(statement, "\n", " "),
		}}
	}
	if err := conn.Exec(ctx, statement); err != nil {
		return nil, fmt.Errorf("creating %s: %w", target, err)
	}
	d.output.log.With("table", d.fullName, "source", table.String(), "engine", string(target.Engine)).Info("created table")
	existing, err := target.Read(ctx, conn)
	if err == nil && existing == nil {
		err = &ddl.IncompatibleError{Table: d.fullName, Problems: []string{"it is not there after it was created: look for a DROP in system.query_log"}}
	}
	return existing, err
}

// control applies what happened to a table as a whole.
func (d *destination) control(ctx context.Context, c *change.Control) error {
	return d.alone(ctx, func() error {
		d.forget()
		switch c.Operation {
		case change.Schema:
			if err := d.tolerate(d.redefine(ctx, c)); err != nil || d.shadow == nil {
				return err
			}
			return d.shadow.control(ctx, c)
		case change.Truncate:
			if err := d.truncate(ctx, c); err != nil || d.shadow == nil {
				return err
			}
			return d.shadow.control(ctx, c)
		case change.TableBegin:
			return d.beginShadow(ctx, c.Table)
		case change.TableDone:
			return d.swapShadow(ctx, c.Table)
		}
		return fmt.Errorf("table %s: unknown control %q of %s at %s", d.fullName, c.Operation, c.Table, change.FormatLSN(c.LSN))
	})
}

// forget drops what is known about the columns, which may no longer hold. Rows sent before a change and delivered again
// are prepared anew, for the table as it then is.
func (d *destination) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.prepared, d.doomed = nil, false
}

// redefine makes the table fit a definition. The caller has the table alone.
func (d *destination) redefine(ctx context.Context, c *change.Control) error {
	if c.Previous != nil {
		if err := d.evolve(ctx, c.Table); err != nil {
			return err
		}
	}
	return d.prepare(ctx, c.Table)
}

// evolve alters an existing table to hold a changed definition. The caller has the table alone.
func (d *destination) evolve(ctx context.Context, table *change.Table) error {
	conn, err := d.conn()
	if err != nil {
		return err
	}
	target := d.target(table)
	existing, err := target.Read(ctx, conn)
	if err != nil || existing == nil {
		return err
	}
	statement, err := target.Evolve(table, existing)
	if err != nil || statement == "" {
		return err
	}
	if err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("altering %s: %w", target, err)
	}
	d.output.log.With("table", d.fullName, "source", table.String(), "statement", statement,
		"kept", strings.Join(target.Dropped(table, existing), ", ")).Info("altered table after a schema change at the source")
	return nil
}

// pauseAfterFailure waits where the table has just failed.
func (d *destination) pauseAfterFailure(ctx context.Context) error {
	d.mu.Lock()
	wait := time.Until(d.failedAt.Add(failurePause))
	d.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("table %s: %w", d.fullName, context.Cause(ctx))
	}
}

func (d *destination) failedNow() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failedAt = time.Now()
}
