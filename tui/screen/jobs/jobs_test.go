package jobs

import (
	"errors"
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/jobs/action"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
)

func open(e *screen.Env) screen.Screen { return New(e) }

func id(ns, name string) cluster.JobID { return cluster.JobID{Namespace: ns, Name: name} }

// target opens the details of a job after the snapshot is there.
func target(id cluster.JobID) tea.Msg {
	return screen.OpenMsg{Target: screen.Target{Job: id, Details: true}}
}

// opener lets a golden begin with a jump: the root does it by calling Open.
type opener struct{ *Model }

func (o opener) Update(msg tea.Msg) tea.Cmd {
	if t, ok := msg.(screen.OpenMsg); ok {
		return o.Open(t.Target)
	}
	return o.Model.Update(msg)
}

func opens(e *screen.Env) screen.Screen { return opener{New(e)} }

func TestGolden(t *testing.T) {
	fixture.Goldens(t, "table", fixture.Lab(), open)
	fixture.Goldens(t, "detail", fixture.Lab(), opens, target(id("prod", "llm-chat")))
	fixture.Goldens(t, "waiting", fixture.Lab(), opens, target(id("train", "finetune-7b")))
	fixture.Goldens(t, "rollout", rollout(), opens, target(id("prod", "xray-classify")), fixture.Key(keys.Pane))
	fixture.Goldens(t, "lost", fixture.Lost(), open)
	fixture.Goldens(t, "starting", fixture.Starting(), open)
	fixture.Goldens(t, "narrow", fixture.Narrow(), open)
	fixture.Themes(t, "table", fixture.Lab(), open)
	fixture.Themes(t, "detail", fixture.Lab(), opens, target(id("prod", "llm-chat")))
}

func TestEveryWidth(t *testing.T) {
	fixture.SweepAll(t, fixture.Lab(), open)
	fixture.SweepAll(t, fixture.Lab(), opens, target(id("prod", "llm-chat")))
	fixture.Sweep(t, fixture.Lab(), opens, target(id("prod", "llm-chat")))
	fixture.Sweep(t, fixture.Lab(), opens, target(id("train", "finetune-7b")))
	fixture.Sweep(t, rollout(), opens, target(id("prod", "xray-classify")), fixture.Key(keys.Pane))
}

// rollout is the lab while a job of two groups is being deployed, after one of
// its tasks failed and was started anew.
func rollout() *cluster.Snapshot {
	s := *fixture.Lab()
	job := id("prod", "xray-classify")
	now := fixture.Now()
	s.Jobs, s.Allocs, s.Deployments = slices.Clone(s.Jobs), slices.Clone(s.Allocs), slices.Clone(s.Deployments)
	for i := range s.Jobs {
		if j := &s.Jobs[i]; j.ID == job {
			j.Version, j.Running, j.Starting = 2, 2, 1
			j.Groups = append(slices.Clone(j.Groups), cluster.Group{Name: "warmup", Count: 1})
		}
	}
	for i := range s.Deployments {
		if d := &s.Deployments[i]; d.Job == job {
			d.JobVersion, d.Status = 2, "running"
			d.Groups = []cluster.DeploymentGroup{{Name: "server", Desired: 3, Placed: 3, Healthy: 1, Unhealthy: 1, Canaries: 1}}
		}
	}
	no := false
	for i := range s.Allocs {
		if a := &s.Allocs[i]; a.Job == job && a.Name == "xray-classify.server[0]" {
			a.Healthy, a.Client = &no, "pending"
			task := a.Tasks[0]
			task.State, task.Restarts = "pending", 2
			task.Events = append(slices.Clone(task.Events),
				cluster.TaskEvent{At: now.Add(-90e9), Type: "Terminated", Text: "Exit Code: 1, Exit Message: \"model.onnx: no such file\""},
				cluster.TaskEvent{At: now.Add(-75e9), Type: "Restarting", Text: "Task restarting in 15s"})
			a.Tasks = []cluster.Task{task}
		}
	}
	s.Evaluations = append(slices.Clone(s.Evaluations), cluster.Evaluation{
		ID: "77aa0c11-eeee-4000-8000-000000000000", Job: job, Status: "complete", TriggeredBy: "deployment-watcher", Created: now.Add(-80e9), Modified: now.Add(-70e9),
	})
	return &s
}

