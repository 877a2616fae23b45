package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/exp/golden"

	"stoker/cluster"
	"stoker/jobs/action"
	"stoker/tui/screen/fixture"
	"stoker/tui/ui"
)

// ended is a Feed after which no snapshot comes: a rig would wait for it.
type ended struct{ fixed }

func (f ended) Subscribe() (<-chan *cluster.Snapshot, func()) {
	ch := make(chan *cluster.Snapshot)
	close(ch)
	return ch, func() {}
}

// fakeSites opens what a test has for names.
type fakeSites struct {
	snaps  map[string]*cluster.Snapshot
	config func() Config
	closed []string
	opened []string
	listed int
}

func (f *fakeSites) List() ([]Site, error) {
	f.listed++
	return []Site{
		{Name: "eu", Address: "https://nomad.eu.example:4646", Production: true},
		{Name: "lab", Address: "http://127.0.0.1:4646"},
		{Name: "old", Address: "http://10.1.0.9:4646", ReadOnly: true},
	}, nil
}

func (f *fakeSites) Ask(_ context.Context, name string) error {
	if name == "old" {
		return errors.New("http://10.1.0.9:4646: connection refused")
	}
	return nil
}

func (f *fakeSites) Open(_ context.Context, names string) (Config, error) {
	s := f.snaps[names]
	if s == nil {
		return Config{}, fmt.Errorf("no such context: %q", names)
	}
	f.opened = append(f.opened, names)
	cfg := f.config()
	cfg.Context, cfg.Feed, cfg.Sites, cfg.Production = names, ended{fixed{s}}, f, strings.Contains(names, "eu")
	cfg.Close = func() { f.closed = append(f.closed, names) }
	return cfg, nil
}

// sitesOf are the snapshots by the names that open them: made once, since that takes time.
func sitesOf(t testing.TB) map[string]*cluster.Snapshot {
	t.Helper()
	made.Do(func() {
		made.snaps = map[string]*cluster.Snapshot{
			"lab": fixture.Lab(), "lab,eu": fixture.Several(), "eu": fixture.Starting(), "lab,old": fixture.NeverThere(), "lost": fixture.OneLost(),
		}
	})
	return made.snaps
}

var made struct {
	sync.Once
	snaps map[string]*cluster.Snapshot
}

// sitesRig is the lab, with eu and both to go to.
func sitesRig(t testing.TB, names string) (*rig, *fakeSites) {
	t.Helper()
	f := &fakeSites{snaps: sitesOf(t)}
	var r *rig
	r = newRig(t, f.snaps[names], func(c *Config) {
		base := *c
		f.config = func() Config {
			cfg := base
			cfg.Runner = &action.Router{Of: func(p cluster.Place) *action.Runner {
				return &action.Runner{Scheduler: r.sched, Now: base.Now, ReadOnly: p == fixture.Europe()}
			}, Each: func() []*action.Runner { return []*action.Runner{{}} }}
			return cfg
		}
		cfg, err := f.Open(context.Background(), names)
		if err != nil {
			t.Fatal(err)
		}
		*c = cfg
	})
	f.opened = nil
	return r, f
}

// TestContextsAreListedOnce: to list them is to read a file, and a line is drawn
// with each snapshot.
func TestContextsAreListedOnce(t *testing.T) {
	r, f := sitesRig(t, "lab")
	r.press(":", `"ctx l"`)
	for range 10 {
		r.sees("lab")
	}
	if f.listed != 1 {
		t.Errorf("listed %d times", f.listed)
	}
	r.press("esc", ":", `"ctx "`)
	r.sees("eu")
	if f.listed != 2 {
		t.Errorf("a new line listed %d times", f.listed-1)
	}
}

