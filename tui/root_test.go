package tui

import (
	"context"
	"errors"
	"fmt"
	"image/color"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/exp/golden"

	"stoker/cluster"
	"stoker/jobs/action"
	"stoker/jobs/pack"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// fixed is a Feed that holds one snapshot.
type fixed struct{ s *cluster.Snapshot }

func (f fixed) Latest() *cluster.Snapshot { return f.s }

func (f fixed) Subscribe() (<-chan *cluster.Snapshot, func()) {
	return make(chan *cluster.Snapshot), func() {}
}

// scheduler takes the calls of a real Runner and counts those that change.
type scheduler struct {
	action.Scheduler
	drained []cluster.NodeID
	stopped []cluster.JobID
	err     error
}

func (s *scheduler) Drain(_ context.Context, id cluster.NodeID, _ time.Duration) (cluster.Submitted, error) {
	s.drained = append(s.drained, id)
	return cluster.Submitted{Eval: "77aa0001-0000"}, s.err
}

func (s *scheduler) Stop(_ context.Context, id cluster.JobID, _ bool) (cluster.Submitted, error) {
	s.stopped = append(s.stopped, id)
	return cluster.Submitted{Eval: "77aa0002-0000"}, s.err
}

// rig is a root with a fixed clock that a test can move.
type rig struct {
	*model
	t     testing.TB
	sched *scheduler
	clock time.Time
}

func newRig(t testing.TB, s *cluster.Snapshot, change ...func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, sched: &scheduler{}, clock: fixture.Now()}
	now := func() time.Time { return r.clock }
	cfg := Config{
		Context: "lab", Namespace: "*", Feed: fixed{s}, Now: now, Theme: theme.Dark,
		Runner: &action.Runner{Scheduler: r.sched, Now: now}, Env: []string{"TERM=xterm-256color", "LANG=C.UTF-8"},
	}
	for _, c := range change {
		c(&cfg)
	}
	m, err := newModel(context.Background(), cfg, nil, func() {})
	if err != nil {
		t.Fatal(err)
	}
	r.model = m
	r.send(tea.WindowSizeMsg{Width: 120, Height: 40})
	return r
}

// send feeds a message and every reply to it, as the program would.
func (r *rig) send(msg tea.Msg) {
	_, cmd := r.Update(msg)
	r.run(cmd)
}

func (r *rig) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, c := range msg {
			r.run(c)
		}
	default:
		r.send(msg)
	}
}

func key(s string) tea.KeyPressMsg {
	special := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "down": tea.KeyDown, "up": tea.KeyUp, "backspace": tea.KeyBackspace, "left": tea.KeyLeft, "f5": tea.KeyF5, "pgdown": tea.KeyPgDown, "space": tea.KeySpace, "shift+tab": tea.KeyTab}
	if code, ok := special[s]; ok {
		if strings.HasPrefix(s, "shift+") {
			return tea.KeyPressMsg{Code: code, Mod: tea.ModShift}
		}
		return tea.KeyPressMsg{Code: code}
	}
	for mod, m := range map[string]tea.KeyMod{"ctrl+": tea.ModCtrl, "alt+": tea.ModAlt} {
		if rest, ok := strings.CutPrefix(s, mod); ok {
			return tea.KeyPressMsg{Code: []rune(rest)[0], Mod: m}
		}
	}
	return tea.KeyPressMsg{Text: s, Code: []rune(s)[0]}
}

// press sends keys; a word in quotes is typed letter by letter.
func (r *rig) press(keys ...string) {
	for _, k := range keys {
		if word, ok := strings.CutPrefix(k, `"`); ok {
			for _, c := range strings.TrimSuffix(word, `"`) {
				r.send(key(string(c)))
			}
			continue
		}
		r.send(key(k))
	}
}

func (r *rig) sees(want string) {
	r.t.Helper()
	if got := fixture.Picture(r.draw()); !strings.Contains(got, want) {
		r.t.Errorf("%q is not on the screen:\n%s", want, got)
	}
}

