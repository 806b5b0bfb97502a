package change

// Failure is an error that repeating does not cure: somebody has to act. Both
// ends of a pipe report one where they know that waiting is in vain; any other
// error is worth another try.
type Failure struct {
	// Class is a short fixed word for metrics and the API, such as
	// "authentication" or "slot".
	Class string
	// Table that it is limited to, schema.name; empty where it concerns the
	// whole pipe.
	Table string
	// Reason is one sentence without a full stop; Fix says what to do, with the
	// statement to run where there is one.
	Reason, Fix string
	Err         error
}

func (f *Failure) Error() string {
	if f.Fix == "" {
		return f.Reason
	}
	return f.Reason + ": " + f.Fix
}

func (f *Failure) Unwrap() error { return f.Err }
