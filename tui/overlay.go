package tui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// overlay lies over the screen and takes all keys.
type overlay interface {
	// key returns what to do, and whether the overlay closes.
	key(k tea.KeyPressMsg) (cmd tea.Cmd, closed bool)
	paste(text string)
	// view is a box of at most w cells and h lines.
	view(w, h int) []string
}

// box is text that scrolls.
type box struct {
	env   *screen.Env
	title string
	text  func(w int) []string
	top   int
	page  int
}

func newBox(e *screen.Env, title string, text func(w int) []string) *box {
	return &box{env: e, title: title, text: text, page: 1}
}

func (b *box) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	id, _ := b.env.Keys.Lookup(k.String(), keys.Box)
	switch id {
	case keys.Cancel:
		return nil, true
	case keys.ScrollUp:
		b.top--
	case keys.ScrollDn:
		b.top++
	case keys.ScrollPgU:
		b.top -= b.page
	case keys.ScrollPgD:
		b.top += b.page
	}
	return nil, false
}

func (b *box) paste(string) {}

// boxWidth is the widest box: longer lines are hard to read.
const boxWidth = 110

func (b *box) view(w, h int) []string {
	w = min(w, boxWidth)
	lines := b.text(w - 4)
	b.page = max(h-2, 1)
	b.top = max(min(b.top, len(lines)-b.page), 0)
	title := b.title
	if len(lines) > b.page {
		title += fmt.Sprintf("  %d to %d of %d", b.top+1, b.top+b.page, len(lines))
		lines = lines[b.top : b.top+b.page]
	}
	return ui.Box(b.env.Theme, title, lines, w)
}

// prompt asks for one line.
type prompt struct {
	env  *screen.Env
	ask  screen.PromptMsg
	line ui.Line
	err  error
}

func newPrompt(e *screen.Env, ask screen.PromptMsg) *prompt {
	p := &prompt{env: e, ask: ask}
	p.line.Set(ask.Initial)
	return p
}

func (p *prompt) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch id, _ := p.env.Keys.Lookup(k.String(), keys.Input); id {
	case keys.Cancel:
		return nil, true
	case keys.Accept:
		if p.check(); p.err == nil {
			return p.ask.Then(p.line.Value()), true
		}
	default:
		if p.line.Key(k) && p.err != nil {
			p.check()
		}
	}
	return nil, false
}

func (p *prompt) check() {
	p.err = nil
	if p.ask.Check != nil {
		p.err = p.ask.Check(p.line.Value())
	}
}

func (p *prompt) paste(text string) { p.line.Insert(text) }

func (p *prompt) view(w, _ int) []string {
	th := p.env.Theme
	w = min(w, 72)
	foot := th.Muted.Render(th.G.Enter + " accept   esc cancel")
	if p.err != nil {
		foot = th.Bad.Render(th.G.Bad + " " + ui.Clean(p.err.Error()))
	}
	return ui.Box(th, p.ask.Title, []string{"", p.line.View(th, w-4), "", foot}, w)
}