func TestSelectionSurvivesARefresh(t *testing.T) {
	m := New(fixture.Env(t))
	m.SetSize(120, 30)
	s := fixture.Lab()
	m.SetSnapshot(s)
	m.Update(fixture.Key(keys.Down))
	m.Update(fixture.Key(keys.Down))
	job := s.Jobs[2].ID
	less := *s
	less.Jobs = s.Jobs[1:]
	m.SetSnapshot(&less)
	if got := m.Selected().ID; got != job {
		t.Errorf("selected %s, want %s", got, job)
	}
	if err := m.SetFilter("training"); err != nil {
		t.Fatal(err)
	}
	if shown, all := m.Counts(); shown != 3 || all != 7 {
		t.Errorf("%d of %d", shown, all)
	}
	if err := m.SetFilter(""); err != nil {
		t.Fatal(err)
	}
	if got := m.Selected().ID; got != job {
		t.Errorf("after the filter: %s, want %s", got, job)
	}
}

func TestActionsAskForTheJob(t *testing.T) {
	m := New(fixture.Env(t))
	m.SetSize(120, 30)
	m.SetSnapshot(fixture.Lab())
	job := id("prod", "llm-chat")
	m.Select(job)
	for _, k := range []keys.ID{keys.Restart, keys.Stop} {
		want := screen.AskMsg{Request: action.Request{ID: action.ID(k), Job: job}}
		if d := cmp.Diff(want, fixture.Reply(m.Update(fixture.Key(k)))); d != "" {
			t.Error(d)
		}
	}
	m.Update(fixture.Key(keys.Open))
	want := screen.AskMsg{Request: action.Request{ID: action.Stop, Job: job}}
	if d := cmp.Diff(want, fixture.Reply(m.Update(fixture.Key(keys.Stop)))); d != "" {
		t.Error("from the details:", d)
	}
	if got, ok := m.Focus(); !ok || got.Job != job || got.Kind != "job" {
		t.Errorf("%+v", got)
	}
	if !m.Back() || m.Back() {
		t.Error("back closes the details, once")
	}
	m.Open(screen.Target{Job: job, Details: true})
	if m.Back() {
		t.Error("details that a jump opened close and lead back")
	}
}

