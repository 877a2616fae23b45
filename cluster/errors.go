package cluster

import "errors"

// What went wrong, for deciding what to do about it. An adapter wraps its
// errors in a Fault of one of these kinds; test with errors.Is.
var (
	ErrUnreachable = errors.New("unreachable")
	ErrDenied      = errors.New("denied")
	ErrNotFound    = errors.New("not found")
	ErrConflict    = errors.New("changed meanwhile")
)

// Fault is an error with its kind and, where one is known, advice.
type Fault struct {
	Kind   error
	Text   string
	Advice string
	Err    error
}

func (f *Fault) Error() string { return f.Text }

// Unwrap gives both the kind and the cause.
func (f *Fault) Unwrap() []error {
	if f.Err == nil {
		return []error{f.Kind}
	}
	return []error{f.Kind, f.Err}
}

// Hint is what the reader can do about it; empty when nothing is known.
func (f *Fault) Hint() string { return f.Advice }
