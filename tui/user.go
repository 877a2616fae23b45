package tui

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/cluster/facts"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/settings"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// UserFiles are what the user wrote; *settings.Files reads them.
type UserFiles interface {
	// Read returns the settings when they changed since the last time.
	Read() (s settings.Settings, changed bool, err error)
}

// lookEvery is how often, in ticks of a second, the user's files are looked at.
const lookEvery = 2

// settingsMsg is the reply of lookAgain.
type settingsMsg struct {
	settings.Settings
	changed bool
	err     error
}

// lookAgain reads the user's files if they changed.
func (m *model) lookAgain() tea.Cmd {
	if m.ticks++; m.cfg.User == nil || m.looking || m.ticks%lookEvery != 0 {
		return nil
	}
	m.looking = true
	return func() tea.Msg {
		s, changed, err := m.cfg.User.Read()
		return settingsMsg{s, changed, err}
	}
}

// looked takes what lookAgain read. What is wrong leaves all as it was.
func (m *model) looked(msg settingsMsg) {
	m.looking = false
	if !msg.changed {
		return
	}
	err := msg.err
	if err == nil {
		err = m.adopt(msg.Settings)
	}
	if err != nil {
		m.note(cluster.Bad, firstLine(err)+"; all stays as it was")
		return
	}
	m.note(cluster.Info, "the config file was read again")
}

// firstLine is an error as one line that does not lose its end behind the path of
// the user's own file.
func firstLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	words := strings.Split(strings.TrimPrefix(text, contexts.ErrConfig.Error()+" "), " ")
	for i, w := range words {
		if filepath.IsAbs(w) {
			words[i] = filepath.Base(w)
		}
	}
	return strings.Join(words, " ")
}

// firstLook takes the settings that there are at the start; what is wrong with them
// is shown on the screen, which then is as without them.
func (m *model) firstLook() {
	if m.cfg.User == nil {
		return
	}
	s, _, err := m.cfg.User.Read()
	if err == nil {
		err = m.adopt(s)
	}
	if err != nil {
		m.note(cluster.Bad, firstLine(err)+"; nothing of the section ui is used")
	}
}

// adopt makes settings those that count, or says what is wrong with them.
func (m *model) adopt(s settings.Settings) error {
	if err := m.check(s); err != nil {
		return err
	}
	was := m.user
	m.user = s
	m.mouse = m.cfg.Mouse || s.Mouse
	ascii := s.ASCII || m.cfg.ASCII || theme.WantsASCII(m.cfg.Env)
	drawn := ascii != (m.plain != nil)
	m.plain = nil
	if ascii {
		m.plain = theme.Plain()
	}
	name := m.theme.Name
	if s.Theme != was.Theme && m.cfg.Theme == "" {
		name = theme.Choose(s.Theme, m.cfg.Env)
	}
	own, isOwn := s.Themes[name]
	if _, gone := was.Themes[name]; gone && !isOwn {
		name = theme.Choose(s.Theme, m.cfg.Env) // its file went away
	}
	if before := was.Themes[name]; drawn || name != m.theme.Name || isOwn && !own.Same(before) {
		return m.restyle(name)
	}
	return nil
}

// check says what in the settings means nothing, with its line.
func (m *model) check(s settings.Settings) error {
	if s.Theme != "" {
		if _, err := makeTheme(s, s.Theme, false); err != nil {
			return s.Fault(err, "theme")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Views)) {
		if strings.ContainsAny(name, " ,") || name == "" {
			return s.Fault(errors.New("the name of a view is one word"), "views", name)
		}
		if err := settings.CheckView(s.UI, name); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Aliases)) {
		if err := m.checkAlias(s, name); err != nil {
			return s.Fault(err, "aliases", name)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.Hotkeys)) {
		if err := m.checkHotkey(s, key); err != nil {
			return s.Fault(err, "hotkeys", key)
		}
	}
	return nil
}

