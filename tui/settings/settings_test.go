package settings

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stoker/cluster/contexts"
)

func files(t *testing.T) (f *Files, put func(name, text string)) {
	t.Helper()
	dir := t.TempDir()
	sys := contexts.System{Home: dir, Getenv: func(string) string { return "" }}
	at := time.Now()
	return NewFiles(sys), func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, ".config", "stoker", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Second) // a clock of a file system may be coarse
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRead(t *testing.T) {
	f, put := files(t)
	if s, changed, err := f.Read(); err != nil || changed || s.Views != nil {
		t.Errorf("without files: %+v %v %v", s, changed, err)
	}
	put("config.yaml", "ui: {theme: mine, mouse: true}")
	put("themes/mine.yaml", "base: light")
	s, changed, err := f.Read()
	if err != nil || !changed || s.Theme != "mine" || !s.Mouse || s.Themes["mine"].Base != "light" {
		t.Errorf("%+v %v %v", s, changed, err)
	}
	if _, changed, _ := f.Read(); changed {
		t.Error("nothing changed")
	}
	for _, c := range []struct{ file, text, want string }{
		{"config.yaml", "ui: {them: x}", "unknown field"},
		{"config.yaml", "ui: {}", ""},
		{"themes/mine.yaml", "colours:\n  ok: rot\n", "mine.yaml: line 2: \"rot\" is no colour"},
		{"themes/mine.yaml", "", ""},
		{"themes/dark.yaml", "", "dark is a built-in one"},
	} {
		put(c.file, c.text)
		_, changed, err := f.Read()
		if text := fmt.Sprint(err); !changed || (err != nil) != (c.want != "") || !strings.Contains(text, c.want) && err != nil {
			t.Errorf("%s %q: changed %v, %v", c.file, c.text, changed, err)
		}
		if _, changed, err := f.Read(); changed || err != nil {
			t.Errorf("an error is told once: %v", err)
		}
	}
}

func TestCheckView(t *testing.T) {
	f, put := files(t)
	put("config.yaml", `ui:
  views:
    good: {screen: gpus, filter: util < 5 && held, columns: [node, util], order: "-power,node"}
    bare: {screen: jobs}
    a: {filter: x}
    b: {screen: rockets}
    c:
      screen: gpus
      filter: utl < 5
    d: {screen: gpus, columns: [nod]}
    e: {screen: gpus, order: "-nod"}
`)
	s, _, err := f.Read()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"good": "", "bare": "",
		"a": "line 5: ui.views.a: it does not say which screen", "b": "line 6: ui.views.b.screen: there are no rockets to show",
		"c": "line 9: ui.views.c.filter: no field utl: did you mean util?", "d": "line 10: ui.views.d.columns: gpus have no field nod: did you mean node?",
		"e": "line 11: ui.views.e.order: gpus have no field nod: did you mean node?",
	} {
		err := CheckView(s.UI, name)
		if (err == nil) != (want == "") || err != nil && !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

func TestHistory(t *testing.T) {
	f, _ := files(t)
	h := f.History()
	if got := h.Lines(); len(got) != 0 {
		t.Errorf("%q", got)
	}
	for i := range 2*mostLines + 3 {
		if err := h.Add(fmt.Sprintf(":jobs %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Add("/two\nlines"); err != nil {
		t.Error(err)
	}
	lines := h.Lines()
	if len(lines) != mostLines || lines[len(lines)-1] != fmt.Sprintf(":jobs %d", 2*mostLines+2) {
		t.Errorf("%d lines, the last is %q", len(lines), lines[len(lines)-1])
	}
	info, err := os.Stat(h.path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() > int64(2*mostLines*12) {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(h.path), "typed-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
