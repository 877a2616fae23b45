package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What Report.Err and Resolve fail with; test with errors.Is.
var (
	// ErrInconclusive says that data which a check needs never came.
	ErrInconclusive = errors.New("inconclusive")
	// ErrFailed says that an assertion did not hold or a step failed.
	ErrFailed = errors.New("failed")
	// ErrLeft says that all went well, but something could not be cleaned up.
	ErrLeft = errors.New("not everything was cleaned up")
	// ErrVars says that a variable was given that there is not, or wrongly.
	ErrVars = errors.New("bad variable")
)

// Position is a place in a scenario's file, counted from 1.
type Position struct{ Line, Column int }

// Problem is one mistake in a scenario's file.
type Problem struct {
	File string
	Position
	Text string
}

func (p Problem) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Text)
}

// Problems is all mistakes found in one file, in the order of their lines.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// err is nil when there are no mistakes.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return ps
}