func (m *model) checkAlias(s settings.Settings, name string) error {
	if name == "" || strings.ContainsAny(name, " ") {
		return errors.New("an alias is one word")
	}
	for _, c := range m.anywhere() {
		if c.name == name || slices.Contains(c.aliases, name) {
			return fmt.Errorf(":%s is a command already: %s", name, c.help)
		}
	}
	return m.checkCommand(s, s.Aliases[name], false)
}

// checkCommand says what is wrong with a line for the command bar; aliases of the
// user's count where they may.
func (m *model) checkCommand(s settings.Settings, line string, aliases bool) error {
	name, args, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, ":")), " ")
	if name == "" {
		return errors.New("it does nothing")
	}
	if expanded, ok := s.Aliases[name]; ok && aliases {
		return m.checkCommand(s, expanded+" "+args, false)
	}
	c, args, err := resolve(m.anywhere(), name+" "+args)
	if err != nil {
		return err
	}
	if _, known := s.Views[args]; c.name == "view" && !known {
		return fmt.Errorf("there is no view %q", args)
	}
	return nil
}

// keyName is how a key is spelt.
var keyName = regexp.MustCompile(`^(ctrl\+|alt\+|shift\+)*(f[1-9][0-9]?|[^\s+]|\+|space|insert|delete)$`)

func (m *model) checkHotkey(s settings.Settings, key string) error {
	if !keyName.MatchString(key) {
		return errors.New("there is no such key: write f5, ctrl+t, alt+g, or one character")
	}
	for _, b := range keys.Table() {
		switch b.Scope {
		case keys.Box, keys.Confirm, keys.Choose, keys.Input, keys.Form: // hotkeys are not heard there
			continue
		}
		if slices.Contains(b.Keys, key) {
			return fmt.Errorf("the key is taken: %s (%s)", b.Label, b.Help)
		}
	}
	return m.checkCommand(s, s.Hotkeys[key], true)
}

// hotkey is what the user put on a key.
func (m *model) hotkey(key string) (line string, ok bool) {
	line, ok = m.user.Hotkeys[key]
	return strings.TrimPrefix(line, ":"), ok
}

// press runs the command of a hotkey: what is wrong with it is told as a note.
func (m *model) press(line string) tea.Cmd {
	cmd, err := m.do(line)
	if err != nil {
		m.note(cluster.Warn, ":"+line+": "+ui.Clean(err.Error()))
	}
	return cmd
}

// makeTheme makes a built-in theme, or one of the user's.
func makeTheme(s settings.Settings, name string, ascii bool) (theme.Theme, error) {
	if own, ok := s.Themes[name]; ok {
		return own.Theme(name, ascii), nil
	}
	t, err := theme.New(name, ascii)
	if err != nil {
		return t, fmt.Errorf("no theme %q: take one of %s", name, strings.Join(themeNames(s), ", "))
	}
	return t, nil
}

// themeNames are the built-in themes, and the user's.
func themeNames(s settings.Settings) []string {
	return append(theme.Names(), slices.Sorted(maps.Keys(s.Themes))...)
}

// showView opens a saved view: its screen with filter, columns and order.
func (m *model) showView(name string) (tea.Cmd, error) {
	view, ok := m.user.Views[name]
	if !ok {
		return nil, fmt.Errorf("there is no view %q: saved are %s", name, or(strings.Join(slices.Sorted(maps.Keys(m.user.Views)), ", "), "none"))
	}
	at := view.Screen
	if rows, known := facts.Find(at); known { // it may have other names
		at = rows.Name
	}
	i, ok := m.find(screen.Name(at))
	if !ok {
		return nil, fmt.Errorf("there is no screen %s here", view.Screen)
	}
	cmd := m.switchTo(i)
	return cmd, m.arrange(view)
}

func (m *model) arrange(view contexts.SavedView) error {
	if _, err := m.showColumns(strings.Join(view.Columns, ",")); err != nil {
		return err
	}
	tab, err := m.table()
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(view.Order, ",") // a table has one order
	if first == "" {
		err = tab.OrderBy("", false)
	} else {
		_, err = m.sortBy(first)
	}
	if err != nil {
		return err
	}
	return m.setFilter(view.Filter)
}