func (r *rig) misses(what string) {
	r.t.Helper()
	if got := fixture.Picture(r.draw()); strings.Contains(got, what) {
		r.t.Errorf("%q is on the screen:\n%s", what, got)
	}
}

func TestGolden(t *testing.T) {
	readOnly := func(c *Config) { c.ReadOnly = true }
	for _, tc := range []struct {
		name   string
		snap   *cluster.Snapshot
		keys   []string
		change []func(*Config)
	}{
		{"fleet", fixture.Lab(), nil, nil},
		{"calm", fixture.Calm(), nil, nil},
		{"starting", fixture.Starting(), nil, nil},
		{"lost", fixture.Lost(), []string{"2"}, nil},
		{"readonly", fixture.Lab(), []string{"2"}, []func(*Config){readOnly}},
		{"help", fixture.Lab(), []string{"2", "?"}, nil},
		{"confirm", fixture.Lab(), []string{"2", "d"}, nil},
		{"nothing", fixture.Lab(), []string{"2", "d", `"gpu-a"`, "enter", "!"}, nil},
		{"filter", fixture.Lab(), []string{"2", "/", `"gpu !-b"`}, nil},
		{"filtered", fixture.Lab(), []string{"2", "/", `"gpu !-b"`, "enter"}, nil},
		{"expression", fixture.Lab(), []string{"3", "/", `"gpu-c"`, "enter", "/", `"util < 5 && hold"`}, nil},
		{"form", fixture.Lab(), []string{"S", "enter"}, []func(*Config){func(c *Config) { c.Packs = pack.Library{}.List }}},
		{"command", fixture.Lab(), []string{":"}, nil},
		{"usage", fixture.Lab(), []string{"3", ":", `"sort "`}, nil},
		{"tab", fixture.Lab(), []string{"3", ":", `"columns node,po"`, "tab", "tab"}, nil},
		{"badcommand", fixture.Lab(), []string{":", `"gpus util < 5 && hold"`, "enter"}, nil},
		{"names", fixture.Lab(), []string{"3", "/", `"util < 5 && me"`}, nil},
		{"values", fixture.Lab(), []string{"3", "/", `"state == "`, "tab"}, nil},
	} {
		for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 50}} {
			t.Run(fmt.Sprintf("%s-%dx%d", tc.name, size[0], size[1]), func(t *testing.T) {
				r := newRig(t, tc.snap, tc.change...)
				r.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
				r.press(tc.keys...)
				golden.RequireEqual(t, fixture.Picture(r.draw()))
			})
		}
	}
}

// TestHeaderNamesTheSourceOfGPUs: the best that there is.
func TestHeaderNamesTheSourceOfGPUs(t *testing.T) {
	const live, late = cluster.SourceLive, cluster.SourceRetrying
	for want, sources := range map[string]map[string]cluster.SourceState{
		"agents ○ none":         {"dcgm": cluster.SourceOff, "prometheus": cluster.SourceOff},
		"devices ● 1/1":         {"devices a": live, "dcgm a": live, "prometheus": live},
		"dcgm ▲ 1/2":            {"dcgm": live, "dcgm a": live, "dcgm b": late, "prometheus": live},
		"prometheus ● live":     {"dcgm": cluster.SourceOff, "prometheus": live},
		"prometheus ▲ retrying": {"dcgm": cluster.SourceOff, "prometheus": late},
	} {
		s := &cluster.Snapshot{Ready: true}
		for name, state := range sources {
			s.Sources = append(s.Sources, cluster.SourceStatus{Name: name, State: state})
		}
		if got := fixture.Picture(newRig(t, s).header()[0]); !strings.Contains(got, want) {
			t.Errorf("%v: %q, want %q", sources, got, want)
		}
	}
}

