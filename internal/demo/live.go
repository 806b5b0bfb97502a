package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/penstock/penstock/lifecycle"
	"github.com/penstock/penstock/lifecycle/api"
)

// live is the demo once the pipe runs.
type live struct {
	Options
	screen  *screen
	pipe    *pipe
	check   *check
	traffic *traffic
}

const (
	drawInterval = 200 * time.Millisecond
	// startupTimeout bounds how long the API may not answer.
	startupTimeout = 30 * time.Second
	// snapshotTimeout bounds the wait for the snapshot beyond Duration.
	snapshotTimeout = 10 * time.Minute
)

// errOver ends the goroutines of a demo that went well.
var errOver = errors.New("the demo is over")

func (l *live) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	running := make(chan struct{})
	group.Go(func() error { return l.traffic.run(ctx) })
	group.Go(func() error { return l.watch(ctx, running) })
	group.Go(func() error { return l.checks(ctx, running) })
	group.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-l.pipe.done:
			return fmt.Errorf("the pipeline ended by itself: %w", errors.Join(errors.New("see its log"), l.pipe.err))
		}
	})
	if err := group.Wait(); !errors.Is(err, errOver) {
		return err
	}
	return nil
}

// watch shows the progress, and closes running when the snapshot is done.
func (l *live) watch(ctx context.Context, running chan<- struct{}) error {
	ticker := time.NewTicker(drawInterval)
	defer ticker.Stop()
	answered := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		detail, err := l.pipe.status(ctx)
		if err != nil {
			if ctx.Err() == nil && time.Since(answered) > startupTimeout {
				return err
			}
			continue
		}
		answered = time.Now()
		l.screen.progress(detail, l.traffic.written.Load())
		if err := failure(detail); err != nil {
			return err
		}
		if running != nil && detail.Phase == string(lifecycle.Running) {
			close(running)
			running = nil
		}
	}
}

func failure(d api.PipeDetail) error {
	failures := []*api.Failure{d.Failure}
	for _, t := range d.Tables {
		failures = append(failures, t.Failure)
	}
	for _, f := range failures {
		if f == nil {
			continue
		}
		err := fmt.Errorf("the pipe failed: %s", f.Reason)
		if f.Fix != "" {
			err = fmt.Errorf("%w (%s)", err, f.Fix)
		}
		return err
	}
	return nil
}

// checks compares the two sides at the end, or every now and then where there
// is none.
func (l *live) checks(ctx context.Context, running <-chan struct{}) error {
	begun := time.Now()
	late := time.NewTimer(max(l.Duration, 0) + snapshotTimeout)
	defer late.Stop()
	select {
	case <-ctx.Done():
		return nil
	case <-late.C:
		return fmt.Errorf("waiting for the snapshot: it is not done after %s", time.Since(begun).Round(time.Second))
	case <-running:
	}
	wait := l.Check
	if l.Duration > 0 {
		wait = time.Until(begun.Add(l.Duration))
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		equal, err := l.compare(ctx)
		switch {
		case err != nil:
			return err
		case !equal:
			return ErrDifferent
		case l.Duration > 0:
			return errOver
		}
	}
}

// compare stops the writes, waits until the pipe has caught up, and compares.
func (l *live) compare(ctx context.Context) (bool, error) {
	resume := l.traffic.pause()
	defer resume()
	l.screen.keep()
	l.screen.line("\nwrites stopped after %s rows; waiting for the pipe to catch up…", thousands(l.traffic.written.Load()))
	begun := time.Now()
	if err := l.check.caughtUp(ctx); err != nil {
		return false, err
	}
	l.screen.line("caught up after %.1f s; comparing every row…", time.Since(begun).Seconds())
	results, err := l.check.tables(ctx)
	if err != nil {
		return false, err
	}
	l.screen.comparison(results)
	equal := true
	for _, r := range results {
		equal = equal && r.Equal()
	}
	return equal, nil
}
