package facts

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/secrets"
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
		"nobody reported":                {"jobs", nil, false, ""},
		"starting":                       {"jobs", sources{"nomad": starting}, false, "nomad: no answer yet"},
		"live":                           {"jobs", sources{"nomad": live}, true, ""},
		"failed":                         {"jobs", sources{"nomad": retrying}, true, "nomad: refused"},
		"denied":                         {"jobs", sources{"nomad": denied}, true, "nomad: refused"},
		"a part is denied":               {"models", sources{"nomad": live, "nomad/nodes": denied, "agents": off, "metrics": live}, true, "nomad/nodes: refused"},
		"no part of it is denied":        {"jobs", sources{"nomad": live, "nomad/nodes": denied}, true, ""},
		"a part still starts":            {"jobs", sources{"nomad": live, "nomad/nodes": starting}, false, "nomad/nodes: no answer yet"},
		"a source that it does not use":  {"jobs", sources{"nomad": live, "vault": starting, "agent gpu-a": retrying}, true, ""},
		"a name that only looks alike":   {"jobs", sources{"nomad": live, "nomadic": retrying}, true, ""},
		"not configured":                 {"keys", sources{"vault": off, "registry": live}, true, ""},
		"one of two":                     {"keys", sources{"vault": live}, false, ""},
		"both late, by name":             {"keys", sources{"vault": retrying, "registry": denied}, true, "registry: refused; vault: refused"},
		"agents are not listed yet":      {"gpus", sources{"nomad": live}, false, ""},
		"Nomad's devices are not listed": {"gpus", sources{"nomad": live, "agents": off}, false, ""},
		"there are no agents":            {"gpus", sources{"nomad": live, "agents": off, "devices": off}, true, ""},
		"Nomad is asked for a device":    {"gpus", sources{"nomad": live, "agents": off, "devices": live, "devices gpu-a": starting}, false, "devices gpu-a: no answer yet"},
		"an exporter is asked":           {"gpus", sources{"nomad": live, "agents": off, "devices": off, "dcgm": live, "dcgm gpu-a": starting}, false, "dcgm gpu-a: no answer yet"},
		"Prometheus begins":              {"nodes", sources{"nomad": live, "agents": off, "devices": off, "dcgm": off, "prometheus": starting}, false, "prometheus: no answer yet"},
		"Prometheus failed":              {"gpus", sources{"nomad": live, "agents": off, "devices": off, "dcgm": off, "prometheus": retrying}, true, "prometheus: refused"},
		"one agent still starts":         {"gpus", sources{"nomad": live, "agents": live, "devices": off, "agent gpu-a": live, "agent gpu-b": starting}, false, "agent gpu-b: no answer yet"},
		"one agent failed":               {"gpus", sources{"nomad": live, "agents": live, "devices": live, "agent gpu-a": live, "agent gpu-b": retrying}, true, "agent gpu-b: refused"},
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

// TestNothingRead holds that an answer in which nothing could be read is no
// incomplete one, but of the kind of what is in the way.
func TestNothingRead(t *testing.T) {
	const live, retrying, denied = cluster.SourceLive, cluster.SourceRetrying, cluster.SourceDenied
	key := func(f *cluster.Feed) {
		f.Vault(secrets.State{KeysAt: time.Now(), Keys: []secrets.Key{{Name: "models"}}})
	}
	none := source("metrics", live, "")
	for name, c := range map[string]struct {
		vault cluster.SourceState
		more  func(*cluster.Feed)
		want  error
	}{
		"unreachable":            {retrying, none, cluster.ErrUnreachable},
		"denied":                 {denied, none, cluster.ErrDenied},
		"sealed":                 {live, func(f *cluster.Feed) { f.Vault(secrets.State{Sealed: true}) }, cluster.ErrUnreachable},
		"one key, other refused": {denied, key, nil},
		"the registry alone":     {live, none, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := fed(t, source("vault", c.vault, "vault: refused"), source("registry", denied, "nomad: refused"), c.more)
			v, _ := Find("keys")
			err := v.Missing(s)
			var f *cluster.Fault
			if errors.As(err, &f) != (c.want != nil) || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v", err)
			}
			if err == nil || strings.Contains(err.Error(), "vault: vault:") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	jobs, nodes := source("nomad", cluster.SourceDenied, "nomad: permission denied"), source("nomad/nodes", cluster.SourceDenied, "nomad: permission denied")
	if err := Refused(fed(t, jobs, nodes)); !errors.Is(err, cluster.ErrDenied) || err.Error() != "nomad: permission denied" {
		t.Errorf("got %v", err)
	}
	if err := Refused(fed(t, jobs, source("nomad/nodes", cluster.SourceLive, ""))); err != nil {
		t.Errorf("who may read nodes is not refused: %v", err)
	}
	if got := Failures(fed(t, jobs, nodes)); got != "; nomad: permission denied; nomad/nodes: permission denied" {
		t.Errorf("got %q", got)
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