func TestSeveralGolden(t *testing.T) {
	for _, tc := range []struct {
		name, context string
		keys          []string
	}{
		{"fleet", "lab,eu", nil},
		{"bycluster", "lab,eu", []string{"b"}},
		{"byjob", "lab,eu", []string{"b", "b", "b", "b"}},
		{"nodes", "lab,eu", []string{"2"}},
		{"gpus", "lab,eu", []string{"3"}},
		{"jobs", "lab,eu", []string{"4"}},
		{"vaults", "lab,eu", []string{"7"}},
		{"usage", "lab,eu", []string{"0"}},
		{"events", "lab,eu", []string{"9"}},
		{"lost", "lost", []string{"2"}},
		{"never", "lab,old", nil},
		{"job", "lab,eu", []string{"4", "G", "k", "enter"}},
		{"sources", "lab,eu", []string{":", `"sources"`, "enter"}},
		{"bulk", "lab,eu", []string{"2", " ", "G", " ", "i"}},
		{"confirm", "lab,eu", []string{"2", "d"}},
		{"contexts", "lab,eu", []string{":", `"ctx"`, "enter", " "}},
	} {
		for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 50}} {
			t.Run(fmt.Sprintf("%s-%dx%d", tc.name, size[0], size[1]), func(t *testing.T) {
				r, _ := sitesRig(t, tc.context)
				r.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
				r.press(tc.keys...)
				golden.RequireEqual(t, fixture.Picture(r.draw()))
			})
		}
	}
}

// TestOldRowsAreFaint on every screen of what Nomad tells, in what lies over it,
// and for the cluster that does not answer alone.
func TestOldRowsAreFaint(t *testing.T) {
	line := func(r *rig, what string, faint bool) {
		t.Helper()
		begin, _, _ := strings.Cut(r.theme.Faint.Render("x"), "x")
		for _, l := range strings.Split(r.draw(), "\n") {
			if strings.Contains(ui.Plain(l), what) {
				if is := strings.HasPrefix(l, begin) && strings.Count(l, "\x1b[") == 2; is != faint {
					t.Errorf("faint is %v: %q", is, l)
				}
				return
			}
		}
		t.Errorf("%q is not there", what)
	}
	faint := func(r *rig, what string) { t.Helper(); line(r, what, true) }
	bright := func(r *rig, what string) { t.Helper(); line(r, what, false) }
	r, _ := sitesRig(t, "lost")
	faint(r, "eu-2")
	bright(r, "gpu-c")
	r = newRig(t, fixture.Lost())
	faint(r, "gpu-c   ")
	r.press("4")
	faint(r, "research/notebook-ann")
	r.press("enter")
	faint(r, "running")
	r.press("esc", "3")
	bright(r, "gpu-a/1")
	r.press("7")
	bright(r, "aes256")
	r.press(":", `"sources"`, "enter")
	bright(r, "agent gpu-a")
	r.press(":", `"allocs"`, "enter", "enter")
	faint(r, "job version")
}

// TestSwitch goes from one cluster to two and to one that does not answer: the
// screen stays, the session before is closed, and what was typed wrong changes
// nothing.
func TestSwitch(t *testing.T) {
	r, f := sitesRig(t, "lab")
	r.press("2", ":", `"ctx lab,eu"`, "enter")
	r.sees("lab+eu")
	r.sees("CLUSTER")
	r.sees("[2 nodes]")
	if fmt.Sprint(f.opened, f.closed) != "[lab,eu] [lab]" {
		t.Errorf("opened %q, closed %q", f.opened, f.closed)
	}
	r.press(":", `"ctx nowhere"`, "enter")
	r.sees(`there is no context "nowhere"; there are eu, lab, old, all`)
	r.sees("lab+eu")
	r.press("esc", ":", `"ctx eu"`, "enter")
	r.sees("PRODUCTION")
	r.sees("connection refused")
	r.misses("CLUSTER")
	if fmt.Sprint(f.opened, f.closed) != "[lab,eu eu] [lab lab,eu]" {
		t.Errorf("opened %q, closed %q", f.opened, f.closed)
	}
}

