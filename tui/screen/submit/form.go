package submit

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/jobs/action"
	"stoker/jobs/pack"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// form is one pack with a value for each variable.
type form struct {
	env     *screen.Env
	pack    pack.Pack
	presets map[string]string // of the context, those that the pack has
	context string            // that the command must name; may be empty
	snap    *cluster.Snapshot
	fields  []field
	at      int   // the field with the cursor
	top     int   // the first line of the fields that is shown
	err     error // of the last try to render that belongs to no field
	w, h    int
}

// field is one variable with what was typed.
type field struct {
	pack.Variable
	line    ui.Line
	base    string // what counts when nothing is typed: the context's value, or the default
	preset  bool   // base is the context's
	found   bool   // base is the registry's
	touched bool
	err     string // empty when the value is right
}

// newForm makes the form of a pack. typed are values from before.
func newForm(e *screen.Env, p pack.Pack, presets map[string]string, context string, typed map[string]string, s *cluster.Snapshot) *form {
	f := &form{env: e, pack: p, presets: p.With(presets, nil), context: context}
	for _, v := range p.Variables {
		fd := field{Variable: v}
		if v.Default != nil {
			fd.base = *v.Default
		}
		if preset, ok := f.presets[v.Name]; ok {
			fd.base, fd.preset = preset, true
		}
		fd.line.Set(fd.base)
		if value, ok := typed[v.Name]; ok {
			fd.line.Set(value)
			fd.touched = true
		}
		fd.check()
		f.fields = append(f.fields, fd)
	}
	f.setSnapshot(s)
	for i := range f.fields { // begin where something must be filled in
		if f.fields[i].err != "" {
			f.at = i
			break
		}
	}
	return f
}

// given reports a value that must be passed on: it differs from what counts anyway.
func (d *field) given() bool { return d.line.Value() != d.base }

// missing reports a variable that must be set and is not.
func (d *field) missing() bool { return d.Required && !d.preset && !d.found && d.line.Value() == "" }

func (d *field) check() {
	d.err = ""
	value := d.line.Value()
	switch {
	case d.missing():
		d.err = "must be set"
	case value == "" && d.Default == nil && !d.preset: // null stays null
	default:
		var wrong *pack.ValueError
		if err := d.Check(value); errors.As(err, &wrong) {
			d.err = wrong.Message
		} else if err != nil {
			d.err = err.Error()
		}
	}
}

// shows reports an error that is to be read. A default that the pack itself
// refuses asks for a value: until somebody came to the field it is only marked.
func (d *field) shows() bool { return d.err != "" && (d.touched || d.preset) }

// values are those that were typed.
func (f *form) values() map[string]string {
	out := map[string]string{}
	for i := range f.fields {
		if d := &f.fields[i]; d.given() {
			out[d.Name] = d.line.Value()
		}
	}
	return out
}

// wrong counts the fields that keep the form from being submitted.
func (f *form) wrong() int {
	n := 0
	for i := range f.fields {
		if f.fields[i].err != "" {
			n++
		}
	}
	return n
}

// setSnapshot takes new facts: what is free, and what is registered.
func (f *form) setSnapshot(s *cluster.Snapshot) {
	f.snap = s
	f.refer()
}

// refer fills the digest of the model in, as line mode does, unless somebody
// gave one.
func (f *form) refer() {
	for i := range f.fields {
		d := &f.fields[i]
		if d.Name != pack.DigestVariable || d.preset || d.given() {
			continue
		}
		vars := f.pack.With(f.presets, f.values())
		digest, ok := f.pack.Registered(vars, f.snap.Artifacts)
		if d.found = ok; !ok && d.Default != nil {
			digest = *d.Default
		}
		if digest != d.base {
			d.base = digest
			d.line.Set(digest)
			d.check()
		}
		if !ok && digest == "" && d.err != "" {
			d.err = fmt.Sprintf("version %q of model %q is not registered; train it, or give the digest", f.pack.Value("version", vars), f.pack.Value("model", vars))
		}
	}
}

