package tui

import (
	"testing"

	"stoker/tui/screen/fixture"
)

// TestFoldedProblemsLeadToTheirRows: enter on a line that stands for many opens
// the list of exactly those, and esc leads back.
func TestFoldedProblemsLeadToTheirRows(t *testing.T) {
	r := newRig(t, thousand())
	r.sees("5 nodes")
	r.press("enter")
	r.sees("[2 nodes]")
	r.sees("5 of 1,000")
	r.press("esc", "esc")
	r.sees("NEEDS ATTENTION")
	r.press("down", "enter")
	r.sees("11 of 8,000")
	r.press("esc", "esc", "down", "enter")
	r.sees("18 of 8,000")
}

// TestSources: a source that does not answer leads to the screen of sources,
// which is also a command.
func TestSources(t *testing.T) {
	r := newRig(t, fixture.Lost())
	for range 2 { // below the GPU and the node that are lost
		r.press("down")
	}
	r.press("enter")
	r.sees("dial tcp 10.0.4.10:4646: connection refused; next try")
	r.press(":", `"sources"`, "enter")
	r.sees("sources   ")
	r.sees("live")
	if r.active().name != "sources" {
		t.Errorf("on %s", r.active().name)
	}
}
