package seal

import "errors"

// What can be wrong; find them by errors.Is.
var (
	ErrMalformed = errors.New("not a sealed artifact")               // no manifest, or one that breaks the format
	ErrOther     = errors.New("another artifact than the one asked") // URN or digest differ: edited, older, or not the one
	ErrTampered  = errors.New("sealed artifact was tampered with")   // a MAC, length or segment does not fit its manifest
	ErrNotMemory = errors.New("not a memory filesystem")
	ErrNoSpace   = errors.New("not enough memory")
	ErrExists    = errors.New("exists already")
	ErrNotOpened = errors.New("not opened by stoker")
	ErrUnfit     = errors.New("cannot be sealed") // a source with links, devices or bad names, or a broken archive
)

// Error is a failure of this package: a kind to test for, words, and a hint.
type Error struct {
	kind  error
	text  string
	hint  string
	cause error
}

func (e *Error) Error() string {
	if e.cause != nil {
		return e.text + ": " + e.cause.Error()
	}
	return e.text
}

// Hint says what to do, empty when there is nothing sure to say.
func (e *Error) Hint() string { return e.hint }

// Unwrap gives the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.cause != nil {
		return []error{e.kind, e.cause}
	}
	return []error{e.kind}
}