func (f *form) key(k tea.KeyPressMsg) tea.Cmd {
	id, _ := f.env.Keys.Lookup(k.String(), keys.Form)
	switch id {
	case keys.Submit:
		return f.submit()
	case keys.Copy:
		return tea.Batch(tea.SetClipboard(f.command()), screen.Note(cluster.Info, "copied: "+f.command()))
	case keys.Preset:
		if d := f.field(); d != nil {
			d.line.Set(d.base)
			f.typed()
		}
		return nil
	case keys.NextField:
		f.move(1)
		return nil
	case keys.PrevField:
		f.move(-1)
		return nil
	}
	switch k.String() {
	case "pgdown":
		f.move(8)
	case "pgup":
		f.move(-8)
	default:
		f.edit(k)
	}
	return nil
}

func (f *form) edit(k tea.KeyPressMsg) {
	d := f.field()
	if d == nil {
		return
	}
	switch s := k.String(); {
	case d.Type == "bool" && (s == "space" || s == "left" || s == "right"):
		d.line.Set(map[bool]string{true: "false", false: "true"}[d.line.Value() == "true"])
	case d.Sensitive && (s == "left" || s == "home" || s == "ctrl+a" || s == "ctrl+b"):
		return // the dots do not show where the caret is
	case !d.line.Key(k):
		return
	}
	f.typed()
}

// typed checks the field that was changed.
func (f *form) typed() {
	d := f.field()
	d.touched = true
	d.check()
	f.refer()
	f.err = nil
}

func (f *form) paste(text string) {
	if d := f.field(); d != nil {
		d.line.Insert(strings.TrimSpace(text))
		f.typed()
	}
}

func (f *form) field() *field {
	if f.at >= len(f.fields) {
		return nil
	}
	return &f.fields[f.at]
}

// move goes to another field; single steps go round. One that was left shows
// what is wrong with it.
func (f *form) move(by int) {
	n := len(f.fields)
	if n == 0 {
		return
	}
	f.field().touched = true
	if by == 1 || by == -1 {
		f.at = (f.at + by + n) % n
		return
	}
	f.at = min(max(f.at+by, 0), n-1)
}

// submit asks the root for the plan, or goes to the first wrong field.
func (f *form) submit() tea.Cmd {
	first := -1
	for i := range f.fields {
		f.fields[i].touched = true
		if f.fields[i].err != "" && first < 0 {
			first = i
		}
	}
	if first >= 0 {
		f.at = first
		return nil
	}
	vars := f.pack.With(f.presets, f.values())
	for i := range f.fields {
		if d := &f.fields[i]; d.found && !d.given() {
			vars[d.Name] = d.base
		}
	}
	file, err := f.pack.Render(vars)
	if f.err = err; err != nil {
		return nil
	}
	return screen.Ask(action.Request{ID: action.Submit, File: file})
}

// command is the line that does the same. A secret is left out of it: the
// shell takes it from a variable.
func (f *form) command() string {
	words := []string{"stoker", "submit", quote(f.pack.Name)}
	if f.context != "" { // elsewhere, another cluster may be the current one
		words = append(words, "--context", quote(f.context))
	}
	for i := range f.fields {
		d := &f.fields[i]
		switch {
		case !d.given():
		case d.Sensitive:
			words = append(words, "-v", d.Name+`="$`+strings.ToUpper(d.Name)+`"`)
		default:
			words = append(words, "-v", quote(d.Name+"="+d.line.Value()))
		}
	}
	return strings.Join(words, " ")
}

// quote makes a word safe for a shell.
func quote(s string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:=,@%+", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !safe(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// about is what is said of the field under the cursor: type, what counts
// without a value, and the whole description.
func (d *field) about() string {
	parts := []string{cmp.Or(d.Type, "string")}
	switch {
	case d.Sensitive && d.base != "":
		parts = append(parts, "has a value that is not shown")
	case d.preset:
		parts = append(parts, "the context sets "+d.shown())
	case d.found:
		parts = append(parts, "from the registry")
	case d.Required:
		parts = append(parts, "must be set")
	case d.Default == nil:
		parts = append(parts, "may stay empty")
	default:
		parts = append(parts, "default "+d.shown())
	}
	return strings.Join(parts, ", ")
}

// shown is what counts without a value, in a sentence.
func (d *field) shown() string {
	switch {
	case d.base == "":
		return "empty"
	case d.Type == "string":
		return fmt.Sprintf("%q", d.base)
	}
	return d.base
}
