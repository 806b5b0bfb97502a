package output

import (
	"errors"
	"sync"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/lifecycle"
	"github.com/penstock/penstock/output/ddl"
	"github.com/penstock/penstock/output/encode"
	"github.com/penstock/penstock/output/insert"
)

// observer is told what the output does. Its methods are called from several goroutines at once and must not block.
type observer interface {
	// Inserted: so many rows of a source table (schema.table) were stored by one INSERT that took so long, with all its
	// attempts.
	Inserted(table string, rows int, took time.Duration)
	// Visible: changes up to one that was committed at this time by the source's clock can be read from now on. It is
	// called once per INSERT, with the oldest commit in it. Rows of a snapshot do not count.
	Visible(commit time.Time)
	// Lossy: n more values of a column were not stored as they are, for a reason of few words.
	Lossy(table, column, reason string, n int)
	// Error: something failed. Classes are those of insert.Class, and "value" for a value that cannot be stored.
	Error(class string)
	// Degraded: ClickHouse takes nothing now, or a table does not; err says why. Healthy ends it.
	Degraded(err error)
	Healthy()
}

// newObserver returns who is told about this output: the pipe that feeds its stream.
func newObserver(mgr *service.Resources) observer {
	return lifecycle.HostOf(mgr).Output(mgr.StreamID())
}

var _ observer = (*lifecycle.OutputMetrics)(nil)

// health tells the observer when the output turns degraded and when healthy again: once all that failed has succeeded.
type health struct {
	observer observer

	mu      sync.Mutex
	trouble map[string]struct{} // destination tables whose last attempt failed
}

// failed notes that writing to a destination table failed.
func (h *health) failed(table string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.trouble == nil {
		h.trouble = make(map[string]struct{})
	}
	h.trouble[table] = struct{}{}
	h.observer.Degraded(err)
}

// succeeded notes that writing to a destination table worked.
func (h *health) succeeded(table string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, failed := h.trouble[table]; !failed {
		return
	}
	delete(h.trouble, table)
	if len(h.trouble) == 0 {
		h.observer.Healthy()
	}
}

// failing is called at the first failure of a series of attempts.
func (o *Output) failing(err *insert.Error) {
	o.log.With("table", err.Table, "class", string(err.Class), "code", err.Code, "error", err.Error()).
		Warn("writing to ClickHouse failed and is being repeated")
	o.observer.Error(string(err.Class))
	o.health.failed(err.Table, err)
}

// settled is called at the end of such a series.
func (o *Output) settled(s insert.Series) {
	if s.Err == nil {
		o.log.With("table", s.Table, "attempts", s.Attempts, "after", s.Took.Round(time.Millisecond)).
			Info("writing to ClickHouse works again")
		o.health.succeeded(s.Table)
	}
}

// classValue is the class of errors that lie in a value, or in how it was sent.
const classValue = "value"

// explain makes a [change.Failure] of an error that repeating does not cure, so that the input stops the table instead of
// sending the same rows again.
func explain(table string, err error) error {
	if err == nil {
		return nil
	}
	var (
		explained    *change.Failure
		failure      *insert.Error
		incompatible *ddl.IncompatibleError
	)
	if errors.As(err, &explained) {
		return err
	}
	f := &change.Failure{Class: errorClass(err), Table: table, Reason: err.Error(), Err: err}
	switch {
	case errors.As(err, &failure):
		if failure.Retry() {
			return err // given up because the pipeline stops
		}
		f.Reason, f.Fix = failure.Reason(), failure.Hint
	case errors.As(err, &incompatible):
	case errors.Is(err, encode.ErrUnrepresentable), errors.Is(err, encode.ErrMalformed),
		errors.Is(err, encode.ErrUnchanged), errors.Is(err, encode.ErrNull):
	default:
		return err
	}
	return f
}

// errorClass sorts an error for the metric.
func errorClass(err error) string {
	var (
		explained    *change.Failure
		failure      *insert.Error
		incompatible *ddl.IncompatibleError
	)
	switch {
	case errors.As(err, &explained):
		return explained.Class
	case errors.As(err, &failure):
		return string(failure.Class)
	case errors.As(err, &incompatible):
		return string(insert.ClassIncompatible)
	}
	return classValue
}

// lossy counts values that were not stored as they are.
func (d *destination) lossy(table *change.Table, column, reason string, n int) {
	d.output.observer.Lossy(table.String(), column, reason, n)
}

// warnLossy logs the first such value of a column and reason.
func (d *destination) warnLossy(table *change.Table, column, reason, key string) {
	kind := table.String() + "\x00" + column + "\x00" + reason
	d.mu.Lock()
	_, known := d.warned[kind]
	d.warned[kind] = struct{}{}
	d.mu.Unlock()
	if !known {
		d.output.log.With("table", table.String(), "column", column, "reason", reason, "key", key).
			Warn("a value was not stored as it is; others of this kind are only counted, see penstock_lossy_values_total")
	}
}
