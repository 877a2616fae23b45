package scenarios

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/secrets"
)

// twoGPUs has a GPU that works for a job, and one that nobody holds and nobody reads.
func twoGPUs(t *testing.T) *cluster.Snapshot {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	feed := cluster.NewFeed(cluster.Place{Cluster: "c"}, time.Now)
	done := make(chan struct{})
	go func() { defer close(done); _ = feed.Run(ctx) }()
	ch, stop := feed.Subscribe()
	defer stop()
	job := cluster.JobID{Namespace: "default", Name: "j"}
	feed.Scheduler(cluster.Update{
		Lists: cluster.SetAll, Index: 5,
		Nodes: []cluster.Node{{ID: "n", Name: "a", Status: cluster.NodeReady, Eligible: true, Devices: []cluster.NodeDevice{
			{UUID: "g0", Healthy: true, PCI: "0"}, {UUID: "g1", Healthy: true, PCI: "1"},
		}}},
		Jobs: []cluster.Job{{ID: job, Type: "service", Status: "running"}},
		Allocs: []cluster.Alloc{{
			ID: "al", Job: job, Node: "n", Client: "running", GPUs: []gpu.UUID{"g0"},
			Tasks: []cluster.Task{{Name: "t", GPUs: []gpu.UUID{"g0"}}},
		}},
		Services: []cluster.Service{
			{ID: "s2", Job: "j", Namespace: "default", Alloc: "al", Address: "10.0.0.2", Port: 80},
			{ID: "s1", Job: "j", Namespace: "default", Alloc: "al", Address: "::1", Port: 81},
			{ID: "s0", Job: "j", Namespace: "other", Alloc: "al", Address: "10.0.0.9", Port: 81},
		},
	})
	util := 40.0
	feed.GPUs(gpu.Batch{Node: "n", Source: "agent", At: time.Now(), Devices: []gpu.Device{{UUID: "g0"}, {UUID: "g1", Index: 1}}, Samples: []gpu.Sample{{UUID: "g0", At: time.Now(), UtilPercent: &util}}})
	urn, err := secrets.NewURN("m", "1")
	if err != nil {
		t.Fatal(err)
	}
	feed.Artifacts([]cluster.Artifact{{URN: urn, Model: "m", Version: "1", Digest: "d", Evaluation: map[string]float64{"accuracy": 0.9}}})
	feed.Source(cluster.SourceStatus{Name: "registry", State: cluster.SourceLive})
	s := feed.Latest()
	for s.Source("registry") == nil {
		s = <-ch
	}
	cancel()
	<-done
	return s
}

