package tui

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster/contexts"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
	"stoker/tui/settings"
	"stoker/tui/theme"
)

// wrote is a user's files in memory.
type wrote struct {
	next settings.Settings
	err  error
	news bool
}

func (w *wrote) Read() (settings.Settings, bool, error) {
	news := w.news
	w.news = false
	return w.next, news, w.err
}

// user is a rig with settings in it.
func user(t *testing.T, ui contexts.UI) (*rig, *wrote) {
	t.Helper()
	w := &wrote{next: settings.Settings{UI: ui}, news: true}
	return newRig(t, fixture.Lab(), func(c *Config) { c.User, c.Theme = w, "" }), w
}

// again lets the time pass in which the files are looked at.
func (r *rig) again() {
	for range lookEvery {
		r.run(r.lookAgain())
	}
}

// TestSettingsOfAnotherSession: what means nothing in this one is no mistake, and
// does not take the rest away.
func TestSettingsOfAnotherSession(t *testing.T) {
	w := &wrote{next: settings.Settings{UI: contexts.UI{
		Theme:   theme.Light,
		Aliases: map[string]string{"mine": "jobs ns=prod", "eu": "ctx eu"},
		Hotkeys: map[string]string{"f5": "view idle", "f6": "mine", "f7": "events"},
		Views:   map[string]contexts.SavedView{"idle": {Screen: "nodes"}},
	}}, news: true}
	r := topRig(t, &killer{}, func(c *Config) { c.User, c.Theme = w, "" })
	if r.theme.Name != theme.Light {
		t.Error("the settings are not used")
	}
	r.press("f6")
	r.sees("there is no command :jobs")
	r.press("f7")
	if r.active().name != screen.Events {
		t.Errorf("at %s", r.active().name)
	}
}

func TestViewsAndHotkeys(t *testing.T) {
	r, _ := user(t, contexts.UI{
		Views: map[string]contexts.SavedView{
			"idle":  {Screen: "gpus", Filter: "util < 5 && held", Columns: []string{"node", "index", "util"}, Order: "-power,node"},
			"plain": {Screen: "gpu"},
		},
		Hotkeys: map[string]string{"f5": "view idle", "ctrl+t": ":theme light", "alt+g": "i"},
		Aliases: map[string]string{"i": "view idle", "mine": "jobs ns=prod"},
	})
	look := func() (columns []string, order string, filter string) {
		tab := r.active().Screen.(screen.Tabular)
		for _, c := range tab.Columns() {
			if c.Shown {
				columns = append(columns, c.Name)
			}
		}
		order, _ = tab.Order()
		filter, _ = r.filter()
		return columns, order, filter
	}
	for _, keys := range [][]string{{"f5"}, {":", `"view idle"`, "enter"}, {":", `"i"`, "enter"}, {":", `"view i"`, "tab", "enter"}, {"alt+g"}} {
		r.press(keys...)
		columns, order, filter := look()
		if r.active().name != screen.GPUs || !slices.Equal(columns, []string{"node", "index", "util_percent"}) || order != "power_watts" || filter != "util < 5 && held" {
			t.Errorf("%v: %s, %v %q %q", keys, r.active().name, columns, order, filter)
		}
		r.press(":", `"view plain"`, "enter")
		if columns, order, filter := look(); len(columns) < 6 || order != "" || filter != "" {
			t.Errorf("%v %q %q", columns, order, filter)
		}
		r.press("1")
	}
	r.press(":", `"mine llm"`, "enter")
	if _, _, filter := look(); r.active().name != screen.Jobs || filter != "ns=prod llm" {
		t.Errorf("%q", filter)
	}
	r.send(tea.WindowSizeMsg{Width: 120, Height: 60})
	r.press("?")
	r.draw() // a page is as long as it was drawn
	r.press("pgdown")
	r.sees("your own")
	r.sees("f5                          :view idle")
	r.sees(":mine                       :jobs ns=prod")
	r.press("esc", "ctrl+t")
	if r.theme.Name != theme.Light {
		t.Error(r.theme.Name)
	}
	r.press(":", `"view none"`, "enter")
	r.sees(`there is no view "none": saved are idle, plain`)
	r.press("f5") // not while one types
	if r.line == nil {
		t.Error("a hotkey works while one types")
	}
}

