package tui

import (
	"context"
	"fmt"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/jobs/action"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// bulk is one action on several things, each with a plan of its own. They are
// done one after the other; one that fails does not keep the others. All are
// done by the runner that planned them.
type bulk struct {
	id     int // in actions.doing, until the last step
	runner Runner
	base   context.Context
	verb   string
	plans  []action.Plan
	done   int
	failed int
}

// plansReadyMsg is the reply to askAll; dropped when id is not the pending one.
type plansReadyMsg struct {
	id    int
	plans []action.Plan
	errs  []error // of things that nothing can be planned for
}

// stepMsg is the reply to one step of a bulk.
type stepMsg struct {
	*bulk
	text string
	err  error
}

// askAll has an action on several things planned.
func (m *model) askAll(reqs []action.Request) tea.Cmd {
	if len(reqs) == 0 {
		return nil
	}
	if err := m.env.Allowed(reqs[0].ID); err != nil {
		m.note(cluster.Warn, string(reqs[0].ID)+": "+err.Error())
		return nil
	}
	m.acts.next++
	id := m.acts.next
	m.acts.pending, m.acts.asked = id, m.env.Now()
	m.passing(fmt.Sprintf("planning: %s %d%s esc gives up", reqs[0].ID, len(reqs), screen.Ellipsis))
	runner, snap, base := m.cfg.Runner, m.snap, m.env.Base
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(base, planTimeout)
		defer cancel()
		msg := plansReadyMsg{id: id}
		for _, r := range reqs {
			switch p, err := runner.Plan(ctx, r, snap); {
			case err != nil:
				msg.errs = append(msg.errs, err)
			case p.Refused != nil:
				msg.errs = append(msg.errs, fmt.Errorf("%s: %w", p.Title, p.Refused))
			default:
				msg.plans = append(msg.plans, p)
			}
		}
		return msg
	}
}

func (m *model) plansReady(msg plansReadyMsg) tea.Cmd {
	if msg.id != m.acts.pending {
		return nil // given up, or another was asked for since
	}
	m.acts.pending = 0
	m.log.clear()
	asks, b := plansText(m.env, msg)
	c := newConfirm(m.env, asks)
	c.quiet.begin(m.env.Now(), m.acts.asked)
	b.runner, b.base = m.cfg.Runner, m.env.Base
	c.run = func(int) tea.Cmd {
		if s, ok := m.active().Screen.(interface{ Clear() bool }); ok {
			s.Clear() // the marks
		}
		b.id = m.underWay()
		return m.step(b)
	}
	m.over = c
	return nil
}

// plansText shows all that the plans touch. What has nothing to do is left out
// of the bulk, and said.
func plansText(e *screen.Env, msg plansReadyMsg) (asking, *bulk) {
	th := e.Theme
	b := &bulk{}
	var left, body []string
	touched := 0
	for i := range msg.plans {
		p := &msg.plans[i]
		if p.Nothing != "" {
			left = append(left, th.Muted.Render("  "+titleOf(p)+": nothing to do, "+ui.Clean(p.Nothing)))
			continue
		}
		b.plans = append(b.plans, *p)
		touched += len(p.Touches)
		body = append(body, "", th.Title.Render(titleOf(p)))
		body = append(body, touches(th, p.Touches)[min(1, len(p.Touches)):]...)
		for _, w := range p.Warnings {
			body = append(body, "  "+th.Warn.Render(th.G.Warn+" "+ui.Clean(w)))
		}
	}
	for _, err := range msg.errs {
		left = append(left, th.Warn.Render("  "+th.G.Warn+" "+ui.Clean(err.Error())))
	}
	a := asking{title: "nothing to do", nothing: len(b.plans) == 0}
	if len(b.plans) > 0 {
		def, _ := action.Lookup(b.plans[0].ID)
		b.verb = def.Verb
		a.name = fmt.Sprintf("%s %d", b.plans[0].ID, len(b.plans))
		a.title = fmt.Sprintf("%s %s", def.Verb, ui.Count(len(b.plans), string(def.On)))
		a.lines = append(a.lines, "It touches "+ui.Count(touched, "thing")+", one "+string(def.On)+" after the other:")
	}
	a.ways = []string{b.verb}
	a.lines = append(a.lines, body...)
	if len(left) > 0 {
		a.lines = append(append(a.lines, "", th.Muted.Render("Left out:")), left...)
	}
	return a, b
}

// step does the next plan of a bulk.
func (m *model) step(b *bulk) tea.Cmd {
	plan := b.plans[b.done]
	m.passing(fmt.Sprintf("%d of %d: %s%s", b.done+1, len(b.plans), plan.Title, screen.Ellipsis))
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(b.base, doTimeout)
		defer cancel()
		res, err := b.runner.Do(ctx, plan)
		return stepMsg{b, res.Text, err}
	}
}

// stepped tells the result of a step and goes on; at the end it tells of all.
func (m *model) stepped(msg stepMsg) tea.Cmd {
	b := msg.bulk
	if msg.err != nil {
		b.failed++
		m.note(cluster.Bad, msg.err.Error())
	} else {
		m.note(cluster.Info, msg.text)
	}
	if b.done++; b.done < len(b.plans) {
		return m.step(b)
	}
	delete(m.acts.doing, b.id)
	all := len(b.plans)
	if b.failed == 0 {
		m.note(cluster.Info, fmt.Sprintf("%s: all %d done; ! tells each", b.verb, all))
	} else {
		m.note(cluster.Bad, fmt.Sprintf("%s: %d of %d done, %d failed; ! tells each", b.verb, all-b.failed, all, b.failed))
	}
	return nil
}
