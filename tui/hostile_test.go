package tui

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"stoker/tui/screen/fixture"
	"stoker/tui/ui"
)

// style is the only escape sequence that a picture may hold.
var style = regexp.MustCompile("\x1b\\[[0-9;:]*m")

// tame says that the picture moves nothing, hides nothing, and has exactly its
// cells whichever way a terminal counts them.
func (r *rig) tame(what string) {
	r.t.Helper()
	picture := r.draw()
	lines := strings.Split(picture, "\n")
	if len(lines) != r.h {
		r.t.Fatalf("%s: %d lines, want %d", what, len(lines), r.h)
	}
	if !utf8.ValidString(picture) {
		r.t.Fatalf("%s: not valid", what)
	}
	for i, l := range lines {
		if a, b := ui.Width(l), ansi.StringWidthWc(l); a != r.w || b != r.w {
			r.t.Fatalf("%s: line %d has %d or %d cells, want %d: %q", what, i, a, b, r.w, l)
		}
		for _, c := range style.ReplaceAllString(l, "") {
			if unicode.In(c, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) {
				r.t.Fatalf("%s: line %d holds %U: %q", what, i, c, l)
			}
		}
	}
	if title := r.View().WindowTitle; title != ui.Clean(title) {
		r.t.Fatalf("%s: the window's title is %q", what, title)
	}
}

// everywhere opens each screen, what its rows lead to, and what can lie over it.
func (r *rig) everywhere(look func(what string)) {
	for i, s := range r.screens {
		name := string(s.name)
		r.switchTo(i)
		look(name)
		for _, k := range []string{"enter", "tab", "down", "?", "esc", "y", "esc", "w", "esc", "esc", "G", "enter", "d", "esc", "esc", ":", "esc", "/", "j", "esc", "!", "esc"} {
			r.press(k)
			if r.w == 0 {
				return
			}
			look(name + " after " + k)
		}
		for range 4 {
			r.press("esc")
		}
	}
}

// TestHostileText: whatever people put into names, no line breaks and no escape
// sequence reaches the terminal, on any screen and on what lies over it.
func TestHostileText(t *testing.T) {
	for name, text := range fixture.HostileTexts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, fixture.Hostile(text), func(c *Config) { c.Context, c.Namespace, c.CommandContext = text, text, text })
			r.everywhere(r.tame)
			r.send(tea.WindowSizeMsg{Width: 61, Height: 16})
			for i, s := range r.screens {
				r.switchTo(i)
				r.tame(string(s.name) + ", small")
			}
		})
	}
}

// FuzzScreens puts any text everywhere.
func FuzzScreens(f *testing.F) {
	for _, text := range fixture.HostileTexts() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = text[:min(len(text), 300)] // long ones are seeds of TestHostileText
		r := newRig(t, fixture.Hostile(text))
		for i, s := range r.screens {
			r.switchTo(i)
			r.tame(string(s.name))
			r.press("enter")
			r.tame(string(s.name) + " after enter")
			r.press("esc", "esc")
		}
	})
}