func TestWhatIsWrongIsRefused(t *testing.T) {
	view := contexts.SavedView{Screen: "gpus"}
	for want, ui := range map[string]contexts.UI{
		"ui.theme: no theme \"pink\": take one of auto, dark":               {Theme: "pink"},
		"ui.views.a b: the name of a view is one word":                      {Views: map[string]contexts.SavedView{"a b": view}},
		"ui.views.a.filter: no field utl: did you mean util?":               {Views: map[string]contexts.SavedView{"a": {Screen: "gpus", Filter: "utl < 5"}}},
		"ui.hotkeys.d: the key is taken: drain (move all work off the node": {Hotkeys: map[string]string{"d": "nodes"}},
		"ui.hotkeys.1: the key is taken: fleet (":                           {Hotkeys: map[string]string{"1": "nodes"}},
		"ui.hotkeys.strg+x: there is no such key":                           {Hotkeys: map[string]string{"strg+x": "nodes"}},
		"ui.hotkeys.f5: there is no command :bogus":                         {Hotkeys: map[string]string{"f5": "bogus"}},
		"ui.hotkeys.f5: there is no view \"none\"":                          {Hotkeys: map[string]string{"f5": "view none"}},
		"ui.hotkeys.f5: it does nothing":                                    {Hotkeys: map[string]string{"f5": " "}},
		"ui.aliases.no: :no is a command already":                           {Aliases: map[string]string{"no": "jobs"}},
		"ui.aliases.x y: an alias is one word":                              {Aliases: map[string]string{"x y": "jobs"}},
		"ui.aliases.x: there is no command :z":                              {Aliases: map[string]string{"x": "z", "z": "jobs"}}, // one step only: no circles
	} {
		r, _ := user(t, ui)
		r.send(tea.WindowSizeMsg{Width: 200, Height: 24})
		r.sees(want)
		r.sees("nothing of the section ui is used")
	}
}

func TestLiveReload(t *testing.T) {
	r, w := user(t, contexts.UI{Theme: theme.Light, Views: map[string]contexts.SavedView{"a": {Screen: "gpus"}}})
	if r.theme.Name != theme.Light || r.mouse || r.plain != nil {
		t.Fatalf("%s mouse %v", r.theme.Name, r.mouse)
	}
	r.again()
	r.misses("read again") // nothing changed
	w.next.UI = contexts.UI{Theme: theme.ColourBlind, ASCII: true, Mouse: true, Hotkeys: map[string]string{"f5": "gpus"}}
	w.news = true
	r.again()
	r.sees("the config file was read again")
	if r.theme.Name != theme.ColourBlind || !r.mouse || r.plain == nil || r.View().MouseMode != tea.MouseModeCellMotion {
		t.Errorf("%s mouse %v", r.theme.Name, r.mouse)
	}
	w.news, w.err = true, errors.New("config file /home/x/config.yaml: [3:1] no\n  | drawing")
	r.again()
	r.sees("X config.yaml: [3:1] no; all stays as it was")
	r.press("f5")
	if r.active().name != screen.GPUs {
		t.Error("the old settings are gone")
	}
	r.press(":", `"theme dark"`, "enter")
	w.news, w.err = true, nil
	r.again()
	if r.theme.Name != theme.Dark {
		t.Error("what was typed is taken back by a file that does not say otherwise")
	}
	w.news, w.next.ASCII = true, false
	r.again()
	r.sees("●")
}

