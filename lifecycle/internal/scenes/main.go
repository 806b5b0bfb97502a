// Command scenes serves pipes with made-up work, one address for each phase, so
// that the web page can be looked at, and clicked through by a browser test,
// without databases. It prints a line "name address" for each.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"os/signal"
	"time"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/lifecycle"
)

func main() {
	port := flag.Int("port", 0, "port of the first scene, the others follow; 0 takes any")
	token := flag.String("token", "", "token of every scene")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *port, *token); err != nil {
		log.Fatal(err)
	}
}

// memory is a Store that forgets.
type memory struct{ state []byte }

func (m *memory) Load(context.Context) ([]byte, error) { return m.state, nil }

func (m *memory) Save(_ context.Context, state []byte) error {
	m.state = state
	return nil
}

func run(ctx context.Context, port int, token string) error {
	for _, name := range append(lifecycle.Phases(), "degraded", "danger", "hostile", "many", "two") {
		address := "127.0.0.1:0"
		if port > 0 {
			address = fmt.Sprintf("127.0.0.1:%d", port)
			port++
		}
		host := lifecycle.NewHost()
		s, err := open(ctx, host, "shop", string(name), address, token)
		if err != nil {
			return err
		}
		if name == "two" {
			if _, err := open(ctx, host, "analytics", string(lifecycle.Snapshot), address, token); err != nil {
				return err
			}
		}
		fmt.Println(name, s.Addr())
	}
	<-ctx.Done()
	return nil
}

// scene is a pipe and the work it pretends to do.
type scene struct {
	*lifecycle.Pipe
	host   *lifecycle.Host
	name   string
	tables []string
	lsn    uint64
	since  time.Time
}

func open(ctx context.Context, host *lifecycle.Host, pipe, name, address, token string) (*scene, error) {
	p, err := lifecycle.Open(ctx, lifecycle.Options{Name: pipe, Store: &memory{}, Address: address, Token: token, Host: host})
	if err != nil {
		return nil, err
	}
	s := &scene{Pipe: p, host: host, name: name, lsn: 0x1_8F3A_0000, since: time.Now()}
	s.tables = []string{"public.orders", "public.order_items", "public.customers", "public.products", "public.inventory_movements", "billing.invoices", "billing.payments"}
	switch name {
	case "hostile":
		s.tables = []string{`public.<img src=x onerror=alert(1)>`, `public.</script><b>bold`, "public.a_table_whose_name_is_as_long_as_postgres_allows_it_to_be_63", "public.söme wörds", `"odd.schema".x'y"z`}
	case "many":
		for i := range 400 {
			s.tables = append(s.tables, fmt.Sprintf("tenant_%03d.events", i))
		}
	}
	if err := s.arrive(ctx); err != nil {
		return nil, fmt.Errorf("setting scene %s: %w", name, err)
	}
	go s.work(ctx)
	return s, nil
}

