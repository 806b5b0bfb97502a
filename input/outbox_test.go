package input

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/input/stream"
	"github.com/penstock/penstock/internal/change"
)

func delivery(size int) (*stream.Delivery, chan error) {
	outcome := make(chan error, 1)
	return &stream.Delivery{
		Batches: []*stream.Assembled{{Batch: &change.Batch{Table: &change.Table{Schema: "public", Name: "t"}, Data: make([]byte, size)}}},
		Ack:     func(err error) { outcome <- err },
	}, outcome
}

// sendAll sends in the background, until the test ends.
func sendAll(t *testing.T, o *outbox, deliveries ...*stream.Delivery) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, d := range deliveries {
			if o.send(ctx, d) != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func mustTake(t *testing.T, o *outbox) *parcel {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	p, err := o.take(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// nothingToTake checks that take waits; what it waits for cannot come while the
// test holds it back.
func nothingToTake(t *testing.T, o *outbox) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if p, err := o.take(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, %v", p, err)
	}
}

func TestOutboxLimitsBatchesAndBytes(t *testing.T) {
	for name, o := range map[string]*outbox{"batches": newOutbox(2, 1<<40, true), "bytes": newOutbox(100, 150, true)} {
		t.Run(name, func(t *testing.T) {
			a, ackA := delivery(100)
			b, _ := delivery(100)
			c, _ := delivery(100)
			sendAll(t, o, a, b, c)
			first := mustTake(t, o)
			mustTake(t, o)
			nothingToTake(t, o)
			o.settle(first, nil)
			if err := <-ackA; err != nil {
				t.Error(err)
			}
			if p := mustTake(t, o); p.Delivery != c {
				t.Error("took something else")
			}
		})
	}
}

func TestRejectedBatchComesAgainAndStaysInFlight(t *testing.T) {
	o := newOutbox(1, 1<<40, true)
	d, ack := delivery(1)
	sendAll(t, o, d)
	p := mustTake(t, o)
	o.again(p)
	if n := o.count(); n != 1 {
		t.Errorf("%d in flight", n)
	}
	if again := mustTake(t, o); again != p {
		t.Error("took something else")
	}
	select {
	case err := <-ack:
		t.Errorf("a rejected batch was resolved: %v", err)
	default:
	}
	o.settle(p, nil)
	if err := o.empty(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOutboxEndsAfterWhatIsInFlight(t *testing.T) {
	o := newOutbox(10, 1<<40, true)
	d, _ := delivery(1)
	sendAll(t, o, d)
	p := mustTake(t, o)
	o.end()
	nothingToTake(t, o)
	o.settle(p, nil)
	if _, err := o.take(t.Context()); !errors.Is(err, service.ErrEndOfInput) {
		t.Errorf("got %v", err)
	}
}

// TestBlocksMustBeRead guards against a pipeline that acknowledges blocks and
// throws them away, because it does not know what they are.
func TestBlocksMustBeRead(t *testing.T) {
	d, _ := delivery(8)
	batch, err := messages(d, true)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := batch[0].AsBytes(); err != nil || !strings.Contains(string(b), "format: rows") {
		t.Errorf("a processor sees %q, %v", b, err)
	}
	if v, _ := batch[0].MetaGet("table"); v != "t" {
		t.Errorf("table is %q", v)
	}
	if err := unread(d); !isFailure(err) {
		t.Errorf("unread: got %v", err)
	}
	body, err := batch[0].AsStructured()
	if err != nil {
		t.Fatal(err)
	}
	body.(*change.Batch).Receipt.Sign()
	if err := unread(d); err != nil {
		t.Errorf("read: got %v", err)
	}
}