// TestASwitchForgetsTheOld: nothing of the session before reaches the next.
func TestASwitchForgetsTheOld(t *testing.T) {
	r, _ := sitesRig(t, "lab")
	base := r.env.Base
	r.press("4", "/", `"train"`, "enter", ":", `"ctx eu"`, "enter")
	if base.Err() == nil {
		t.Error("what the screens of the old session have under way goes on")
	}
	r.Update(snapshotMsg{snap: fixture.Lab(), ok: true, from: make(chan *cluster.Snapshot)})
	r.misses("llm-chat")
	r.sees("no jobs yet")
	if text, _ := r.filter(); text != "" {
		t.Errorf("the filter %q is still there", text)
	}
}

// TestChooseContexts picks two contexts in the list, whose states come as they
// are known.
func TestChooseContexts(t *testing.T) {
	r, f := sitesRig(t, "lab")
	r.press(":", `"ctx"`, "enter")
	r.sees("● answers")
	r.sees("✖ http://10.1.0.9:4646: connection refused")
	r.sees("in use")
	r.press(" ", "down", "esc")
	if len(f.opened) > 0 {
		t.Fatalf("esc opened %q", f.opened)
	}
	r.press(":", `"ctx"`, "enter", " ", " ", "enter") // from lab on
	if fmt.Sprint(f.opened) != "[lab,old]" {
		t.Errorf("opened %q", f.opened)
	}
	r.sees("never answered")
}

// TestNoSwitchDuringAChange: the session that makes the change must not close.
func TestNoSwitchDuringAChange(t *testing.T) {
	r, f := sitesRig(t, "lab")
	r.acts.doing = map[int]bool{7: true}
	r.press(":", `"ctx eu"`, "enter")
	r.sees("a change is under way")
	if len(f.opened) > 0 {
		t.Errorf("opened %q", f.opened)
	}
}

// TestNoSwitchDuringABulk: what several things are done with goes to the cluster
// that it was planned in, to the last; only then can one go on to the next.
func TestNoSwitchDuringABulk(t *testing.T) {
	r, f := sitesRig(t, "lab")
	r.cfg.Runner = &action.Runner{Scheduler: r.sched, Now: r.env.Now}
	r.press("4", "space", "j", "space", "x", `"stop 2"`)
	_, first := r.Update(key("enter"))
	r.press(":", `"ctx eu"`, "enter")
	r.sees("a change is under way")
	msg := first() // one is stopped
	opened, _ := f.Open(t.Context(), "eu")
	r.send(siteMsg{cfg: opened}) // asked for before
	r.send(msg)
	if got := fmt.Sprint(r.sched.stopped, f.closed); got != "[default/stoker-agent prod/xray-classify] [eu]" {
		t.Errorf("stopped, closed: %s", got)
	}
	r.sees("stop: all 2 done")
	r.press("esc", ":", `"ctx eu"`, "enter")
	r.sees("PRODUCTION")
}

// TestASiteThatStays: where somebody else uses the session, too, there is nothing to switch to.
func TestASiteThatStays(t *testing.T) {
	r := newRig(t, fixture.Lab())
	r.press(":", `"ctx eu"`, "enter")
	r.sees("this screen stays with its cluster")
}

// TestChangesAmongSeveral: the question names the cluster; what is read-only in
// one is refused there, and what is about no cluster is refused.
func TestChangesAmongSeveral(t *testing.T) {
	r, _ := sitesRig(t, "lab,eu")
	r.press("2", "d")
	r.sees("drain node gpu-a in lab")
	r.press("esc", "/", `"eu-1"`, "enter", "d")
	r.sees("eu: read-only mode")
	r.press(":", `"submit"`, "enter")
	r.sees("several clusters are shown: choose one first")
	r.press("esc", "S")
	r.sees("submit: several clusters are shown: choose one first")
	r.press("7", "r")
	r.sees("several clusters are shown")
}
