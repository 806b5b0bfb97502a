package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/lifecycle/api"
)

// served is a Pipe as the API sees it.
type served struct{ *Pipe }

var _ api.Pipe = served{}

func (v served) Pause(ctx context.Context) (bool, error) {
	_, err := v.Pipe.Pause(ctx)
	return v.Phase() != Paused, problem(err)
}

func (v served) Resume(ctx context.Context) (bool, error) {
	outcome, err := v.Pipe.Resume(ctx)
	return outcome == Accepted, problem(err)
}

func (v served) Resync(ctx context.Context, tables []string) (bool, error) {
	_, err := v.Pipe.Resync(ctx, tables)
	return true, problem(err)
}

func problem(err error) error {
	var conflict *Conflict
	var unknown *UnknownTable
	switch {
	case errors.As(err, &conflict):
		return &api.Problem{Code: http.StatusConflict, Message: conflict.Error(), Fix: conflict.Fix}
	case errors.As(err, &unknown):
		return &api.Problem{Code: http.StatusNotFound, Message: unknown.Error(), Fix: "name it as schema.table, as GET /v1/pipes/{name} lists it"}
	case errors.Is(err, ErrClosed):
		return &api.Problem{Code: http.StatusServiceUnavailable, Message: err.Error(), Fix: "the process is shutting down"}
	}
	return err
}

// Status returns what is shown of the pipe as a whole.
func (v served) Status() api.Status { return v.Pipe.Status() }

// Status returns what the API shows of the pipe as a whole.
func (p *Pipe) Status() api.Status {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.current.Load()
	status := api.Status{
		Name: p.name, Phase: string(s.Phase), Since: s.Since, Ready: s.Phase.Ready(),
		PausedFrom: string(s.PausedFrom), FailedFrom: string(s.FailedFrom), Failure: s.Failure.view(),
		Degraded:      []api.Degraded{},
		Resync:        append([]string{}, s.Resync...),
		Commands:      p.commands(s),
		TableCount:    map[string]int{},
		Slot:          p.slot.view(s.Slot.Name, now),
		ReceivedBytes: p.received.Load(),
		InFlightBytes: p.inFlight.Load(),
	}
	for _, at := range []side{source, destination} {
		if d, ok := p.degraded[at]; ok {
			status.Degraded = append(status.Degraded, api.Degraded{Side: string(at), Reason: d.Reason, Since: d.Since})
		}
	}
	for _, t := range p.tables {
		status.TableCount[string(t.shownPhase())]++
	}
	p.rates.show(&status)
	return status
}

// commands returns the commands that would not be a conflict now.
func (p *Pipe) commands(s *State) []string {
	commands := []string{}
	if s.Phase.pausable() {
		commands = append(commands, "pause")
	}
	if s.Phase == Paused || s.Phase == Failed {
		commands = append(commands, "resume")
	}
	if p.resyncAllowed(s) == nil {
		for name, t := range s.Tables {
			if p.resyncable(s, name, t) == nil {
				return append(commands, "resync")
			}
		}
	}
	return commands
}

// Tables returns what is shown of the tables, sorted by name.
func (v served) Tables() []api.Table {
	p := v.Pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	wanted := p.current.Load().Resync
	tables := make([]api.Table, 0, len(p.tables))
	for name, t := range p.tables {
		view := t.view(name)
		_, view.Resync = slices.BinarySearch(wanted, name)
		tables = append(tables, view)
	}
	slices.SortFunc(tables, func(a, b api.Table) int { return cmp.Compare(a.Name, b.Name) })
	return tables
}

// History returns what was measured in the last minutes.
func (v served) History() api.History {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.rates.history()
}

func (t *TableProgress) shownPhase() TablePhase {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.phase
}

func (t *TableProgress) view(name string) api.Table {
	t.mu.Lock()
	defer t.mu.Unlock()
	view := api.Table{
		Name: name, Phase: string(t.phase), Failure: t.failure.view(),
		Rows: t.loaded, RowsRead: t.rows.Load(), ChunksDone: t.done, ChunksTotal: t.total,
		Changes: map[string]uint64{},
	}
	for _, op := range []change.Operation{change.Insert, change.Update, change.Delete, change.Truncate} {
		view.Changes[op.String()] = t.changes[op].Load()
	}
	return view
}

func (f *Failure) view() *api.Failure {
	if f == nil {
		return nil
	}
	return &api.Failure{Class: f.Class, Reason: f.Reason, Fix: f.Fix, Table: f.Table, At: f.At}
}

func (h *slotHistory) view(name string, now time.Time) *api.Slot {
	if h.at.IsZero() {
		return nil
	}
	s := h.last
	view := &api.Slot{
		Name: name, CurrentLSN: lsn(s.CurrentLSN), ConfirmedLSN: lsn(s.ConfirmedLSN), RestartLSN: lsn(s.RestartLSN),
		LagBytes: h.lagBytes(), LagSeconds: h.lag(now).Truncate(100 * time.Millisecond).Seconds(),
		RetainedBytes: s.RetainedBytes, SafeWALBytes: s.SafeWALSize,
		WALStatus: s.WALStatus, InvalidationReason: s.InvalidationReason, Active: s.Active, ObservedAt: h.at.UTC(),
	}
	if left, ok := h.timeToLoss(); ok {
		seconds := left.Truncate(time.Second).Seconds()
		view.SecondsToLoss = &seconds
	}
	return view
}

// lsn writes a WAL position as PostgreSQL prints pg_lsn.
func lsn(v uint64) string { return fmt.Sprintf("%X/%X", v>>32, uint32(v)) }