func TestScalePromptChecksTheCount(t *testing.T) {
	m := New(fixture.Env(t))
	m.SetSize(120, 30)
	m.SetSnapshot(fixture.Lab())
	job := id("prod", "llm-chat")
	m.Select(job)
	p := fixture.Reply(m.Update(fixture.Key(keys.Scale))).(screen.PromptMsg)
	if p.Initial != "3" {
		t.Errorf("begins with %q", p.Initial)
	}
	for text, ok := range map[string]bool{"5": true, " 0 ": true, "-1": false, "two": false, "": false, "1.5": false, "99999999999": false} {
		if err := p.Check(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
	want := screen.AskMsg{Request: action.Request{ID: action.Scale, Job: job, Group: "server", Count: 5}}
	if d := cmp.Diff(want, fixture.Reply(p.Then("5"))); d != "" {
		t.Error(d)
	}
}

func TestScaleAsksForTheGroup(t *testing.T) {
	m := New(fixture.Env(t))
	m.SetSize(120, 30)
	m.SetSnapshot(rollout())
	job := id("prod", "xray-classify")
	m.Open(screen.Target{Job: job, Details: true})
	p := fixture.Reply(m.Update(fixture.Key(keys.Scale))).(screen.PromptMsg)
	if p.Initial != "server" || p.Check("warm") == nil || p.Check("warmup") != nil {
		t.Errorf("%+v, %v, %v", p.Initial, p.Check("warm"), p.Check("warmup"))
	}
	count := fixture.Reply(p.Then("warmup")).(screen.PromptMsg)
	want := screen.AskMsg{Request: action.Request{ID: action.Scale, Job: job, Group: "warmup", Count: 2}}
	if d := cmp.Diff(want, fixture.Reply(count.Then("2"))); d != "" {
		t.Error(d)
	}
}

func TestRefusalsSayWhy(t *testing.T) {
	e := fixture.Env(t)
	readOnly := false
	e.Allowed = func(action.ID) error {
		if readOnly {
			return action.ErrReadOnly
		}
		return nil
	}
	m := New(e)
	m.SetSize(120, 30)
	m.SetSnapshot(fixture.Lab())
	for _, tc := range []struct {
		job      cluster.JobID
		key      keys.ID
		readOnly bool
		want     string
	}{
		{id("prod", "llm-chat"), keys.Scale, true, "scale: " + action.ErrReadOnly.Error()},
		{id("default", "stoker-agent"), keys.Scale, false, "job default/stoker-agent runs once on each node: there is no count to change"},
		{id("prod", "llm-chat"), keys.Why, false, "job prod/llm-chat: It does not wait: 3 of 3 allocations placed."},
		{id("prod", "llm-chat"), keys.Logs, false, "there is no source of logs"},
	} {
		readOnly = tc.readOnly
		m.Select(tc.job)
		got, _ := fixture.Reply(m.Update(fixture.Key(tc.key))).(screen.NoteMsg)
		if got.Text != tc.want {
			t.Errorf("%s on %s: %q, want %q", tc.key, tc.job, got.Text, tc.want)
		}
	}
}

func TestStates(t *testing.T) {
	job := func(typ, status string, want, run, start, fail int) cluster.Job {
		return cluster.Job{Type: typ, Status: status, Version: 3, Groups: []cluster.Group{{Count: want}}, Running: run, Starting: start, Failed: fail}
	}
	deploy := func(status string) *cluster.Deployment { return &cluster.Deployment{JobVersion: 3, Status: status} }
	stoppedJob := job("service", "running", 3, 1, 0, 0)
	stoppedJob.Stopped = true
	waitingJob := job("batch", "pending", 1, 0, 0, 0)
	waitingJob.Waiting = &cluster.Waiting{}
	for _, tc := range []struct {
		name string
		job  cluster.Job
		dep  *cluster.Deployment
		bad  int
		want state
	}{
		{"all run", job("service", "running", 3, 3, 0, 2), deploy("successful"), 0, running},
		{"one of its GPUs failed", job("service", "running", 3, 3, 0, 0), deploy("successful"), 1, degraded},
		{"too few", job("service", "running", 3, 2, 0, 0), deploy("successful"), 0, degraded},
		{"on the way", job("service", "running", 3, 2, 1, 0), deploy("running"), 0, starting},
		{"rollout failed, old ones run", job("service", "running", 3, 3, 0, 1), deploy("failed"), 0, degraded},
		{"rollout failed, none runs", job("service", "running", 3, 0, 0, 3), deploy("failed"), 0, failed},
		{"an old rollout failed", job("service", "running", 3, 3, 0, 0), &cluster.Deployment{JobVersion: 2, Status: "failed"}, 0, running},
		{"scaled to nothing", job("service", "running", 0, 0, 0, 0), nil, 0, stopped},
		{"stopped", stoppedJob, nil, 0, stopped},
		{"waits", waitingJob, nil, 0, waiting},
		{"system", job("system", "running", 1, 20, 0, 0), nil, 0, running},
		{"system on no node", job("system", "pending", 1, 0, 0, 0), nil, 0, starting},
		{"batch ended", job("batch", "dead", 1, 0, 0, 0), nil, 0, complete},
		{"batch failed", job("batch", "dead", 1, 0, 0, 1), nil, 0, failed},
		{"batch runs again after a failure", job("batch", "running", 1, 1, 0, 1), nil, 0, running},
		{"periodic parent", job("batch", "running", 1, 0, 0, 0), nil, 0, running},
		{"batch just registered", job("batch", "pending", 1, 0, 0, 0), nil, 0, starting},
	} {
		if got := tc.job.State(tc.dep, tc.bad); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestTheHistoryFollowsTheAllocation(t *testing.T) {
	m := New(fixture.Env(t))
	m.SetSize(120, 35)
	m.SetSnapshot(rollout())
	m.Open(screen.Target{Job: id("prod", "xray-classify"), Details: true})
	most := 0
	for range 3 {
		most = max(most, m.detail.tasks.All())
		m.Update(fixture.Key(keys.Down))
	}
	if most != 5 || m.detail.focus != 1 {
		t.Errorf("longest history %d, pane %d", most, m.detail.focus)
	}
	m.Update(fixture.Key(keys.Up))
	if m.detail.focus != 0 {
		t.Error("up from the first line goes back to the allocations")
	}
}

var errGone = errors.New("no route to host")

func TestAPaneSaysHowMuchOfItIsShown(t *testing.T) {
	s := fixture.Lab()
	m := New(fixture.Env(t))
	m.SetSnapshot(s)
	m.Open(screen.Target{Job: id("prod", "llm-chat"), Details: true})
	m.SetSize(120, 12)
	if got := fixture.Picture(m.View()); !strings.Contains(got, " of 3") {
		t.Error(got)
	}
	m.SetSize(120, 60)
	if got := fixture.Picture(m.View()); strings.Contains(got, " of 3\n") {
		t.Error(got)
	}
}
