package submit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/jobs/action"
	"stoker/jobs/pack"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
)

// packs are the files of testdata/packs; one of them cannot be read.
func packs(t testing.TB) func() ([]pack.Pack, error) {
	t.Helper()
	var out []pack.Pack
	for _, name := range []string{"chat", "hello", "train-resnet"} {
		text, err := os.ReadFile(filepath.Join("testdata", "packs", name+".nomad.hcl"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := pack.FromFile(name+".nomad.hcl", text)
		if err != nil {
			t.Fatal(err)
		}
		if p.Path = ""; name == "hello" {
			p.Path = "/home/ann/packs/hello.nomad.hcl"
		}
		out = append(out, p)
	}
	out = append(out, pack.Pack{Name: "broken", Path: "/home/ann/packs/broken.nomad.hcl", Err: errors.New("line 7: argument or block definition required")})
	return func() ([]pack.Pack, error) { return out, nil }
}

// loaded is the screen with its packs read.
func loaded(t testing.TB, presets map[string]string) func(*screen.Env) screen.Screen {
	return func(e *screen.Env) screen.Screen {
		m := New(e, packs(t), presets, "")
		m.Update(fixture.Reply(m.Open(screen.Target{})))
		return m
	}
}

func press(name string) tea.KeyPressMsg {
	switch name {
	case "enter":
		return tea.KeyPressMsg{Code: tea.KeyEnter}
	case "esc":
		return tea.KeyPressMsg{Code: tea.KeyEscape}
	case "tab":
		return tea.KeyPressMsg{Code: tea.KeyTab}
	case "down":
		return tea.KeyPressMsg{Code: tea.KeyDown}
	case "up":
		return tea.KeyPressMsg{Code: tea.KeyUp}
	case "space":
		return tea.KeyPressMsg{Code: tea.KeySpace, Text: " "}
	}
	if key, ok := strings.CutPrefix(name, "ctrl+"); ok {
		return tea.KeyPressMsg{Code: rune(key[0]), Mod: tea.ModCtrl}
	}
	return tea.KeyPressMsg{Code: rune(name[0]), Text: name}
}

// typing are the messages for a text, a key each.
func typing(text string) []tea.Msg {
	var out []tea.Msg
	for _, r := range text {
		if r == ' ' {
			out = append(out, press("space"))
			continue
		}
		out = append(out, press(string(r)))
	}
	return out
}

func do(m screen.Screen, msgs ...tea.Msg) (last tea.Cmd) {
	for _, msg := range msgs {
		last = m.Update(msg)
	}
	return last
}

func chain(parts ...any) []tea.Msg {
	var out []tea.Msg
	for _, p := range parts {
		switch p := p.(type) {
		case []tea.Msg:
			out = append(out, p...)
		default:
			out = append(out, p)
		}
	}
	return out
}

func context() map[string]string {
	return map[string]string{"vault_addr": "https://vault.example.net:8200", "another": "pack's"}
}

func TestGolden(t *testing.T) {
	s := fixture.Lab()
	form := loaded(t, context())
	wrong := chain(fixture.Key(keys.Open), typing("llama-3.1-8b"), press("down"), press("ctrl+u"), typing("two"), press("down"))
	fixture.Goldens(t, "packs", s, form)
	fixture.Goldens(t, "form", s, form, fixture.Key(keys.Open))
	fixture.Goldens(t, "filled", s, form, chain(fixture.Key(keys.Open), typing("llama-3.1-8b"), press("down"), press("down"), press("down"), press("space"), press("down"), typing("hf_secret"), press("down"))...)
	fixture.Goldens(t, "error", s, form, wrong...)
	fixture.Themes(t, "error", s, form, wrong...)
	fixture.Goldens(t, "reading", s, func(e *screen.Env) screen.Screen { return New(e, packs(t), nil, "") })
}

func TestEveryWidth(t *testing.T) {
	form := loaded(t, context())
	fixture.SweepAll(t, fixture.Lab(), form)
	fixture.Sweep(t, fixture.Lab(), form, chain(fixture.Key(keys.Open), press("enter"), typing("é ü 日本"), press("down"), press("ctrl+u"), press("down"))...)
}

func TestEnterAsksForThePlan(t *testing.T) {
	m := loaded(t, context())(fixture.Env(t)).(*Model)
	m.SetSize(120, 35)
	if do(m, fixture.Key(keys.Open)); !m.Typing() {
		t.Fatal("the form takes the keys")
	}
	if cmd := do(m, press("enter")); cmd != nil || m.form.fields[m.form.at].Name != "model" || !strings.Contains(m.View(), "must be set") {
		t.Fatal("a form with a field that must be set was submitted")
	}
	do(m, typing(`a "b" $c`)...)
	cmd := do(m, press("enter"))
	got, ok := fixture.Reply(cmd).(screen.AskMsg)
	if !ok || got.Request.ID != action.Submit {
		t.Fatalf("%+v", got)
	}
	want := map[string]string{"model": `"a \"b\" $c"`, "vault_addr": `"https://vault.example.net:8200"`}
	if d := cmp.Diff(want, got.Request.File.Vars); d != "" {
		t.Error(d)
	}
	if got.Request.File.Name != "chat" || !strings.Contains(got.Request.File.HCL, "variable \"model\"") {
		t.Errorf("file %q", got.Request.File.Name)
	}
	if c := m.form.command(); c != `stoker submit chat -v 'model=a "b" $c'` {
		t.Error(c)
	}
	do(m, press("ctrl+s"))
	if do(m, press("esc")); m.Typing() {
		t.Error("esc leads back to the packs")
	}
}

func TestValuesAreCheckedWhileTyping(t *testing.T) {
	m := loaded(t, nil)(fixture.Env(t)).(*Model)
	m.SetSize(120, 35)
	do(m, fixture.Key(keys.Open), press("tab"), press("ctrl+u"))
	for _, tc := range []struct{ typed, want string }{
		{"x", `"x" is not a number`}, {"", `"" is not a number`}, {"0", "Use 1 to 8."}, {"4", ""},
	} {
		do(m, press("ctrl+u"))
		do(m, typing(tc.typed)...)
		if got := m.form.field().err; got != tc.want {
			t.Errorf("%q: %q, want %q", tc.typed, got, tc.want)
		}
	}
	if c := m.form.command(); c != "stoker submit chat -v replicas=4" {
		t.Error(c)
	}
	do(m, press("ctrl+r"))
	if d := m.form.field(); d.line.Value() != "1" || m.form.command() != "stoker submit chat" {
		t.Errorf("the default is %q, the command %q", d.line.Value(), m.form.command())
	}
}

func TestASecretIsNeverShown(t *testing.T) {
	m := loaded(t, map[string]string{"model": "m", "vault_addr": "https://v"})(fixture.Env(t)).(*Model)
	m.SetSize(200, 45)
	do(m, fixture.Key(keys.Open))
	for range m.form.fields {
		if m.form.field().Name != "hf_token" {
			do(m, press("down"))
		}
	}
	do(m, tea.PasteMsg{Content: "hf_1234567890abcdef\n"})
	for _, where := range []string{"on it", "elsewhere"} {
		if view := m.View(); strings.Contains(view, "hf_1234") || !strings.Contains(view, `-v hf_token="$HF_TOKEN"`) {
			t.Errorf("%s: %s", where, fixture.Picture(view))
		}
		do(m, press("up"))
	}
	got := fixture.Reply(do(m, press("enter"))).(screen.AskMsg)
	if got.Request.File.Vars["hf_token"] != `"hf_1234567890abcdef"` {
		t.Error("the value does not reach the job")
	}
}

func TestReadOnlySaysWhy(t *testing.T) {
	e := fixture.Env(t)
	e.Allowed = func(action.ID) error { return action.ErrReadOnly }
	m := loaded(t, nil)(e)
	m.SetSize(120, 35)
	do(m, fixture.Key(keys.Open))
	if !strings.Contains(m.View(), "cannot be submitted here: "+action.ErrReadOnly.Error()) {
		t.Error(fixture.Picture(m.View()))
	}
}

func TestABrokenPackDoesNotOpen(t *testing.T) {
	m := loaded(t, nil)(fixture.Env(t)).(*Model)
	m.SetSize(120, 35)
	m.Select("broken")
	note, _ := fixture.Reply(do(m, fixture.Key(keys.Open))).(screen.NoteMsg)
	if m.Typing() || note.Level != cluster.Warn || !strings.Contains(note.Text, "line 7") {
		t.Errorf("%+v", note)
	}
}

func TestAPackWithoutVariables(t *testing.T) {
	m := loaded(t, nil)(fixture.Env(t)).(*Model)
	m.SetSize(80, 19)
	m.Select("hello")
	do(m, fixture.Key(keys.Open), press("x"), press("down"), press("ctrl+r"), tea.PasteMsg{Content: "x"})
	if _, ok := fixture.Reply(do(m, press("enter"))).(screen.AskMsg); !ok {
		t.Error(fixture.Picture(m.View()))
	}
}

func TestOnlyTheLastReadingCounts(t *testing.T) {
	m := New(fixture.Env(t), packs(t), nil, "")
	m.SetSize(120, 35)
	first := fixture.Reply(m.Update(screen.TickMsg{}))
	second := m.Open(screen.Target{})
	m.Update(first)
	if m.loaded {
		t.Error("an old reading was taken")
	}
	m.Update(fixture.Reply(second))
	if _, all := m.Counts(); !m.loaded || all != 4 {
		t.Errorf("%d packs", all)
	}
	do(m, fixture.Key(keys.Down))
	name := m.Selected().Name
	m.Update(fixture.Reply(m.Open(screen.Target{})))
	if m.Selected().Name != name {
		t.Errorf("the selection went from %s to %s", name, m.Selected().Name)
	}
	m.list = func() ([]pack.Pack, error) { return nil, errors.New("list packs: permission denied") }
	m.Update(fixture.Reply(m.Open(screen.Target{})))
	if !strings.Contains(m.View(), "permission denied") || !strings.Contains(m.View(), "no packs") {
		t.Error(fixture.Picture(m.View()))
	}
}

// The digest of a model is the registry's, as in line mode: nobody types it.
func TestTheDigestComesFromTheRegistry(t *testing.T) {
	lib := pack.Library{}
	serve, err := lib.Find("digits")
	if err != nil {
		t.Fatal(err)
	}
	m := New(fixture.Env(t), func() ([]pack.Pack, error) { return []pack.Pack{serve}, nil }, map[string]string{"vault_addr": "https://vault.example.net:8200"}, "")
	m.SetSize(120, 40)
	m.Update(fixture.Reply(m.Open(screen.Target{})))
	do(m, fixture.Key(keys.Open))
	if cmd := do(m, press("enter")); cmd != nil || !strings.Contains(m.View(), `version "1" of model "digits" is not registered`) {
		t.Error(fixture.Picture(m.View()))
	}
	snap := *fixture.Lab()
	snap.Artifacts = []cluster.Artifact{{Model: "digits", Version: "1", Digest: "sha256:aa"}, {Model: "digits", Version: "2", Digest: "sha256:bb"}}
	m.SetSnapshot(&snap)
	submitted := func() map[string]string {
		t.Helper()
		ask, ok := fixture.Reply(do(m, press("enter"))).(screen.AskMsg)
		if !ok {
			t.Fatal(fixture.Picture(m.View()))
		}
		return ask.Request.File.Vars
	}
	if got := submitted()["digest"]; got != `"sha256:aa"` {
		t.Errorf("digest %q", got)
	}
	for m.form.field().Name != "version" {
		do(m, press("up"))
	}
	do(m, press("ctrl+u"), press("2"))
	if got := submitted(); got["digest"] != `"sha256:bb"` || got["version"] != `"2"` {
		t.Errorf("%v", got)
	}
	if c := m.form.command(); strings.Contains(c, "digest") { // line mode finds it by itself
		t.Error(c)
	}
	for m.form.field().Name != "digest" {
		do(m, press("down"))
	}
	do(m, press("ctrl+u"), tea.PasteMsg{Content: "sha256:cc"})
	m.SetSnapshot(&snap)
	if got := submitted()["digest"]; got != `"sha256:cc"` { // what a person gave stays
		t.Errorf("digest %q", got)
	}
}

func TestWhatWasTypedIsKept(t *testing.T) {
	m := loaded(t, nil)(fixture.Env(t)).(*Model)
	m.SetSize(120, 35)
	do(m, chain(fixture.Key(keys.Open), typing("llama"), press("tab"), press("ctrl+u"), typing("two"), press("esc"))...)
	if m.Typing() {
		t.Fatal("esc leads back to the packs")
	}
	do(m, fixture.Key(keys.Open))
	if d := cmp.Diff(map[string]string{"model": "llama", "replicas": "two"}, m.form.values()); d != "" {
		t.Error(d)
	}
	if f := m.form.field(); f.Name != "replicas" || !f.shows() {
		t.Errorf("the cursor is at %s, which is to be put right", f.Name)
	}
	do(m, press("esc"), fixture.Key(keys.Down), fixture.Key(keys.Open))
	if got := m.form.values(); len(got) > 0 {
		t.Errorf("another pack has %v", got)
	}
}

func TestAFormSaysHowMuchDoesNotFit(t *testing.T) {
	m := loaded(t, nil)(fixture.Env(t)).(*Model)
	m.SetSize(80, 15)
	do(m, fixture.Key(keys.Open))
	if got := m.View(); !strings.Contains(got, "3 more below") || strings.Contains(got, "above") {
		t.Error(fixture.Picture(got))
	}
	do(m, press("up")) // around to the last
	if got := m.View(); !strings.Contains(got, "3 more above") || strings.Contains(got, "below") {
		t.Error(fixture.Picture(got))
	}
}

func TestTheCommandNamesTheContextOfTheScreen(t *testing.T) {
	m := New(fixture.Env(t), packs(t), nil, "gpu lab")
	m.Update(fixture.Reply(m.Open(screen.Target{})))
	m.SetSize(120, 35)
	do(m, chain(fixture.Key(keys.Open), typing("llama"))...)
	if c := m.form.command(); c != `stoker submit chat --context 'gpu lab' -v model=llama` {
		t.Error(c)
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"replicas=2": "replicas=2", "a b": "'a b'", "": "''", "it's": `'it'\''s'`, "x=$HOME": "'x=$HOME'", "l=[1, 2]": "'l=[1, 2]'",
	} {
		if got := quote(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
