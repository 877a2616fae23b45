package keyring

import (
	"context"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/jobs/action"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// Rotator makes a new version of a Transit key; the Vault client is one.
type Rotator interface {
	RotateKey(ctx context.Context, key string) error
}

// Model is the screen of keys.
type Model struct {
	screen.List[cluster.Key, keyID]
	rotator Rotator
	detail  *detail // nil shows the table
	w, h    int
}

// keyID is a key's identity: each Vault has its own names.
type keyID struct {
	of   cluster.Place
	name string
}

func idOf(k *cluster.Key) keyID { return keyID{k.Place, k.Name} }

// New makes the screen. Without a rotator (nil) no key can be rotated from it.
func New(e *screen.Env, r Rotator) *Model {
	m := &Model{rotator: r}
	m.List = screen.NewList(e, "keys", func(*cluster.Snapshot) string { return "" }, idOf, columns(e)).
		Facts("keys", facts.KeyRow).
		Under(func() bool { return m.detail != nil })
	return m
}

// SetSize implements screen.Screen.
func (m *Model) SetSize(w, h int) {
	m.w, m.h = w, h
	m.List.SetSize(w, h)
	m.layout()
	if m.detail != nil {
		m.detail.SetSize(w, h)
	}
}

// layout gives the table what it needs, and the rest to what is denied.
func (m *Model) layout() {
	m.TableAt(len(m.above()))
	m.Table.SetSize(m.w, max(min(m.All()+1, m.h-len(m.above())-1), 2))
}

// SetSnapshot implements screen.Screen.
func (m *Model) SetSnapshot(s *cluster.Snapshot) {
	m.Fill(s, s.Keys)
	m.SetOld(func(k *cluster.Key) bool { return history(s.Of(k.Place).Vault) })
	m.layout()
	if m.detail != nil {
		m.detail.SetSnapshot(s)
	}
}

// Update implements screen.Screen.
func (m *Model) Update(msg tea.Msg) tea.Cmd {
	if m.detail != nil {
		k, ok := m.detail.Keys(msg)
		if ok && k == keys.Rotate {
			return m.rotate(m.detail.id)
		}
		return nil
	}
	k, ok := m.Keys(msg)
	row := m.Selected()
	if !ok || row == nil {
		return nil
	}
	switch k {
	case keys.Open:
		m.show(idOf(row))
	case keys.Rotate:
		return m.rotate(idOf(row))
	}
	return nil
}

// rotate asks before it makes a new version.
func (m *Model) rotate(id keyID) tea.Cmd {
	k, name := find(m.Snap, id), id.name
	switch {
	case k == nil:
		return nil
	case m.Snap.Members != nil:
		return screen.Note(cluster.Warn, "rotate key "+name+": "+action.ErrSeveral.Error())
	case m.rotator == nil:
		return screen.Note(cluster.Warn, "rotate key "+name+": there is no connection to Vault here")
	}
	rotator := m.rotator
	q := screen.QuestionMsg{
		Title: "rotate key " + name,
		Lines: []string{
			fmt.Sprintf("%s gets version %d; what is sealed from now on uses it", name, k.Latest+1),
			fmt.Sprintf("%s sealed under older versions still open: no job stops", ui.Count(len(k.Artifacts), "artifact")),
		},
		Do: func(ctx context.Context) (string, error) {
			if err := rotator.RotateKey(ctx, name); err != nil {
				return "", fmt.Errorf("rotate key %s: %w", name, err)
			}
			return "key " + name + " has a new version", nil
		},
	}
	if k.MinDecryption > 1 {
		q.Warnings = []string{fmt.Sprintf("versions below %d do not open anything any more", k.MinDecryption)}
	}
	return screen.Question(q)
}

func (m *Model) show(id keyID) {
	m.detail = newDetail(m.Env, id)
	m.detail.SetSize(m.w, m.h)
	m.detail.SetSnapshot(m.Snap)
}

// Open implements screen.Opener.
func (m *Model) Open(t screen.Target) tea.Cmd {
	m.detail = nil
	if t.Key == "" {
		return nil
	}
	id := keyID{t.Of, t.Key}
	if t.Of == (cluster.Place{}) {
		id.of = m.Snap.Place
	}
	m.Select(id)
	if t.Details {
		m.show(id)
	}
	return nil
}

// Back implements screen.Backer.
func (m *Model) Back() bool {
	if m.detail == nil {
		return false
	}
	m.detail = nil
	return true
}

// Wheel implements screen.Pointed.
func (m *Model) Wheel(n int) {
	if m.detail != nil {
		m.detail.Wheel(n)
		return
	}
	m.List.Wheel(n)
}

// Actions implements screen.Screen.
func (m *Model) Actions() []keys.ID {
	var out []keys.ID
	switch {
	case m.detail == nil && m.Selected() == nil:
		return nil
	case m.detail == nil:
		out = append(out, keys.Open)
	}
	if m.rotator != nil {
		out = append(out, keys.Rotate)
	}
	if m.detail == nil {
		out = append(out, keys.Sort)
	}
	return out
}

// View implements screen.Screen.
func (m *Model) View() string {
	if m.detail != nil {
		return m.detail.view()
	}
	lines := append(m.above(), m.ViewLines(true)...)
	if m.Shown() == 0 {
		lines = append(m.above(), m.empty()...)
	}
	for _, one := range m.Snap.Each() {
		lines = append(lines, denied(m.Env, one, m.w)...)
	}
	return ui.Block(lines, m.w, m.h)
}

// above is Vault itself, each of several, and a blank line.
func (m *Model) above() []string {
	var out []string
	for _, one := range m.Snap.Each() {
		name := "vault"
		if m.Snap.Members != nil {
			name += " " + ui.Clean(m.Snap.Label(one.Place))
		}
		out = append(out, vaultLines(m.Env, one, name, m.w)...)
	}
	return append(out, "")
}

// empty says why there is no row.
func (m *Model) empty() []string {
	v := m.Snap.Vault
	text := "no Transit key"
	switch {
	case m.All() > 0:
		text = "no keys match the filter"
	case v == nil:
		return nil // the line above says it
	case v.Sealed: // and they were never read before
		text = "the keys cannot be listed while Vault is sealed"
	case v.Err != "":
		text = "no keys known"
	case len(v.Denied) > 0:
		text = "no key that this token may read"
	}
	var out []string
	for _, l := range ui.Wrap(text, max(m.w-4, 1)) {
		out = append(out, "  "+m.Env.Theme.Muted.Render(strings.TrimRight(l, " ")))
	}
	return out
}
