package scene

import (
	"context"
	"errors"
	"fmt"

	"github.com/penstock/penstock/lifecycle"
)

// firstLSN is where the made-up slot was created.
const firstLSN = 0x1_8F3A_0000

// pipe is a pipe and the work it pretends to do.
type pipe struct {
	*lifecycle.Pipe
	host   *lifecycle.Host
	name   string // of the scene
	tables []string
	lsn    uint64
}

func open(ctx context.Context, host *lifecycle.Host, called, name, address, token string) (*pipe, error) {
	opened, err := lifecycle.Open(ctx, lifecycle.Options{Name: called, Store: &memory{}, Address: address, Token: token, Host: host})
	if err != nil {
		return nil, err
	}
	p := &pipe{Pipe: opened, host: host, name: name, lsn: firstLSN, tables: tables(name)}
	if err := p.arrive(ctx); err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return p, nil
}

func tables(scene string) []string {
	names := []string{"public.orders", "public.order_items", "public.customers", "public.products", "public.inventory_movements", "billing.invoices", "billing.payments"}
	switch scene {
	case "hostile":
		return []string{`public.<img src=x onerror=alert(1)>`, `public.</script><b>bold`, "public.a_table_whose_name_is_as_long_as_postgres_allows_it_to_be_63", "public.söme wörds", `"odd.schema".x'y"z`}
	case "many":
		for i := range 400 {
			names = append(names, fmt.Sprintf("tenant_%03d.events", i))
		}
	}
	return names
}

// arrive leads the pipe to the phase that the scene shows.
func (p *pipe) arrive(ctx context.Context) error {
	phase := lifecycle.Phase(p.name)
	if !phase.Known() {
		phase = lifecycle.Running
	}
	steps := []func() error{}
	to := func(next lifecycle.Phase) {
		steps = append(steps, func() error { return p.To(ctx, next) })
	}
	do := func(f func(context.Context) (lifecycle.Outcome, error)) {
		steps = append(steps, func() error { _, err := f(ctx); return err })
	}
	if phase != lifecycle.Provisioning {
		to(lifecycle.Setup)
		steps = append(steps, func() error { return p.plan(ctx, phase) })
	}
	if phase != lifecycle.Provisioning && phase != lifecycle.Setup {
		to(lifecycle.Snapshot)
	}
	switch phase {
	case lifecycle.Running:
		to(phase)
	case lifecycle.Completed:
		to(phase)
	case lifecycle.Pausing, lifecycle.Paused:
		if phase == lifecycle.Paused {
			to(lifecycle.Running)
		}
		do(p.Pause)
		if phase == lifecycle.Paused {
			to(phase)
		}
	case lifecycle.Resync:
		to(lifecycle.Running)
		do(func(ctx context.Context) (lifecycle.Outcome, error) {
			return p.Resync(ctx, []string{"public.orders", "billing.invoices"})
		})
		to(phase)
	case lifecycle.Failed:
		to(lifecycle.Running)
		steps = append(steps, func() error { return p.Fail(ctx, lostSlot()) })
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	p.paint()
	return nil
}

func lostSlot() *lifecycle.Failure {
	return &lifecycle.Failure{
		Class:  "slot",
		Reason: `slot "penstock_shop" is lost (wal_removed): WAL that it needs is gone`,
		Fix:    "raise max_slot_wal_keep_size (and idle_replication_slot_timeout where it is set), run SELECT pg_drop_replication_slot('penstock_shop'), then resync the pipe",
	}
}

const chunks = 64

// plan records the tables, loaded where the phase says so.
func (p *pipe) plan(ctx context.Context, phase lifecycle.Phase) error {
	table := lifecycle.TableRunning
	switch phase {
	case lifecycle.Setup:
		table = lifecycle.TablePending
	case lifecycle.Snapshot, lifecycle.Pausing:
		table = lifecycle.TableSnapshot
	}
	return p.Update(ctx, func(st *lifecycle.State) error {
		st.Slot = lifecycle.SlotIdentity{SystemID: "7412", Database: "shop", Name: "penstock_shop", CreationLSN: p.lsn}
		for i, name := range p.tables {
			t := &lifecycle.TableState{Phase: table}
			if table != lifecycle.TablePending {
				part := lifecycle.LoadPart{Relation: name, Blocks: chunks * 1000, ChunkBlocks: 1000}
				done := chunks
				if table == lifecycle.TableSnapshot {
					done = max(0, chunks-9*i*i)
				}
				for n := range done {
					part.Done.Add(uint32(n))
				}
				t.Load = lifecycle.Load{Parts: []lifecycle.LoadPart{part}, Rows: int64(done) * int64(250_000/(i+1)), Complete: done == chunks}
				if done == chunks {
					t.Phase = lifecycle.TableRunning
				}
				if done == 0 {
					t.Phase = lifecycle.TablePending
				}
			}
			st.Tables[name] = t
		}
		return nil
	})
}

// paint adds what a scene shows beside its phase.
func (p *pipe) paint() {
	switch p.name {
	case "degraded":
		p.host.Output("").Degraded(errors.New("connecting to clickhouse at ch-1.internal:9000: dial tcp 10.0.3.7:9000: connect: connection refused"))
	case "resync":
		for i, name := range []string{"public.orders", "billing.invoices"} {
			p.Table(name).SetPhase(lifecycle.TableResync)
			p.Table(name).Chunks(41-30*i, chunks)
		}
	case "danger", "hostile":
		p.Table(p.tables[2]).SetFailed(&lifecycle.Failure{
			Class:  "unrepresentable",
			Reason: `column "total" holds numeric NaN, which Decimal(12, 2) cannot store (LSN 1/8F3A0198)`,
			Fix:    "set `unrepresentable: null`, or map the column to String under `tables`, then resync this table",
		})
	}
}
