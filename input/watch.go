package input

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/lifecycle"
)

// watchInterval is how often the slot is looked at: often enough for a chart,
// and cheap for the server.
const watchInterval = 2 * time.Second

// watchRest is the pause after an error: a server that refuses our password
// should not be asked every other second.
const watchRest = 15 * time.Second

// watch observes the slot and writes heartbeats until ctx ends, in every phase:
// a slot can be lost during a long snapshot or a pause just as well.
func (d *driver) watch(ctx context.Context) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	w := watcher{driver: d}
	defer w.close()
	var resting time.Time // until then nothing is tried, after an error
	for {
		if name := d.pipe.State().Slot.Name; name != "" && time.Now().After(resting) {
			if err := w.observe(ctx, name); err != nil {
				w.close() // the session may be broken; the phases say so
				resting = time.Now().Add(watchRest)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// watcher has a session of its own, so that it is not in the way of others.
type watcher struct {
	*driver
	conn      *pgx.Conn
	server    *catalog.Server
	heartbeat time.Time // of the last one
}

func (w *watcher) close() {
	if w.conn != nil {
		catalog.Close(w.conn)
		w.conn = nil
	}
}

func (w *watcher) observe(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 4*watchInterval)
	defer cancel()
	if w.conn == nil {
		conn, err := w.config.source.Connect(ctx)
		if err != nil {
			return err
		}
		w.conn = conn
		if w.server, err = catalog.ReadServer(ctx, conn); err != nil {
			return err
		}
	}
	if of := w.pipe.State().Slot; w.server.SystemID != of.SystemID || w.config.source.Database() != of.Database {
		return nil // of another source, which the phases tell better
	}
	if err := w.beat(ctx); err != nil {
		return err
	}
	slot, err := catalog.ReadSlot(ctx, w.conn, w.server, name)
	if err != nil {
		return err
	}
	if slot == nil {
		err = catalog.MissingSlot(name)
	} else {
		w.pipe.Slot(lifecycle.SlotStatus{
			CurrentLSN: slot.CurrentLSN, ConfirmedLSN: slot.ConfirmedLSN, RestartLSN: slot.RestartLSN,
			SafeWALSize: slot.SafeWALSize, WALStatus: slot.WALStatus, InvalidationReason: slot.InvalidationReason,
			Active: slot.ActivePID != 0,
		})
		err = slot.Check(name, w.config.source.Database())
	}
	if err == nil && skipsMissing(w.server) {
		err = w.checkPublication(ctx, w.conn, w.server)
	}
	var failure *change.Failure
	if errors.As(err, &failure) {
		// A resync of the whole pipe makes anew what is gone; a failed pipe has
		// its reason, and its slot goes on holding WAL, which has to be seen.
		if w.pipe.State().ResyncWhole || w.pipe.Phase() == lifecycle.Failed {
			return nil
		}
		w.fail(ctx, failure)
		return nil
	}
	return err
}

// beat writes a message to the WAL (PostgreSQL docs 9.28.6,
// pg_logical_emit_message), so that the position of an idle database moves.
func (w *watcher) beat(ctx context.Context) error {
	if w.config.heartbeat <= 0 || w.server.InRecovery || time.Since(w.heartbeat) < w.config.heartbeat {
		return nil
	}
	if _, err := w.conn.Exec(ctx, "SELECT pg_logical_emit_message(false, 'penstock', '')"); err != nil {
		return err
	}
	w.heartbeat = time.Now()
	return nil
}
