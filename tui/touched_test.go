package tui

import (
	"testing"

	tea "charm.land/bubbletea/v2"

	"stoker/tui/screen/fixture"
)

// TestTouched: a key, a click or something pasted says that somebody is there, and
// nothing that comes by itself.
func TestTouched(t *testing.T) {
	n := 0
	r := newRig(t, fixture.Lab(), func(c *Config) { c.Touched = func() { n++ } })
	r.Update(snapshotMsg{snap: fixture.Lab(), ok: true})
	r.Update(tickMsg{fixture.Now()})
	if n != 0 {
		t.Errorf("touched %d times by nobody", n)
	}
	for i, msg := range []tea.Msg{tea.KeyPressMsg{Code: 'j', Text: "j"}, tea.PasteMsg{Content: "x"}, tea.MouseClickMsg{Button: tea.MouseLeft}, tea.MouseWheelMsg{Button: tea.MouseWheelDown}} {
		if r.Update(msg); n != i+1 {
			t.Errorf("%T: touched %d times, want %d", msg, n, i+1)
		}
	}
}
