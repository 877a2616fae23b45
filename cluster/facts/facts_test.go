package facts

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
)

func TestSettledAndMissing(t *testing.T) {
	const live, starting, retrying, denied, off = cluster.SourceLive, cluster.SourceStarting, cluster.SourceRetrying, cluster.SourceDenied, cluster.SourceOff
	type sources map[string]cluster.SourceState
	for name, c := range map[string]struct {
		view    string
		sources sources
		settled bool
		missing string
	}{
		"nobody reported":               {"jobs", nil, false, ""},
		"starting":                      {"jobs", sources{"nomad": starting}, false, "nomad: no answer yet"},
		"live":                          {"jobs", sources{"nomad": live}, true, ""},
		"failed":                        {"jobs", sources{"nomad": retrying}, true, "nomad: refused"},
		"denied":                        {"jobs", sources{"nomad": denied}, true, "nomad: refused"},
		"a part is denied":              {"jobs", sources{"nomad": live, "nomad/nodes": denied}, true, "nomad/nodes: refused"},
		"a part still starts":           {"jobs", sources{"nomad": live, "nomad/nodes": starting}, false, "nomad/nodes: no answer yet"},
		"a source that it does not use": {"jobs", sources{"nomad": live, "vault": starting, "agent gpu-a": retrying}, true, ""},
		"a name that only looks alike":  {"jobs", sources{"nomad": live, "nomadic": retrying}, true, ""},
		"not configured":                {"keys", sources{"vault": off, "registry": live}, true, ""},
		"one of two":                    {"keys", sources{"vault": live}, false, ""},
		"both late, by name":            {"keys", sources{"vault": retrying, "registry": denied}, true, "registry: refused; vault: refused"},
		"agents are not listed yet":     {"gpus", sources{"nomad": live}, false, ""},
		"there are no agents":           {"gpus", sources{"nomad": live, "agents": off}, true, ""},
		"one agent still starts":        {"gpus", sources{"nomad": live, "agents": live, "agent gpu-a": live, "agent gpu-b": starting}, false, "agent gpu-b: no answer yet"},
		"one agent failed":              {"gpus", sources{"nomad": live, "agents": live, "agent gpu-a": live, "agent gpu-b": retrying}, true, "agent gpu-b: refused"},
	} {
		t.Run(name, func(t *testing.T) {
			var puts []func(*cluster.Feed)
			for name, state := range c.sources {
				why := ""
				if state == retrying || state == denied {
					why = "refused"
				}
				puts = append(puts, source(name, state, why))
			}
			s := fed(t, puts...)
			v, _ := Find(c.view)
			if got := v.Settled(s); got != c.settled {
				t.Errorf("settled %v", got)
			}
			missing := ""
			if err := v.Missing(s); err != nil {
				missing = err.Error()
			}
			if missing != c.missing {
				t.Errorf("missing %q, want %q", missing, c.missing)
			}
		})
	}
}

// TestPending holds that a rate is waited for: it takes two readings.
func TestPending(t *testing.T) {
	answered := []func(*cluster.Feed){
		source("nomad", cluster.SourceLive, ""), source("agents", cluster.SourceOff, ""), source("metrics", cluster.SourceLive, ""),
		func(f *cluster.Feed) { f.Scheduler(update()) },
	}
	first := served()
	first.Requests = nil
	models, _ := Find("models")
	training, _ := Find("training")

	s := fed(t, answered...)
	if models.Settled(s) || training.Settled(s) {
		t.Error("settled before any metric")
	}
	s = fed(t, append(answered, func(f *cluster.Feed) { f.Models([]cluster.ModelSample{first}) })...)
	if models.Settled(s) {
		t.Error("settled after one scrape, which gives no rate")
	}
	s = fed(t, append(
		answered, func(f *cluster.Feed) { f.Models([]cluster.ModelSample{served()}) },
		func(f *cluster.Feed) {
			f.Training([]cluster.TrainingSample{{Job: id("train"), Alloc: "a2", SamplesPerSec: p(10.0)}})
		},
	)...)
	if !models.Settled(s) || !training.Settled(s) {
		t.Error("not settled, but all rates are known")
	}
	if err := models.Missing(s); err != nil {
		t.Error(err)
	}

	idle := update() // no instance runs, so there is nothing to wait for
	idle.Allocs, idle.Jobs[1].Status = nil, "pending"
	s = fed(t, append(answered, func(f *cluster.Feed) {
		for i := range idle.Jobs {
			idle.Jobs[i].ModifyIndex = 20
		}
		idle.Index = 20
		f.Scheduler(idle)
	})...)
	if !models.Settled(s) || !training.Settled(s) {
		t.Error("waits for the rate of a model of which nothing runs")
	}
}

func TestMap(t *testing.T) {
	v := View{Columns: []Column{{Name: "a"}, {Name: "b"}}}
	if d := cmp.Diff(map[string]any{"a": 1, "b": nil}, v.Map(Row{1, nil})); d != "" {
		t.Error(d)
	}
}