func TestOwnTheme(t *testing.T) {
	red, _ := theme.Parse([]byte("colours: {ok: red}"))
	blue, _ := theme.Parse([]byte("colours: {ok: blue}"))
	r, w := user(t, contexts.UI{})
	w.next, w.news = settings.Settings{UI: contexts.UI{Theme: "mine"}, Themes: map[string]theme.Own{"mine": red}}, true
	r.again()
	if r.theme.Name != "mine" || r.theme.OK != red.Theme("mine", false).OK {
		t.Error(r.theme.Name)
	}
	w.next.Themes, w.news = map[string]theme.Own{"mine": blue}, true
	r.again()
	if r.theme.OK != blue.Theme("mine", false).OK {
		t.Error("its file changed, and its colours did not")
	}
	r.press(":", `"theme d"`, "tab", "enter", ":", `"theme mi"`, "tab", "enter")
	if r.theme.Name != "mine" {
		t.Error(r.theme.Name)
	}
	w.next, w.news = settings.Settings{}, true
	r.again()
	if r.theme.Name != theme.Auto {
		t.Error("its file is gone: " + r.theme.Name)
	}
	for name, ok := range map[string]bool{"mine": true, "light": true, "pink": false} {
		w := &wrote{next: settings.Settings{Themes: map[string]theme.Own{"mine": red}}, news: true}
		m, err := newModel(t.Context(), Config{Feed: fixed{fixture.Lab()}, Now: fixture.Now, User: w, Theme: name, Env: []string{"TERM=xterm-256color"}}, nil, func() {})
		if (err == nil) != ok || ok && m.theme.Name != name {
			t.Errorf("--theme %s: %v", name, err)
		}
	}
}

func TestCopy(t *testing.T) {
	copied := func(r *rig, keys ...string) string {
		t.Helper()
		r.press(keys[:len(keys)-1]...)
		_, cmd := r.Update(key(keys[len(keys)-1]))
		var all []string
		var run func(tea.Cmd)
		run = func(cmd tea.Cmd) {
			if cmd == nil {
				return
			}
			switch msg := cmd().(type) {
			case tea.BatchMsg:
				for _, c := range msg {
					run(c)
				}
			case nil:
			default:
				all = append(all, fmt.Sprint(msg))
			}
		}
		run(cmd)
		return strings.Join(all, " ")
	}
	r := newRig(t, fixture.Lab())
	for _, c := range []struct {
		keys []string
		want string
	}{
		{[]string{"2", "c"}, "gpu-a"},
		{[]string{"2", "space", "space", "c"}, "gpu-a\ngpu-b"},
		{[]string{"4", "c"}, "default/stoker-agent"},
		{[]string{"3", ":", `"copy pci"`, "enter"}, "0000:1b:00.0"},
	} {
		r.press("1", "esc", "2", "esc")
		if got := copied(r, c.keys...); got != c.want {
			t.Errorf("%v: %q, want %q", c.keys, got, c.want)
		}
	}
	r.press("1", "c")
	r.sees("there is nothing to copy here")
	r = newRig(t, fixture.Lab(), func(c *Config) { c.Env = append(c.Env, "TMUX=/tmp/x") })
	r.press("2", "c")
	r.sees("copied gpu-a (tmux passes it on with: set -g set-clipboard on)")
}

func TestExport(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, fixture.Lab())
	r.press("3", "/", `"util < 5 && held"`, "enter")
	r.press("X", `"`+dir+`/idle.csv"`, "enter")
	r.sees("wrote 2 rows of gpus to " + dir + "/idle.csv")
	read := func(name string) string {
		t.Helper()
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	if got := read("idle.csv"); !strings.HasPrefix(got, "cluster,region,node,node_pool,index,") || strings.Count(got, "\n") != 3 {
		t.Errorf("%s", got)
	}
	if info, _ := os.Stat(filepath.Join(dir, "idle.csv")); info.Mode().Perm() != 0o600 {
		t.Error(info.Mode())
	}
	r.press(":", `"columns node,index"`, "enter", "X", `"`+dir+`/idle.csv"`, "enter")
	r.sees("idle.csv is there already; :export! writes over it")
	if got := read("idle.csv"); !strings.HasPrefix(got, "cluster,") {
		t.Errorf("written over: %s", got)
	}
	r.press(":", `"export! `+dir+`/idle.csv"`, "enter")
	if got := read("idle.csv"); got != "node,index\ngpu-b,0\ngpu-b,1\n" {
		t.Errorf("%s", got)
	}
	r.press(":", `"export `+dir+`/idle.json"`, "enter")
	if got := read("idle.json"); !strings.HasPrefix(got, "[\n  {\n    \"node\": \"gpu-b\",") {
		t.Errorf("%s", got)
	}
	for name, want := range map[string]string{"": "write the name of a file", "x.txt": "write the name of a file", "none/x.csv": "no such file or directory"} {
		r.press(":", `"export `+filepath.Join(dir, name)+`"`, "enter")
		r.sees(want)
		r.press("esc")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".export*")); len(left) > 0 {
		t.Error(left)
	}
	r.press("1", ":", `"export x.csv"`, "enter")
	r.sees("fleet is no table")
}

