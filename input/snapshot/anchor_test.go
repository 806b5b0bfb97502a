package snapshot

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/input/pgoutput"
)

// TestSlotAndSnapshotMeetWithoutGapOrOverlap guards rule 1: while writers run,
// each row is either in the slot's snapshot or in its stream, never in both or
// in neither.
func TestSlotAndSnapshotMeetWithoutGapOrOverlap(t *testing.T) {
	d := newDatabase(t, numbers, insert("numbers", 1, 1000))
	name := d.source.Database()
	if err := catalog.Publish(t.Context(), d.db, d.server, name, nil, []*catalog.Table{d.table("numbers")}); err != nil {
		t.Fatal(err)
	}

	var writers sync.WaitGroup
	stop := make(chan struct{})
	written := make([]int, 4) // by each writer
	wrote := make(chan struct{}, 1000000)
	for w := range written {
		conn, err := d.source.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		writers.Go(func() {
			defer conn.Close(context.Background())
			for {
				select {
				case <-stop:
					return
				default:
				}
				id := 1000000*(w+1) + written[w]
				// Of some rows the transaction begins long before it commits.
				err := pgx.BeginFunc(context.Background(), conn, func(tx pgx.Tx) error {
					_, err := tx.Exec(context.Background(), fmt.Sprintf("INSERT INTO public.numbers VALUES (%d); SELECT pg_sleep(%d * 0.001)", id, w*3))
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				written[w]++
				wrote <- struct{}{}
			}
		})
	}
	some := func() {
		for range 100 {
			<-wrote
		}
	}

	some()
	replication, err := d.source.ConnectReplication(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer replication.Close(context.Background())
	slot, err := catalog.CreateSlot(t.Context(), replication, d.db, name)
	if err != nil {
		t.Fatal(err)
	}
	some()
	anchor := &Anchor{Snapshot: slot.Snapshot, Taken: time.Now()}
	table := d.table("numbers")
	sink := &ids{}
	if err := d.run(anchor, Unfinished(table, d.pages(table, 2)), 4, sink); err != nil {
		t.Fatal(err)
	}
	some()
	close(stop)
	writers.Wait()

	all := slices.Clone(sink.ids)
	streamed := d.streamed(name)
	all = append(all, streamed...)
	slices.Sort(all)
	var want []int
	for id := range 1000 {
		want = append(want, id+1)
	}
	for w, n := range written {
		for i := range n {
			want = append(want, 1000000*(w+1)+i)
		}
	}
	if !slices.Equal(all, want) {
		t.Errorf("%d rows in the snapshot and %d in the stream, of %d written", len(sink.ids), len(streamed), len(want))
	}
	if len(sink.ids) <= 1000 || len(streamed) == 0 {
		t.Errorf("%d rows in the snapshot and %d in the stream prove nothing", len(sink.ids), len(streamed))
	}
}

// streamed returns the ids that a slot has in store.
func (d *database) streamed(slot string) (ids []int) {
	d.t.Helper()
	rows, err := d.db.Query(d.t.Context(), `SELECT data FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', $2)`, slot, slot)
	if err != nil {
		d.t.Fatal(err)
	}
	var data []byte
	var m pgoutput.Message
	_, err = pgx.ForEachRow(rows, []any{&data}, func() error {
		if err := pgoutput.Parse(data, false, &m); err != nil || m.Kind != pgoutput.KindInsert {
			return err
		}
		length := int(m.Insert.New[6]) // number of columns, kind, length, value
		id, err := strconv.Atoi(string(m.Insert.New[7 : 7+length]))
		ids = append(ids, id)
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return ids
}
