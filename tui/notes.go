package tui

import (
	"time"

	"stoker/cluster"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// note is one line for the status line and the messages list.
type note struct {
	at      time.Time
	level   cluster.Level
	text    string
	passing bool // not kept in the list
}

// maxNotes bounds the list.
const maxNotes = 200

// notes is the status line and the list behind it.
type notes struct {
	now  *note // in the status line until a key
	past []note
}

func (n *notes) say(x note) {
	n.now = &x
	if !x.passing {
		n.past = append(n.past, x)
		if over := len(n.past) - maxNotes; over > 0 {
			n.past = append([]note(nil), n.past[over:]...)
		}
	}
}

func (n *notes) clear() { n.now = nil }

func (m *model) note(level cluster.Level, text string) {
	m.log.say(note{at: m.env.Now(), level: level, text: m.safe(text)})
}

// passing says what is under way: it is not kept.
func (m *model) passing(text string) {
	m.log.say(note{at: m.env.Now(), level: cluster.Info, text: m.safe(text), passing: true})
}

// safe makes text fit to be shown. What a control character cuts in two is one
// again before secrets are looked for.
func (m *model) safe(text string) string { return m.cfg.Redact(ui.Clean(text)) }

// newMessages is the list of what was done and what went wrong, newest first.
func newMessages(m *model) overlay {
	th := m.env.Theme
	if len(m.log.past) == 0 {
		return newBox(m.env, "messages", func(int) []string { return []string{th.Muted.Render("nothing was done yet")} })
	}
	past, now := m.log.past, m.env.Now()
	return newBox(m.env, "messages", func(w int) []string {
		var out []string
		for i := len(past) - 1; i >= 0; i-- {
			n := past[i]
			glyph, st := screen.Mark(th, n.level)
			for j, l := range ui.Wrap(n.text, max(w-16, 10)) {
				head := ui.Spaces(14)
				if j == 0 {
					head = st.Render(glyph) + " " + th.Muted.Render(n.at.Format("15:04:05")+ui.FitRight(ui.Age(n.at, now), 4))
				}
				out = append(out, head+"  "+l)
			}
		}
		return out
	})
}
