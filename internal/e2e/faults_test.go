package e2e

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/internal/verify"
)

// faults are components that misbehave. Each counts how often it did.
type faults struct {
	env                      *service.Environment
	rejected, lost, repeated atomic.Int64
}

func newFaults(t testing.TB) *faults {
	t.Helper()
	f := &faults{env: service.GlobalEnvironment().Clone()}
	spec := service.NewConfigSpec()
	if err := errors.Join(
		f.env.RegisterBatchProcessor("reject", spec, func(*service.ParsedConfig, *service.Resources) (service.BatchProcessor, error) {
			return &rejecting{count: &f.rejected}, nil
		}),
		f.env.RegisterBatchProcessor("repeat", spec, func(*service.ParsedConfig, *service.Resources) (service.BatchProcessor, error) {
			return &repeating{count: &f.repeated}, nil
		}),
		f.env.RegisterBatchOutput("lose_ack", spec, func(*service.ParsedConfig, *service.Resources) (service.BatchOutput, service.BatchPolicy, int, error) {
			return &losing{count: &f.lost}, service.BatchPolicy{}, 1, nil
		}),
	); err != nil {
		t.Fatal(err)
	}
	return f
}

var errFault = errors.New("a fault of the test")

// rejecting fails every third batch before it is written.
type rejecting struct {
	n     int
	count *atomic.Int64
}

func (r *rejecting) ProcessBatch(_ context.Context, b service.MessageBatch) ([]service.MessageBatch, error) {
	if r.n++; r.n%3 == 1 {
		r.count.Add(1)
		return nil, errFault
	}
	return []service.MessageBatch{b}, nil
}

func (r *rejecting) Close(context.Context) error { return nil }

// repeating delivers every batch twice.
type repeating struct{ count *atomic.Int64 }

func (r *repeating) ProcessBatch(_ context.Context, b service.MessageBatch) ([]service.MessageBatch, error) {
	r.count.Add(1)
	return []service.MessageBatch{b, b.Copy()}, nil
}

func (r *repeating) Close(context.Context) error { return nil }

// losing comes behind the output that writes, and fails some batches, more at
// the beginning: they are written, but the input hears that they were not.
type losing struct {
	n     atomic.Int64
	count *atomic.Int64
}

func (l *losing) Connect(context.Context) error { return nil }

func (l *losing) WriteBatch(context.Context, service.MessageBatch) error {
	if n := l.n.Add(1); n < 12 && n%3 == 1 || n%20 == 0 {
		l.count.Add(1)
		return errFault
	}
	return nil
}

func (l *losing) Close(context.Context) error { return nil }

// Guards rules 3 and 16: a nack resolves nothing, and whatever is delivered
// again, or overtaken by what comes later, changes nothing.
func TestFaultsChangeNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		options pipeOptions
		happens func(*faults) *atomic.Int64
	}{
		{
			"nack before the write",
			pipeOptions{processors: `[{reject: {}}]`, top: "error_handling: {strict: true}"},
			func(f *faults) *atomic.Int64 { return &f.rejected },
		},
		{
			"nack after the write",
			pipeOptions{wrap: `{broker: {pattern: fan_out_sequential_fail_fast, outputs: [{clickhouse: %[1]s}, {lose_ack: {}}]}}`},
			func(f *faults) *atomic.Int64 { return &f.lost },
		},
		{
			"nack that makes the input read again",
			pipeOptions{
				input: []string{"auto_replay_nacks: false"},
				wrap:  `{broker: {pattern: fan_out_sequential_fail_fast, outputs: [{clickhouse: %[1]s}, {lose_ack: {}}]}}`,
			},
			func(f *faults) *atomic.Int64 { return &f.lost },
		},
		{
			"every batch twice",
			pipeOptions{processors: `[{repeat: {}}]`},
			func(f *faults) *atomic.Int64 { return &f.repeated },
		},
		{
			"two writers of everything",
			pipeOptions{wrap: `{broker: {pattern: fan_out, outputs: [{clickhouse: %[1]s}, {clickhouse: %[1]s}]}}`},
			nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			formats(t, func(t *testing.T, format string) {
				f := newFaults(t)
				e := newEnds(t)
				e.source(t, schema)
				o := tt.options
				o.format, o.env, o.state = format, f.env, t.TempDir()
				p := e.start(t, o)
				changes(t, e, 1)
				p.running()
				for n := 2; n <= 6; n++ {
					changes(t, e, n)
				}
				e.equal(t, verify.Options{}, tables...)
				p.stop()
				changes(t, e, 7)
				e.start(t, o)
				e.equal(t, verify.Options{}, tables...)
				if tt.happens != nil && tt.happens(f).Load() == 0 {
					t.Error("the fault never happened")
				}
			})
		})
	}
}