// TestExportOfDetails: what lies over a list is exported, and never the list under it.
func TestExportOfDetails(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, fixture.Lab())
	for i, c := range []struct {
		keys []string
		says string
		head string // of the file; none: nothing is written
	}{
		{[]string{"2", "enter"}, "wrote 8 rows of gpus", "node,index,"},
		{[]string{"2", "enter", "tab"}, "rows of allocs", "job,"},
		{[]string{"3", "enter"}, "wrote 1 row of gpus", "node,index,"},
		{[]string{"4", "/", "l", "l", "m", "enter", "enter"}, "rows of allocs", "job,"},
		{[]string{"4", "/", "l", "l", "m", "enter", "enter", "tab"}, "this part of the details cannot be exported", ""},
	} {
		path := fmt.Sprintf("%s/%d.json", dir, i)
		r.press("1", "esc")
		r.press(c.keys...)
		r.press("X", `"`+path+`"`, "enter")
		r.sees(c.says)
		raw, err := os.ReadFile(path)
		if c.head == "" {
			if err == nil {
				t.Errorf("%v: %s", c.keys, raw)
			}
			r.press("esc")
			continue
		}
		var rows []map[string]any
		if err := json.Unmarshal(raw, &rows); err != nil || len(rows) == 0 {
			t.Fatalf("%v: %v %s", c.keys, err, raw)
		}
		for _, name := range strings.Split(strings.TrimSuffix(c.head, ","), ",") {
			if _, ok := rows[0][name]; !ok {
				t.Errorf("%v: no %s in %v", c.keys, name, rows[0])
			}
		}
	}
	r.press("2", "enter", ":", `"sort node"`, "enter")
	r.sees("that is for the list of nodes; esc goes back to it")
}

func TestMouse(t *testing.T) {
	r := newRig(t, fixture.Lab(), func(c *Config) { c.Mouse = true })
	at := func(word string) (x, y int) {
		t.Helper()
		for y, l := range strings.Split(fixture.Picture(r.draw()), "\n") {
			if i := strings.Index(l, word); i >= 0 {
				return len([]rune(l[:i])), y
			}
		}
		t.Fatalf("%s is not on the screen", word)
		return 0, 0
	}
	click := func(word string) {
		t.Helper()
		x, y := at(word)
		r.send(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft})
	}
	click("3 gpus")
	if r.active().name != screen.GPUs {
		t.Fatal(r.active().name)
	}
	click("gpu-b/2")
	r.sees("▌ gpu-b/2")
	click("TEMP")
	if name, _ := r.active().Screen.(screen.Tabular).Order(); name != "temperature_celsius" {
		t.Errorf("in order of %q", name)
	}
	r.send(tea.MouseWheelMsg{Button: tea.MouseWheelDown})
	click("gpu-a/7")
	r.clock = r.clock.Add(twiceWithin)
	click("gpu-a/7")
	r.sees("▌ gpu-a/7") // too late for twice
	click("gpu-a/7")
	r.misses("gpu-b/2") // the details
	r.press("esc", "?")
	r.send(tea.MouseWheelMsg{Button: tea.MouseWheelDown})
	r.misses("on gpus")
	click("gpu")
	if r.over == nil {
		t.Error("a click closes the help")
	}
	r = newRig(t, fixture.Lab())
	r.send(tea.MouseClickMsg{X: 12, Y: 39, Button: tea.MouseLeft})
	if r.active().name != screen.Fleet || r.View().MouseMode != tea.MouseModeNone {
		t.Error("the mouse is followed though nobody asked for it")
	}
}
