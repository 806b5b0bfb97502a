package scene

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/lifecycle"
)

// work counts what a pipe in such a phase would count.
func (p *pipe) work(ctx context.Context) {
	const beat = 250 * time.Millisecond
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.beat(float64(n))
		if n%8 == 0 {
			p.observe()
		}
		if p.Phase() == lifecycle.Pausing && p.name != "pausing" && n%8 == 0 {
			_ = p.To(ctx, lifecycle.Paused)
		}
	}
}

func (p *pipe) beat(n float64) {
	wave := 1 + .5*math.Sin(n/37) + .25*math.Sin(n/7) + .3*rand.Float64()
	p.lsn += uint64(wave * 1.2e6)
	switch p.Phase() {
	case lifecycle.Snapshot, lifecycle.Resync:
		for i, name := range p.loading() {
			p.Table(name).RowsRead(int(wave * 60_000 / float64(i+1)))
		}
		p.Received(int(wave * 30e6))
		p.InFlight(int64(wave * 48e6))
	case lifecycle.Running:
		if p.name == "degraded" {
			p.InFlight(64 << 20)
			return
		}
		for i, name := range p.tables {
			p.Table(name).Changes(change.Insert, int(wave*400/float64(i+1)))
			p.Table(name).Changes(change.Update, int(wave*150/float64(i+1)))
			p.Table(name).Changes(change.Delete, int(wave*9/float64(i+1)))
		}
		p.Received(int(wave * 180e3))
		p.InFlight(int64(wave * 1.4e6))
	case lifecycle.Pausing:
		p.InFlight(12 << 20)
	}
}

// loading lists the tables that are being read.
func (p *pipe) loading() []string {
	if wanted := p.ResyncWanted(); len(wanted) > 0 {
		return wanted
	}
	return p.tables[1:3]
}

// observe reports a slot that is confirmed as far as the scene would have it.
func (p *pipe) observe() {
	phase := p.Phase()
	if phase == lifecycle.Provisioning || phase == lifecycle.Setup || phase == lifecycle.Completed {
		return // no slot is made before a snapshot, and none for a pipe that ends with it
	}
	behind := uint64(rand.IntN(3 << 20))
	status := "reserved"
	stuck := phase != lifecycle.Running || p.name == "degraded" || p.name == "danger"
	if stuck {
		behind = p.lsn - firstLSN
		status = "extended"
	}
	slot := lifecycle.SlotStatus{CurrentLSN: p.lsn, ConfirmedLSN: p.lsn - behind, RestartLSN: p.lsn - behind - 9<<20, WALStatus: status, Active: phase == lifecycle.Running}
	if phase == lifecycle.Failed {
		slot.WALStatus, slot.InvalidationReason = "lost", "wal_removed"
	}
	if p.name != "hostile" {
		safe := int64(10<<30) - int64(behind)
		slot.SafeWALSize = &safe
	}
	p.Slot(slot)
}
