// Package finding is what a preflight says about either end of a pipe: what was looked at, how it is, and the statement
// that mends it.
package finding

import (
	"errors"

	"github.com/penstock/penstock/internal/change"
)

// Level says what a finding means for the pipe.
type Level string

// The levels.
const (
	// OK was looked at and is fit.
	OK Level = "ok"
	// Warning does not keep the pipe from running, but may bite later.
	Warning Level = "warning"
	// Problem keeps the pipe, or one of its tables, from running.
	Problem Level = "problem"
)

// Finding is one thing that was looked at.
type Finding struct {
	Level Level `json:"level"`
	// Subject is what it is about: a setting, a slot, a table.
	Subject string `json:"subject"`
	// Text is how it is, in one sentence.
	Text string `json:"text"`
	// Fix is the statement, or the change of configuration, that mends it; "" where there is nothing to mend.
	Fix string `json:"fix,omitempty"`
}

// List gathers findings.
type List []Finding

// OK adds what is fit.
func (l *List) OK(subject, text string) { *l = append(*l, Finding{OK, subject, text, ""}) }

// Warn adds what may bite later.
func (l *List) Warn(subject, text, fix string) { *l = append(*l, Finding{Warning, subject, text, fix}) }

// Problem adds what keeps the pipe from running.
func (l *List) Problem(subject, text, fix string) {
	*l = append(*l, Finding{Problem, subject, text, fix})
}

// Fail adds an error as a problem. A [change.Failure] brings its fix along.
func (l *List) Fail(subject string, err error) {
	var failure *change.Failure
	if errors.As(err, &failure) {
		l.Problem(subject, failure.Reason, failure.Fix)
		return
	}
	l.Problem(subject, err.Error(), "")
}

// Problems says whether any finding is a problem.
func (l List) Problems() bool {
	for _, f := range l {
		if f.Level == Problem {
			return true
		}
	}
	return false
}