// arrive leads the pipe to the phase that the scene shows.
func (s *scene) arrive(ctx context.Context) error {
	phase := lifecycle.Phase(s.name)
	if !phase.Known() {
		phase = lifecycle.Running
	}
	steps := []func() error{}
	to := func(next lifecycle.Phase) {
		steps = append(steps, func() error { return s.To(ctx, next) })
	}
	do := func(f func(context.Context) (lifecycle.Outcome, error)) {
		steps = append(steps, func() error { _, err := f(ctx); return err })
	}
	if phase != lifecycle.Provisioning {
		to(lifecycle.Setup)
		steps = append(steps, func() error { return s.plan(ctx, phase) })
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
		do(s.Pause)
		if phase == lifecycle.Paused {
			to(phase)
		}
	case lifecycle.Resync:
		to(lifecycle.Running)
		do(func(ctx context.Context) (lifecycle.Outcome, error) {
			return s.Resync(ctx, []string{"public.orders", "billing.invoices"})
		})
		to(phase)
	case lifecycle.Failed:
		to(lifecycle.Running)
		steps = append(steps, func() error { return s.Fail(ctx, lostSlot()) })
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	s.paint()
	return nil
}

func lostSlot() *lifecycle.Failure {
	return &lifecycle.Failure{
		Class:  "slot_lost",
		Reason: `replication slot "penstock_shop" is lost: the source removed WAL that the pipe still needs (invalidation_reason=wal_removed)`,
		Fix:    "raise max_slot_wal_keep_size at the source (now 10 GB), then resync this pipe to load the tables anew with a new slot",
	}
}

const chunks = 64

// plan records the tables, loaded where the phase says so.
func (s *scene) plan(ctx context.Context, phase lifecycle.Phase) error {
	table := lifecycle.TableRunning
	switch phase {
	case lifecycle.Setup:
		table = lifecycle.TablePending
	case lifecycle.Snapshot, lifecycle.Pausing:
		table = lifecycle.TableSnapshot
	}
	return s.Update(ctx, func(st *lifecycle.State) error {
		st.Slot = lifecycle.SlotIdentity{SystemID: "7412", Database: "shop", Name: "penstock_shop", CreationLSN: s.lsn}
		for i, name := range s.tables {
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
func (s *scene) paint() {
	switch s.name {
	case "degraded":
		s.host.Output("").Degraded(errors.New("connecting to clickhouse at ch-1.internal:9000: dial tcp 10.0.3.7:9000: connect: connection refused"))
	case "resync":
		for i, name := range []string{"public.orders", "billing.invoices"} {
			s.Table(name).SetPhase(lifecycle.TableResync)
			s.Table(name).Chunks(41-30*i, chunks)
		}
	case "danger", "hostile":
		s.Table(s.tables[2]).SetFailed(&lifecycle.Failure{
			Class:  "unrepresentable",
			Reason: `column "total" holds numeric NaN, which Decimal(12, 2) cannot store (LSN 1/8F3A0198)`,
			Fix:    "set `unrepresentable: null`, or map the column to String under `tables`, then resync this table",
		})
	}
}

// work counts what a pipe in such a phase would count.
func (s *scene) work(ctx context.Context) {
	const beat = 250 * time.Millisecond
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.beat(float64(n))
		if n%8 == 0 {
			s.observe()
		}
		if s.Phase() == lifecycle.Pausing && s.name != "pausing" && n%8 == 0 {
			_ = s.To(ctx, lifecycle.Paused)
		}
	}
}

func (s *scene) beat(n float64) {
	wave := 1 + .5*math.Sin(n/37) + .25*math.Sin(n/7) + .3*rand.Float64()
	s.lsn += uint64(wave * 1.2e6)
	switch s.Phase() {
	case lifecycle.Snapshot, lifecycle.Resync:
		for i, name := range s.tables[:3] {
			s.Table(name).RowsRead(int(wave * 60_000 / float64(i+1)))
		}
		s.Received(int(wave * 30e6))
		s.InFlight(int64(wave * 48e6))
	case lifecycle.Running:
		if s.name == "degraded" {
			s.InFlight(64 << 20)
			return
		}
		for i, name := range s.tables {
			s.Table(name).Changes(change.Insert, int(wave*400/float64(i+1)))
			s.Table(name).Changes(change.Update, int(wave*150/float64(i+1)))
			s.Table(name).Changes(change.Delete, int(wave*9/float64(i+1)))
		}
		s.Received(int(wave * 180e3))
		s.InFlight(int64(wave * 1.4e6))
	case lifecycle.Pausing:
		s.InFlight(12 << 20)
	}
}

// observe reports a slot that is confirmed as far as the scene would have it.
func (s *scene) observe() {
	phase := s.Phase()
	if phase == lifecycle.Provisioning || phase == lifecycle.Setup {
		return
	}
	behind := uint64(rand.IntN(3 << 20))
	status := "reserved"
	stuck := phase != lifecycle.Running || s.name == "degraded" || s.name == "danger"
	if stuck {
		behind = s.lsn - 0x1_8F3A_0000
		status = "extended"
	}
	slot := lifecycle.SlotStatus{CurrentLSN: s.lsn, ConfirmedLSN: s.lsn - behind, RestartLSN: s.lsn - behind - 9<<20, WALStatus: status, Active: phase == lifecycle.Running}
	if phase == lifecycle.Failed {
		slot.WALStatus, slot.InvalidationReason = "lost", "wal_removed"
	}
	if s.name != "hostile" {
		safe := int64(10<<30) - int64(behind)
		slot.SafeWALSize = &safe
	}
	s.Slot(slot)
}
