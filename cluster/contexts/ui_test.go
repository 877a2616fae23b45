package contexts_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stoker/cluster/contexts"
)

func TestUI(t *testing.T) {
	m := newMachine(t)
	if got, err := contexts.ReadUI(m.sys()); err != nil || got.Views != nil {
		t.Errorf("without a file: %+v, %v", got, err)
	}
	m.config(`current: a
ui:
  theme: light
  ascii: true
  mouse: true
  views:
    idle:
      screen: gpus
      filter: util < 5 && held
      columns: [node, index]
      order: -util
  hotkeys: {f5: view idle,
    ctrl+t: "theme dark"}
  aliases:
    i: view idle
contexts: {a: {}}
`)
	got, err := contexts.ReadUI(m.sys())
	if err != nil {
		t.Fatal(err)
	}
	want := contexts.UI{
		Theme: "light", ASCII: true, Mouse: true,
		Views:   map[string]contexts.SavedView{"idle": {Screen: "gpus", Filter: "util < 5 && held", Columns: []string{"node", "index"}, Order: "-util"}},
		Hotkeys: map[string]string{"f5": "view idle", "ctrl+t": "theme dark"},
		Aliases: map[string]string{"i": "view idle"},
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(contexts.UI{})); d != "" {
		t.Error(d)
	}
	wrong := errors.New("no")
	for line, field := range map[string][]string{
		"line 9: ui.views.idle.filter: no": {"views", "idle", "filter"}, "line 13: ui.hotkeys.ctrl+t: no": {"hotkeys", "ctrl+t"}, "line 3: ui.theme: no": {"theme"},
		"line 6: ui.views.gone: no": {"views", "gone"},
	} {
		if err := got.Fault(wrong, field...); !errors.Is(err, wrong) || !errors.Is(err, contexts.ErrConfig) || !strings.HasSuffix(err.Error(), line) {
			t.Errorf("%v, want %s", err, line)
		}
	}
	for text, want := range map[string]string{
		"ui: {them: dark}":                        "[1:6] unknown field",
		"ui: {views: {a: {filtre: x}}}":           "unknown field",
		"ui: {mouse: perhaps}":                    "[1:",
		"ui: {views: {a: {columns: node}}}":       "[1:",
		"ui:\n  theme: dark\n  theme: light\n":    "[3:3]",
		"ui:\n  hotkeys:\n    f5: [view, idle]\n": "[3:",
	} {
		m.config(text)
		if _, err := contexts.ReadUI(m.sys()); !errors.Is(err, contexts.ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
