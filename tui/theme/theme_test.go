package theme

import (
	"reflect"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

func TestEveryThemeHasEveryRole(t *testing.T) {
	for _, name := range Names() {
		for _, ascii := range []bool{false, true} {
			th, err := New(name, ascii)
			if err != nil {
				t.Fatal(err)
			}
			for role, s := range map[string]Style{"bad": th.Bad, "selected": th.Selected, "title": th.Title, "key": th.Key} {
				if got := s.Render("x"); got == "x" || ansi.Strip(got) != "x" {
					t.Errorf("%s: role %s renders %q", name, role, got)
				}
			}
			if name == None && strings.Contains(th.Bad.Render("x")+th.Selected.Render("x"), "38;") {
				t.Errorf("theme none uses a colour")
			}
		}
	}
	if _, err := New("pink", false); err == nil {
		t.Error("an unknown theme must be refused")
	}
}

func TestGlyphsAreOneCell(t *testing.T) {
	for _, g := range []Glyphs{Unicode(), ASCII()} {
		v := reflect.ValueOf(g)
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if name == "Degree" || name == "Enter" || name == "Spark" || name == "Level" || v.Field(i).String() == "" {
				continue
			}
			if s := v.Field(i).String(); ansi.StringWidth(s) != 1 {
				t.Errorf("%s %q is %d cells wide", name, s, ansi.StringWidth(s))
			}
		}
		for _, s := range append(g.Spark[:], g.Level[:]...) {
			if ansi.StringWidth(s) != 1 {
				t.Errorf("spark %q", s)
			}
		}
	}
}

func TestChoose(t *testing.T) {
	for _, tc := range []struct {
		name string
		env  []string
		want string
	}{
		{"", []string{"TERM=xterm-256color"}, Auto},
		{"", []string{"TERM=xterm-256color", "NO_COLOR=1"}, None},
		{Light, []string{"TERM=xterm-256color", "NO_COLOR=1"}, None},
		{Light, []string{"TERM=dumb"}, Light},
		{"", []string{"TERM=dumb"}, None},
		{"", []string{"TERM=xterm-color"}, Sixteen},
	} {
		if got := Choose(tc.name, tc.env); got != tc.want {
			t.Errorf("Choose(%q, %v) = %s, want %s", tc.name, tc.env, got, tc.want)
		}
	}
}

func TestWantsASCII(t *testing.T) {
	for env, want := range map[string]bool{"": false, "LANG=C": true, "LANG=C.UTF-8": false, "LC_ALL=de_DE.ISO-8859-1": true} {
		if got := WantsASCII([]string{env}); got != want {
			t.Errorf("%q: %v, want %v", env, got, want)
		}
	}
}