func TestThreeValues(t *testing.T) {
	vars := map[string]any{"run_id": "r", "saved": map[string]any{"nothing": nil, "one": 1.0}, "n": 3.0}
	base := twoGPUs(t)
	with := func(more []cluster.SourceStatus) *cluster.Snapshot {
		s := *base
		s.Sources = more
		if !slices.ContainsFunc(more, func(st cluster.SourceStatus) bool { return st.Name == "registry" }) {
			s.Sources = append(slices.Clone(more), base.Sources...)
		}
		return &s
	}
	late := cluster.SourceStatus{Name: "agent a", State: cluster.SourceRetrying, Err: "refused"}
	for _, tt := range []struct {
		text string
		want truth
		late []cluster.SourceStatus
	}{
		{text: `n == 3`, want: yes},
		{text: `len(gpus) == 2`, want: yes},
		{text: `gpus[0].util_percent > 30`, want: yes},
		{text: `gpus[1].util_percent > 30`, want: unknown},
		{text: `not (gpus[1].util_percent > 30)`, want: unknown},
		{text: `gpus[1].util_percent == 0`, want: unknown},
		{text: `gpus[1].util_percent != 0`, want: unknown},
		{text: `gpus[1].util_percent == nil`, want: yes},
		{text: `(gpus[1].util_percent ?? 0) == 0`, want: yes},
		{text: `gpus[1].util_percent > 30 and n == 4`, want: no},
		{text: `gpus[1].util_percent > 30 or n == 3`, want: yes},
		{text: `gpus[1].util_percent > 30 and n == 3`, want: unknown},
		{text: `gpus[7].util_percent > 30`, want: no},
		{text: `all(gpus, .util_percent > 30)`, want: unknown},
		{text: `all(held("j"), .util_percent > 30)`, want: yes},
		{text: `all(filter(gpus, .held_by_job == nil), .util_percent < 1)`, want: unknown},
		{text: `map(held("default/j"), .uuid) == ["g0"]`, want: yes},
		{text: `len(held("other/j")) == 0`, want: yes},
		{text: `map(free(), .uuid) == ["g1"]`, want: yes},
		{text: `any(free(), .uuid in ["g0", "g1"])`, want: yes},
		{text: `running("j") and not running("k")`, want: yes},
		{text: `outcome("k").done`, want: no},
		{text: `endpoints("j") == ["http://10.0.0.2:80", "http://[::1]:81"]`, want: yes},
		{text: `artifact("m", "1").evaluation.accuracy >= 0.9`, want: yes},
		{text: `artifact("m", "1").evaluation.recall >= 0.9`, want: unknown},
		{text: `artifact("m", "2").evaluation.accuracy >= 0.9`, want: unknown},
		{text: `artifact("m", "2") == nil`, want: yes},
		{text: `artifact("m", "2") != nil`, want: no},
		{text: `saved.one == 1 && !(saved.one == 2)`, want: yes},
		{text: `saved.nothing < 1`, want: unknown},
		{text: `saved.nothing == 0`, want: unknown},
		{text: `saved.nothing.deeper == 0`, want: unknown},
		{text: `saved.one startsWith "x"`, want: no},
		{text: `let x = n; x > 2`, want: yes},
		{text: `n > 2 ? true : false`, want: yes},
		{text: `map(gpus, .uuid) | sort() == ["g0", "g1"]`, want: yes},
		{text: `len(gpus) == 2`, want: unknown, late: []cluster.SourceStatus{late}},
		{text: `len(held("j")) == 1`, want: unknown, late: []cluster.SourceStatus{late}},
		{text: `len(held("k")) == 0`, want: yes, late: []cluster.SourceStatus{late}},
		{text: `running("j")`, want: yes, late: []cluster.SourceStatus{late}},
		{text: `len(held("j")) == 1`, want: yes, late: []cluster.SourceStatus{{Name: "agent b", State: cluster.SourceRetrying}}},
		{text: `running("j")`, want: unknown, late: []cluster.SourceStatus{{Name: "nomad", State: cluster.SourceRetrying, Err: "lost"}}},
		{text: `artifact("m", "2") == nil`, want: unknown, late: []cluster.SourceStatus{{Name: "registry", State: cluster.SourceDenied}}},
	} {
		sc := newScope()
		if err := sc.add("saved", ""); err != nil {
			t.Fatal(err)
		}
		if err := sc.add("n", "number"); err != nil {
			t.Fatal(err)
		}
		c, err := sc.condition(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		w := newSight(with(tt.late), vars)
		got, why := c.root.judge(w)
		if got != tt.want {
			t.Errorf("%s: got %d %v, want %d; %v", tt.text, got, why, tt.want, c.values(w, secret))
		}
		if got == unknown && len(why) == 0 {
			t.Errorf("%s: unknown without a reason", tt.text)
		}
	}
}

func TestNothingIsKnownBeforeTheListsWereRead(t *testing.T) {
	for _, text := range []string{`len(gpus) == 0`, `running("x")`, `len(free()) == 0`, `not outcome("x").done`} {
		c, err := newScope().condition(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := c.root.judge(newSight(&cluster.Snapshot{}, nil)); got != unknown {
			t.Errorf("%s is judged by an empty snapshot: %d", text, got)
		}
	}
}

func TestValuesExplain(t *testing.T) {
	vars := map[string]any{"run_id": "r", "limit": 0.95, "api_token": "hush"}
	snap := twoGPUs(t)
	for _, tt := range []struct {
		text string
		want []string
	}{
		{`artifact("m", run_id).evaluation.accuracy >= limit`, []string{
			`artifact("m", run_id).evaluation.accuracy = –`, `limit = 0.95`, `artifact("m", run_id).evaluation = –`, `run_id = "r"`,
		}},
		{`len(held("j")) == 2 and limit > 1`, []string{`len(held("j")) = 1`, `held("j") = [a/0]`, `limit = 0.95`}},
		{`all(gpus, .util_percent > 0 and .node == "a")`, []string{`gpus = [a/0 util_percent=40 node="a", a/1 util_percent=– node="a"]`}},
		{`outcome("j").done`, []string{`outcome("j") = {done=false good=false text="starting"}`}},
		{`api_token == "x"`, []string{`api_token = [redacted]`}},
	} {
		sc := newScope()
		for name, kind := range map[string]string{"limit": "number", "api_token": "string"} {
			if err := sc.add(name, kind); err != nil {
				t.Fatal(err)
			}
		}
		c, err := sc.condition(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range c.values(newSight(snap, vars), secret) {
			got = append(got, v.String())
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.text, diff)
		}
	}
}

func TestTemplates(t *testing.T) {
	vars := map[string]any{"run_id": "r", "n": 3.0, "list": []any{"a", 2.5}, "nothing": nil}
	snap := twoGPUs(t)
	for _, tt := range []struct{ text, want, shown string }{
		{"plain", "plain", "plain"},
		{"${run_id}-${n}", "r-3", "r-3"},
		{"${list}", "a,2.5", `["a", 2.5]`},
		{`${ {"a": "}"}.a }${'"'}`, `}"`, `}"`},
		{"$${run_id} costs $5", "${run_id} costs $5", "${run_id} costs $5"},
		{"${len(gpus)} GPUs", "2 GPUs", "2 GPUs"},
		{"${nothing}", "error: nothing is unknown", None},
		{"${gpus[1].util_percent + 1}", "error: gpus[1].util_percent + 1 is unknown", None},
		{"${gpus[9].index}", "error: gpus[9].index: index out of range", None},
	} {
		sc := newScope()
		for _, name := range []string{"n", "list", "nothing"} {
			if err := sc.add(name, ""); err != nil {
				t.Fatal(err)
			}
		}
		tm, err := sc.template(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		w := newSight(snap, vars)
		got, err := tm.render(w)
		if err != nil {
			got = "error: " + err.Error()
		}
		if !strings.HasPrefix(got, tt.want) || err == nil && got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.text, got, tt.want)
		}
		if shown := tm.describe(w); shown != tt.shown {
			t.Errorf("%s: shown as %s, want %s", tt.text, shown, tt.shown)
		}
	}
}

func TestCleanTakesControlCharactersAway(t *testing.T) {
	if got, want := clean("a\x1b]0;x\aé\tb\r\nc\u202e\u009b1md"), "a]0;xé b  c1md"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
