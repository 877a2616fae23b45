package cli

import (
	"errors"
	"fmt"

	"stoker/cluster/facts"
)

// partial marks an answer from which something is missing: exit code 5.
type partial struct{ err error }

func (p *partial) Error() string { return p.err.Error() }
func (p *partial) Unwrap() error { return p.err }

// Partial says that something was done, but not all: exit code 5.
func Partial(err error) error { return &partial{err} }

// IsPartial reports whether an error means "done in part": exit code 5.
func IsPartial(err error) bool {
	var p *partial
	return errors.As(err, &p)
}

// usageError is bad input: exit code 2.
type usageError struct {
	text   string
	advice string
}

// Usage is an error about what was typed, for commands made elsewhere.
func Usage(format string, args ...any) error { return usage(format, args...) }

func usage(format string, args ...any) *usageError {
	return &usageError{text: fmt.Sprintf(format, args...)}
}

func (u *usageError) hint(text string) *usageError { u.advice = text; return u }
func (u *usageError) Error() string                { return u.text }

// Hint is what to type instead.
func (u *usageError) Hint() string { return u.advice }

// IsUsage reports whether an error is about what was typed: exit code 2.
func IsUsage(err error) bool {
	var u *usageError
	var f *facts.FilterError
	var c *facts.FieldError
	return errors.As(err, &u) || errors.As(err, &f) || errors.As(err, &c)
}
