package theme

import (
	"strings"
	"testing"
)

func TestOwn(t *testing.T) {
	o, err := Parse([]byte("base: light\ncolours:\n  ok: '#010203'\n  bad: bright-red\n  warn: 201\n  title: default\n  heat: [1, 2, 3, 4, '#0a0b0c']\n"))
	if err != nil {
		t.Fatal(err)
	}
	th := o.Theme("mine", true)
	light, _ := New(Light, true)
	for role, c := range map[string]struct {
		got  Style
		want string
	}{
		"ok": {th.OK, "38;2;1;2;3"}, "bad": {th.Bad, "91"}, "warn": {th.Warn, "38;5;201"}, "heat": {th.Heat[4], "38;2;10;11;12"},
		"title has no colour of its own": {th.Title, "\x1b[1m"},
	} {
		if !strings.Contains(c.got.Render("x"), c.want) {
			t.Errorf("%s: %q", role, c.got.Render("x"))
		}
	}
	if th.Name != "mine" || th.G.OK != "*" || th.Muted != light.Muted || th.Bad == light.Bad {
		t.Errorf("%+v", th)
	}
	if o, err := Parse([]byte("\n")); err != nil || o.Base != Dark {
		t.Errorf("an empty file is its base: %+v %v", o, err)
	}
}

func TestOwnErrors(t *testing.T) {
	for text, want := range map[string]string{
		"base: pink": `base "pink" is none of dark, light`,
		"base: none": `base "none" is none of dark, light`,
		"colours:\n  ok: '#010203'\n  bad: rot\n": `line 3: "rot" is no colour`,
		"colours:\n  ok: 256\n":                   `line 2: "256" is no colour`,
		"colours:\n  okay: 1\n":                   "[2:3] unknown field \"okay\"",
		"colors: {}":                              "unknown field",
		"colours: {heat: [1, 2]}":                 "heat has 5 colours, from idle to full, not 2",
		"colours: {heat: [1, 2, 3, 4, default]}":  "heat: each of its colours must be one",
		"base: [dark]":                            "[1:",
		"{":                                       "[1:",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
