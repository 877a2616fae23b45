package tui

import (
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/jobs/pack"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
	"stoker/tui/ui"
)

// TestNothingButASCII: with --ascii nothing but ASCII leaves the program, on any screen,
// over any of what the tests draw, with everything open that there is to open, and
// whatever is in names. Each line keeps its width.
func TestNothingButASCII(t *testing.T) {
	for name, snap := range map[string]*cluster.Snapshot{
		"lab": fixture.Lab(), "calm": fixture.Calm(), "starting": fixture.Starting(), "lost": fixture.Lost(), "top": fixture.Top(),
		"hostile": fixture.Hostile("Größe 日本語のノード e\u0301 שלום 한국어"),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, snap, func(c *Config) {
				c.ASCII, c.Packs = true, pack.Library{}.List
				c.Local = name == "top"
			})
			look := func(what string) {
				t.Helper()
				for _, size := range [][2]int{{60, 16}, {80, 24}, {200, 50}} {
					r.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
					for y, l := range strings.Split(r.draw(), "\n") {
						if ui.Width(l) != size[0] {
							t.Fatalf("%s at %dx%d: line %d is %d wide:\n%s", what, size[0], size[1], y, ui.Width(l), l)
						}
						for _, c := range l {
							if c > '~' || c < ' ' && c != '\x1b' {
								t.Fatalf("%s at %dx%d: %q in line %d:\n%s", what, size[0], size[1], c, y, l)
							}
						}
					}
				}
			}
			for i, s := range r.screens {
				r.run(r.switchTo(i))
				look(string(s.name))
				if s.name == screen.Submit { // a second enter would ask the scheduler
					r.press("enter")
					look("the form")
					r.press("esc")
					continue
				}
				for _, keys := range [][]string{{"enter"}, {"enter"}, {"esc", "esc"}, {"space", "o", "O"}, {"esc", "?"}, {"G"}, {"esc", "!"}, {"esc", "C"}, {"esc", "d"}, {"esc", "w"}, {"esc", ":"}, {"tab"}, {"esc", "/"}, {`"x <"`}, {"esc", "+"}, {"-", "-", "-"}, {"b"}} {
					r.press(keys...)
					look(fmt.Sprint(s.name, " after ", keys))
				}
				r.press("esc", "esc", "esc")
			}
		})
	}
}