func TestEveryTheme(t *testing.T) {
	for _, name := range []string{theme.Dark, theme.Light, theme.ColourBlind, theme.Sixteen, theme.None} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, fixture.Lab(), func(c *Config) { c.Theme = name })
			r.send(tea.WindowSizeMsg{Width: 100, Height: 24})
			r.press("2", "d")
			golden.RequireEqual(t, r.draw()+"\n")
		})
	}
}

func TestASCII(t *testing.T) {
	r := newRig(t, fixture.Lab(), func(c *Config) { c.Env = []string{"TERM=linux", "LANG=C"}; c.Theme = theme.None })
	r.send(tea.WindowSizeMsg{Width: 100, Height: 24})
	picture := fixture.Picture(r.draw())
	for _, c := range picture {
		if c > '~' {
			t.Errorf("%q is not ASCII", c)
		}
	}
	golden.RequireEqual(t, picture)
}

// exactly says that the whole picture fills the terminal.
func (r *rig) exactly(w, h int) {
	r.t.Helper()
	lines := strings.Split(r.draw(), "\n")
	if len(lines) != h {
		r.t.Fatalf("%dx%d: %d lines", w, h, len(lines))
	}
	for i, l := range lines {
		if ui.Width(l) != w {
			r.t.Fatalf("%dx%d: line %d has %d cells: %q", w, h, i, ui.Width(l), l)
		}
	}
}

func TestEverySize(t *testing.T) {
	r := newRig(t, fixture.Lab())
	for _, keys := range [][]string{nil, {"2"}, {"d"}, {"esc", "?"}, {"esc", "!"}, {"esc", ":"}, {"esc", "9"}} {
		r.press(keys...)
		for w := 20; w <= 220; w += 3 {
			for _, h := range []int{5, 16, 19, 20, 24, 50} {
				r.send(tea.WindowSizeMsg{Width: w, Height: h})
				r.exactly(w, h)
			}
		}
	}
}

// TestEveryTerminal: header, banner, each screen and footer fill every terminal
// from 60x16 to 220x60. The screens share the sizes: each has every width and
// every height, and the first has every pair of them.
func TestEveryTerminal(t *testing.T) {
	const parts = 4
	for part := range parts {
		t.Run(fmt.Sprint("part ", part), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, fixture.Lost())
			for i := range r.screens {
				r.switchTo(i)
				for w := minWidth + part; w <= 220; w += parts {
					for h := minHeight; h <= 60; h++ {
						if i > 0 && (w*7+h*3+i)%23 != 0 {
							continue
						}
						r.send(tea.WindowSizeMsg{Width: w, Height: h})
						r.exactly(w, h)
					}
				}
			}
		})
	}
}

func TestDangerIsGated(t *testing.T) {
	r := newRig(t, fixture.Lab())
	r.press("2", "d")
	r.sees("drain node gpu-a")
	r.press("enter")
	r.press(`"gpu-b"`, "enter")
	r.sees("that is not the name")
	if len(r.sched.drained) != 0 {
		t.Fatal("drained without the name")
	}
	r.press("backspace", `"a"`, "enter")
	if len(r.sched.drained) != 1 || r.sched.drained[0] != r.snap.Nodes[0].ID {
		t.Fatalf("drained %v", r.sched.drained)
	}
	r.sees("draining gpu-a")
	r.press("j")
	r.misses("draining gpu-a") // it stays until a key
	r.press("!")
	r.sees("draining gpu-a")
}

func TestTheAnswerIsNo(t *testing.T) {
	r := newRig(t, fixture.Lab())
	did := 0
	ask := screen.QuestionMsg{Title: "rotate key models-llm", Lines: []string{"models-llm gets version 3"}, Do: func(context.Context) (string, error) {
		did++
		return "rotated", nil
	}}
	for _, keys := range [][]string{{"enter"}, {"n"}, {"esc"}, {"tab", "tab", "enter"}, {"x", "q", "esc"}} {
		r.send(ask)
		r.press(keys...)
		if did != 0 || r.over != nil {
			t.Fatalf("%v: did %d, open %v", keys, did, r.over != nil)
		}
	}
	for i, keys := range [][]string{{"tab", "enter"}, {"y"}} {
		r.send(ask)
		r.press(keys...)
		if did != i+1 {
			t.Errorf("%v: did %d", keys, did)
		}
		r.sees("rotated")
	}
}

