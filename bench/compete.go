package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// spoiledRuns is how often a run that others have spoiled is repeated.
const spoiledRuns = 3

// compete runs all contenders on one workload, in turn.
func compete(ctx context.Context, s *stack, w workload, who []contender, o options, r *report) (err error) {
	fmt.Printf("\n%s: %s\n", w.name, w.title)
	began := time.Now()
	a, err := s.prepare(ctx, w)
	defer func() { err = errors.Join(err, a.close()) }()
	if err != nil {
		return err
	}
	fmt.Printf("  data made in %.0f s\n", time.Since(began).Seconds())
	r.prepared(a)

	var part []contender
	for _, c := range who {
		switch {
		case !c.does(w.kind):
		case c.missing != "":
			r.missing(w, c)
		default:
			part = append(part, c)
		}
	}
	latest := map[string]sample{}
	for round := 0; round <= o.repeats; round++ {
		for i := range part {
			// Each round begins with another: who runs after whom changes.
			c := part[(i+round)%len(part)]
			if last, ran := latest[c.name]; ran && last.Round == 0 && last.Error != "" {
				continue // what could not do the warm-up is not asked again
			}
			if latest[c.name], err = a.turn(ctx, c, round, o, r); err != nil {
				return err
			}
		}
	}
	r.print(w)
	if o.profiles == "" {
		return nil
	}
	for _, c := range part {
		if last := latest[c.name]; last.Error == "" && strings.HasPrefix(c.name, "penstock") {
			a.profile(ctx, c, last.Seconds, o)
		}
	}
	return ctx.Err()
}

// turn runs a contender, again where other processes were in the way and there
// is time to wait for them.
func (a *arena) turn(ctx context.Context, c contender, round int, o options, r *report) (result sample, err error) {
	for range spoiledRuns {
		waitForQuiet(ctx, o.quiet)
		result = a.try(ctx, c, &trial{options: o, sample: sample{Workload: a.workload.name, Contender: c.name, Round: round}})
		if ctx.Err() != nil {
			return result, ctx.Err()
		}
		r.add(result)
		if !result.spoiled() || o.quiet == 0 || round == 0 {
			break
		}
	}
	return result, nil
}

// profile runs Penstock once more and writes its profiles.
func (a *arena) profile(ctx context.Context, c contender, seconds float64, o options) {
	name := a.workload.name + "-" + strings.TrimPrefix(c.name, "penstock ")
	result := a.try(ctx, c, &trial{
		options: o, profile: filepath.Join(o.profiles, name), expected: time.Duration(seconds * float64(time.Second)),
		sample: sample{Workload: a.workload.name, Contender: c.name},
	})
	if result.Error != "" {
		fmt.Printf("  profiling %s: %s\n", c.name, result.Error)
	}
}
