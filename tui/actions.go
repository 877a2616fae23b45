package tui

import (
	"context"
	"errors"
	"time"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/jobs/action"
	"stoker/tui/screen"
)

// How long a plan and a change may take.
const (
	planTimeout = 20 * time.Second
	doTimeout   = 2 * time.Minute
)

// actions is what is under way.
type actions struct {
	next    int       // the number of the last question
	pending int       // the plan that is waited for; 0 is none
	asked   time.Time // when
	doing   map[int]bool
	reading int // the latest question for what Nomad tells of one thing
}

// giveUp drops the plan that is waited for, if any.
func (a *actions) giveUp() bool {
	was := a.pending != 0
	a.pending = 0
	return was
}

// ask has an action planned.
func (m *model) ask(req action.Request) tea.Cmd {
	if err := m.env.Allowed(req.ID); err != nil {
		m.note(cluster.Warn, string(req.ID)+": "+err.Error())
		return nil
	}
	m.acts.next++
	id := m.acts.next
	m.acts.pending, m.acts.asked = id, m.env.Now()
	m.passing("planning: " + string(req.ID) + screen.Ellipsis + " esc gives up")
	runner, snap, base := m.cfg.Runner, m.snap, m.env.Base
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(base, planTimeout)
		defer cancel()
		p, err := runner.Plan(ctx, req, snap)
		return planReadyMsg{id, p, err}
	}
}

func (m *model) planReady(msg planReadyMsg) tea.Cmd {
	if msg.id != m.acts.pending {
		return nil // given up, or another was asked for since
	}
	m.acts.pending = 0
	m.log.clear()
	if msg.err != nil {
		m.note(cluster.Bad, msg.err.Error())
		return nil
	}
	plan := msg.plan
	if plan.Refused != nil {
		m.note(cluster.Warn, plan.Title+": "+plan.Refused.Error())
		return nil
	}
	runner := m.cfg.Runner
	c := newConfirm(m.env, planText(m.env, &plan))
	c.quiet.begin(m.env.Now(), m.acts.asked)
	c.run = func(int) tea.Cmd {
		return m.begin(plan.Title, func(ctx context.Context) (string, error) {
			res, err := runner.Do(ctx, plan)
			return res.Text, err
		}, submitted(plan))
	}
	m.over = c
	return nil
}

// submitted is where to go when a submit is done: to the job that it made.
func submitted(plan action.Plan) cluster.JobID {
	if plan.ID != action.Submit || plan.Job == nil {
		return cluster.JobID{}
	}
	return plan.Job.Job.ID
}

// question confirms a change that a screen does by itself.
func (m *model) question(q screen.QuestionMsg) tea.Cmd {
	if m.cfg.ReadOnly {
		m.note(cluster.Warn, q.Title+": "+action.ErrReadOnly.Error())
		return nil
	}
	if q.Change != "" {
		if err := m.env.Allowed(q.Change); err != nil {
			m.note(cluster.Warn, q.Title+": "+err.Error())
			return nil
		}
	}
	if m.cfg.Production && q.Ask == "" {
		q.Ask = m.cfg.Context // as for any other change there, yes is not enough
	}
	c := newConfirm(m.env, questionText(m.env, q))
	c.run = func(way int) tea.Cmd {
		do := q.Do
		if len(q.Choices) > 0 {
			do = q.Choices[way].Do
		}
		return m.begin(q.Title, do, cluster.JobID{})
	}
	m.over = c
	return nil
}

// underWay notes that a change begins: until it is taken out of doing again its
// session stays.
func (m *model) underWay() int {
	m.acts.next++
	if m.acts.doing == nil {
		m.acts.doing = map[int]bool{}
	}
	m.acts.doing[m.acts.next] = true
	return m.acts.next
}

// begin does a change; its reply is always shown. made is the job that it
// makes, if it makes one.
func (m *model) begin(title string, do func(context.Context) (string, error), made cluster.JobID) tea.Cmd {
	id, base := m.underWay(), m.env.Base
	m.passing(title + screen.Ellipsis)
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(base, doTimeout)
		defer cancel()
		text, err := do(ctx)
		return doneMsg{id, title, text, made, err}
	}
}

func (m *model) done(msg doneMsg) tea.Cmd {
	if !m.acts.doing[msg.id] {
		return nil // the reply came before
	}
	delete(m.acts.doing, msg.id)
	switch {
	case msg.err == nil:
		m.note(cluster.Info, msg.text)
	case errors.Is(msg.err, context.DeadlineExceeded):
		m.note(cluster.Bad, msg.title+": no answer in "+doTimeout.String()+"; look at the jobs before you try again")
	default:
		m.note(cluster.Bad, msg.err.Error())
	}
	if msg.err == nil && msg.made != (cluster.JobID{}) && m.over == nil && m.screens[m.top()].name == screen.Submit {
		return m.open(screen.Jobs, screen.Target{Job: msg.made})
	}
	return nil
}