func TestReadOnlyRefusesAndSaysWhy(t *testing.T) {
	r := newRig(t, fixture.Lab(), func(c *Config) { c.ReadOnly = true })
	r.press("2")
	r.misses("drain")
	r.press("d")
	r.sees("drain: read-only mode: nothing may be changed")
	r.send(screen.QuestionMsg{Title: "rotate key k", Do: func(context.Context) (string, error) { t.Error("done"); return "", nil }})
	if r.over != nil || len(r.sched.drained) != 0 {
		t.Error("read-only must not ask")
	}
}

func TestAStaleReplyIsDropped(t *testing.T) {
	r := newRig(t, fixture.Lab())
	r.press("2")
	req := action.Request{ID: action.Drain, Node: r.snap.Nodes[0].ID}
	first, second := r.ask(req), r.ask(req)
	r.send(first())
	if r.over != nil {
		t.Fatal("the reply to the first question opened a box")
	}
	r.press("esc") // gives the second up
	r.send(second())
	if r.over != nil {
		t.Fatal("a plan that was given up opened a box")
	}
	r.send(doneMsg{id: 99, text: "not asked for"})
	r.misses("not asked for")
}

func TestAFailureStaysAndIsListed(t *testing.T) {
	r := newRig(t, fixture.Lab())
	r.sched.err = errors.New("permission denied")
	r.press("2", "j", "j", "d", `"gpu-c"`, "enter")
	r.sees("drain node gpu-c: permission denied")
	r.Update(tickMsg{})
	r.sees("permission denied")
	r.press("!")
	r.sees("permission denied")
}

// TestSecretsAreNotShown: what a server repeats of a token is neither in the
// status line nor in the list, also where a control character cuts it in two.
func TestSecretsAreNotShown(t *testing.T) {
	r := newRig(t, fixture.Lab(), func(c *Config) { c.Redact = strings.NewReplacer("correct-horse", "[redacted]").Replace })
	r.sched.err = errors.New("no token correct-\x07horse")
	r.press("2", "j", "j", "d", `"gpu-c"`, "enter")
	r.sees("no token [redacted]")
	r.press("!")
	r.sees("no token [redacted]")
	r.misses("horse")
	r.passing("stop correct-horse")
	r.misses("horse")
}

func TestALateConfirmationSwallowsKeys(t *testing.T) {
	r := newRig(t, fixture.Lab())
	r.press("2", "j", "j")
	cmd := r.ask(action.Request{ID: action.Undrain, Node: r.snap.Nodes[2].ID})
	r.clock = r.clock.Add(3 * time.Second)
	r.send(cmd())
	r.press("enter", "y", "esc")
	if r.over == nil {
		t.Fatal("keys that came with the box closed it")
	}
	r.clock = r.clock.Add(time.Second)
	r.press("esc")
	if r.over != nil {
		t.Fatal("after the quiet time keys count")
	}
}

func TestTheWayBack(t *testing.T) {
	r := newRig(t, fixture.Lost())
	at := func(want screen.Name) {
		t.Helper()
		if got := r.active().name; got != want {
			t.Fatalf("at %s, want %s", got, want)
		}
	}
	at(screen.Fleet)
	r.press("j", "enter") // gpu-b is down
	at(screen.Nodes)
	r.sees("ALLOCATION")
	r.press("esc")
	at(screen.Fleet)
	r.press("2", "enter")
	r.sees("ALLOCATION")
	r.press("q")
	at(screen.Nodes)
	r.misses("ALLOCATION")
	r.press("/", `"gpu-c"`, "enter")
	r.sees("1 of 3")
	r.press("esc")
	r.sees("gpu-a")
	if _, cmd := r.Update(key("q")); cmd == nil {
		t.Error("q at the top quits")
	} else if _, ok := cmd().(tea.QuitMsg); !ok {
		t.Errorf("q at the top: %T", cmd())
	}
	r.send(screen.OpenMsg{Screen: "nowhere"})
	r.sees("there is no screen nowhere")
}

