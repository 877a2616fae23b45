package tui

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/exp/golden"

	"stoker/jobs/action"
	"stoker/tui/screen/fixture"
)

// TestMarkedRowsAreOnePlan shows all that is touched, and asks for more than a yes.
func TestMarkedRowsAreOnePlan(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			r := newRig(t, fixture.Lab())
			r.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
			r.press("4", "space", "space", "x")
			golden.RequireEqual(t, fixture.Picture(r.draw()))
		})
	}
}

func TestBulkDoesOneAfterTheOther(t *testing.T) {
	var audit strings.Builder
	r := newRig(t, fixture.Lab(), func(c *Config) { c.Runner.(*action.Runner).Audit = action.NewAudit(&audit, "lab", "ann") })
	r.press("4", "space", "j", "space", "x")
	r.press("enter") // no name
	r.press(`"stop 3"`, "enter")
	r.sees("that is not the name")
	if len(r.sched.stopped) != 0 {
		t.Fatal("stopped without the words:", r.sched.stopped)
	}
	r.press("backspace", `"2"`, "enter")
	if got := fmt.Sprint(r.sched.stopped); got != "[default/stoker-agent prod/xray-classify]" {
		t.Fatalf("stopped %s", got)
	}
	r.sees("stop: all 2 done")
	r.misses("marked")
	r.press("!")
	r.sees("job default/stoker-agent stopped, evaluation 77aa0002")
	r.sees("job prod/xray-classify stopped, evaluation 77aa0002")
	if lines := strings.Count(audit.String(), "\n"); lines != 2 {
		t.Errorf("%d lines of audit: %s", lines, audit.String())
	}
}

// TestBulkGoesOnAfterAFailure: each result is told, and how many there were.
func TestBulkGoesOnAfterAFailure(t *testing.T) {
	r := newRig(t, fixture.Lab())
	r.sched.err = errors.New("nomad: permission denied")
	r.press("2", "*", "d", `"drain 3"`, "enter")
	if len(r.sched.drained) != 3 {
		t.Errorf("tried %v", r.sched.drained)
	}
	r.sees("0 of 3 done, 3 failed")
}

// TestGPUsOfOneNodeAreOne: a node is drained once, however many of its GPUs are marked.
func TestGPUsOfOneNodeAreOne(t *testing.T) {
	r := newRig(t, fixture.Lab())
	r.press("3", "space", "space", "d")
	r.sees("drain node gpu-a")
	r.sees("Type gpu-a to do it")
}

func TestBulkIsGated(t *testing.T) {
	r := newRig(t, fixture.Lab(), func(c *Config) { c.ReadOnly = true })
	r.press("4", "*", "x")
	r.sees("read-only mode")
	r.misses("Type")
	r = newRig(t, fixture.Lab())
	r.press("4", "*", "s")
	r.sees("scale takes one job at a time")
	r.press("esc")
	r.misses("marked")
}

// TestWhatIsDoneAlreadyIsLeftOut of a bulk, and said.
func TestWhatIsDoneAlreadyIsLeftOut(t *testing.T) {
	r := newRig(t, fixture.Lab())
	r.press("2", "*", "u")
	r.sees("nothing to do")
	r.press("enter", "esc")
	if r.over != nil || len(r.stack) != 1 {
		t.Error("the box is still there")
	}
}
