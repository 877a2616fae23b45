package tui

import (
	"fmt"
	"regexp"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// pager is a long text over the whole screen, with a search.
type pager struct {
	env   *screen.Env
	title string
	text  string
	lines []string // clean, as they are
	folds []fold   // as they are drawn
	width int      // that they are folded to
	top   int
	page  int
	hit   int // where the search is, among the folds
	words string
	find  *ui.Line // while words are typed
}

// fold is a part of a line that fits.
type fold struct {
	line int
	text string
}

func newPager(e *screen.Env, title, text string) *pager {
	p := &pager{env: e, title: title, text: strings.TrimRight(text, "\n"), page: 1}
	for l := range strings.SplitSeq(p.text, "\n") {
		p.lines = append(p.lines, ui.Clean(l))
	}
	return p
}

func (p *pager) paste(text string) {
	if p.find != nil {
		p.find.Insert(text)
		p.look()
	}
}

func (p *pager) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	if p.find != nil {
		p.typed(k)
		return nil, false
	}
	id, _ := p.env.Keys.Lookup(k.String(), keys.Pager)
	switch id {
	case keys.Cancel:
		if p.words == "" || k.String() != "esc" {
			return nil, true
		}
		p.words = ""
	case keys.Filter:
		p.find = new(ui.Line)
	case keys.NextMatch:
		p.seek(1)
	case keys.PrevMatch:
		p.seek(-1)
	case keys.CopyAll:
		return tea.Batch(tea.SetClipboard(p.text), screen.Note(cluster.Info, fmt.Sprintf("copied %s", ui.Count(len(p.lines), "line")))), false
	case keys.ScrollUp:
		p.top--
	case keys.ScrollDn:
		p.top++
	case keys.ScrollPgU:
		p.top -= p.page
	case keys.ScrollPgD:
		p.top += p.page
	case keys.Top:
		p.top = 0
	case keys.Bottom:
		p.top = len(p.folds)
	}
	p.top = max(min(p.top, len(p.folds)-p.page), 0)
	return nil, false
}

// typed takes a key while words are typed; the first match is shown as one types.
func (p *pager) typed(k tea.KeyPressMsg) {
	switch id, _ := p.env.Keys.Lookup(k.String(), keys.Input); id {
	case keys.Cancel:
		p.words, p.find = "", nil
	case keys.Accept:
		p.find = nil
	default:
		if p.find.Key(k) {
			p.look()
		}
	}
}

// look goes to the first match of what is typed.
func (p *pager) look() {
	p.words = p.find.Value()
	p.hit--
	p.seek(1)
}

func (p *pager) matches(line int) bool {
	return p.words != "" && strings.Contains(strings.ToLower(p.lines[line]), strings.ToLower(p.words))
}

// seek goes to the next line with the words, and from the last on to the first.
// It begins where it was last or, when that is out of sight, with what is seen.
func (p *pager) seek(by int) {
	n := len(p.folds)
	if p.hit < p.top || p.hit >= p.top+p.page {
		p.hit = p.top - by
	}
	for i := 1; i <= n; i++ {
		at := ((p.hit+by*i)%n + n) % n
		if first := at == 0 || p.folds[at-1].line != p.folds[at].line; first && p.matches(p.folds[at].line) {
			p.hit = at
			p.top = min(p.top, at)
			p.top = max(p.top, at-p.page+1)
			return
		}
	}
}

// lay folds the lines to a width.
func (p *pager) lay(w int) {
	if p.width == w {
		return
	}
	at := 0
	if p.top < len(p.folds) {
		at = p.folds[p.top].line
	}
	p.width, p.folds, p.top = w, nil, 0
	for i, l := range p.lines {
		if i == at {
			p.top = len(p.folds)
		}
		parts := []string{l}
		if ui.Width(l) > w {
			parts = hang(l, w)
		}
		for _, part := range parts {
			p.folds = append(p.folds, fold{i, part})
		}
	}
}

// field is the name of a field of JSON.
var field = regexp.MustCompile(`^\s*"[^"]*":`)

func (p *pager) view(w, h int) []string {
	th := p.env.Theme
	p.lay(max(w-6, 1))
	p.page = max(h-4, 1)
	p.top = max(min(p.top, len(p.folds)-p.page), 0)
	lines := make([]string, 0, p.page+2)
	for i, f := range p.folds[p.top:min(p.top+p.page, len(p.folds))] {
		text := f.text
		if name := field.FindString(text); name != "" {
			text = th.Muted.Render(name) + text[len(name):]
		}
		mark := "  "
		if p.matches(f.line) {
			mark = th.Accent.Render(th.G.Select) + " "
			if p.top+i == p.hit {
				text = th.Selected.Render(f.text)
			}
		}
		lines = append(lines, mark+text)
	}
	for len(lines) < p.page {
		lines = append(lines, "")
	}
	title := fmt.Sprintf("%s  %s to %s of %s", ui.Clean(p.title), ui.Int(p.top+1), ui.Int(min(p.top+p.page, len(p.folds))), ui.Count(len(p.folds), "line"))
	return ui.Box(th, title, append(lines, "", p.foot(w-4)), w)
}

func (p *pager) foot(w int) string {
	th := p.env.Theme
	if p.find != nil {
		return th.Key.Render("/") + p.find.View(th, w-1)
	}
	if p.words == "" {
		return th.Muted.Render("/ find   c copy   esc close")
	}
	n := 0
	for i := range p.lines {
		if p.matches(i) {
			n++
		}
	}
	return th.Key.Render("/") + p.words + th.Muted.Render("   in "+ui.Count(n, "line")+"   n next   N previous   esc clears")
}