func TestEscLeavesThePacks(t *testing.T) {
	r := newRig(t, fixture.Lab(), func(c *Config) { c.Packs = pack.Library{}.List })
	r.press("4", "S", "S")
	r.sees("[S submit]")
	r.press("enter", "esc")
	r.sees("[S submit]")
	r.press("esc")
	r.sees("[4 jobs]")
}

func TestCommandBar(t *testing.T) {
	r := newRig(t, fixture.Lab())
	r.press(":", `"nodes gpu-b"`, "enter")
	if r.active().name != screen.Nodes {
		t.Fatal(r.active().name)
	}
	r.sees("1 of 3")
	r.press(":", `"ev"`, "tab", "enter")
	if r.active().name != screen.Events {
		t.Error(r.active().name)
	}
	r.press(":", `"fl"`, "enter")
	if r.active().name != screen.Fleet {
		t.Error(r.active().name)
	}
	r.press(":", `"bogus"`, "enter")
	r.sees("there is no command :bogus")
	r.sees(" :bogus") // it stays, to be put right
	r.press("esc")
	r.press(":", `"theme light"`, "enter")
	if r.theme.Name != theme.Light {
		t.Error(r.theme.Name)
	}
}

func TestPrompt(t *testing.T) {
	r := newRig(t, fixture.Lab())
	got := ""
	r.send(screen.PromptMsg{
		Title: "scale to", Initial: "3", Check: func(s string) error {
			if s != "5" {
				return errors.New("want a number")
			}
			return nil
		}, Then: func(s string) tea.Cmd { got = s; return nil },
	})
	r.press("enter")
	r.sees("want a number")
	r.press("backspace", "5", "enter")
	if got != "5" || r.over != nil {
		t.Errorf("got %q", got)
	}
}

func TestOnlyTheActiveScreenGetsSnapshots(t *testing.T) {
	r := newRig(t, fixture.Lab())
	next := fixture.Lost()
	r.Update(snapshotMsg{snap: next, ok: true})
	r.sees("node is down")
	if r.seen[1] != 0 {
		t.Error("nodes was given a snapshot that it does not show")
	}
	r.press("2")
	r.sees("1 down")
	r.sees("next try in 4s")
	r.clock = r.clock.Add(2 * time.Second)
	r.sees("next try in 2s")
}

func TestBackgroundChangesAutoOnly(t *testing.T) {
	light := tea.BackgroundColorMsg{Color: color.White}
	r := newRig(t, fixture.Lab(), func(c *Config) { c.Theme = theme.Auto })
	r.send(light)
	if r.theme.Name != theme.Light {
		t.Error(r.theme.Name)
	}
	r = newRig(t, fixture.Lab(), func(c *Config) { c.Theme = theme.Dark })
	r.send(light)
	if r.theme.Name != theme.Dark {
		t.Error(r.theme.Name)
	}
}

func BenchmarkKeyAndView(b *testing.B) {
	r := newRig(b, fixture.Big(1000))
	r.press("2")
	b.ReportAllocs()
	for b.Loop() {
		r.Update(key("j"))
		_ = r.View()
	}
}

// TestHeaderKeepsTheWordOfWhatIsIll: where there is no room for all, what is well
// loses its word first.
func TestHeaderKeepsTheWordOfWhatIsIll(t *testing.T) {
	s := *fixture.Lab()
	sealed := *s.Vault
	sealed.Sealed = true
	s.Vault = &sealed
	r := newRig(t, &s, func(c *Config) { c.Context = "production-europe" })
	r.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	if got := fixture.Picture(r.header()[0]); !strings.Contains(got, "vault ✖ sealed") || !strings.Contains(got, "nomad ●  ") {
		t.Errorf("%q", got)
	}
}
