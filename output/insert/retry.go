package insert

import (
	"context"
	"math/rand/v2"
	"time"
)

// retry runs attempt until it succeeds, fails for good, or ctx ends.
func (c *Client) retry(ctx context.Context, table string, attempt func(context.Context) error) error {
	started := time.Now()
	err := c.once(ctx, attempt)
	if err == nil {
		return nil
	}
	failure := c.classify(table, err)
	if ctx.Err() != nil {
		return stopped(ctx, 1, failure)
	}
	if !failure.Retry() || c.closed.Load() {
		return failure
	}
	c.failing(failure)
	attempts, result := c.again(ctx, failure, attempt)
	c.settled(Series{Table: table, Attempts: attempts, Took: time.Since(started), Err: result})
	return result
}

// again goes on after a first failure.
func (c *Client) again(ctx context.Context, failure *Error, attempt func(context.Context) error) (attempts int, err error) {
	for attempts = 1; ; {
		if !sleep(ctx, pause(policies[failure.Class], attempts)) {
			return attempts, stopped(ctx, attempts, failure)
		}
		attempts++
		err := c.once(ctx, attempt)
		if err == nil {
			return attempts, nil
		}
		failure = c.classify(failure.Table, err)
		if ctx.Err() != nil {
			return attempts, stopped(ctx, attempts, failure)
		}
		if !failure.Retry() || c.closed.Load() {
			return attempts, failure
		}
	}
}

func (c *Client) once(ctx context.Context, attempt func(context.Context) error) error {
	if c.closed.Load() {
		return errClosed
	}
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	return attempt(ctx)
}

// pause returns how long to wait after so many failed attempts: doubled each time up to the policy's last wait, of which
// a random half is taken off, so that writers that failed together do not come back together.
func pause(p Policy, attempts int) time.Duration {
	wait := p.LastWait
	if doublings := attempts - 1; doublings < 16 {
		wait = min(p.FirstWait<<doublings, p.LastWait)
	}
	return wait/2 + rand.N(wait/2+1)
}

// sleep waits and says whether ctx still lives.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
