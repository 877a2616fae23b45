package fleet

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/tui/screen"
)

// TestManyAlikeAreOneLine: what is alike becomes one line from four on, at the
// place of the first, and leads to the list of them.
func TestManyAlikeAreOneLine(t *testing.T) {
	var in []cluster.Problem
	job := func(i int) cluster.JobID {
		return cluster.JobID{Namespace: "train", Name: fmt.Sprint("j", i)}
	}
	for i := range 12 {
		in = append(in, cluster.Problem{Kind: cluster.NodeLost, Level: cluster.Bad, Cause: "down", Subject: fmt.Sprint("gpu-", i), Text: "node is down", Node: cluster.NodeID(fmt.Sprint(i)), GPUs: 8})
	}
	for i := range 3 { // too few
		in = append(in, cluster.Problem{Kind: cluster.NodeLost, Level: cluster.Bad, Cause: "disconnected", Subject: fmt.Sprint("far-", i), Text: "node is disconnected", Node: cluster.NodeID(fmt.Sprint("f", i))})
	}
	for i := range 5 {
		in = append(in,
			cluster.Problem{Kind: cluster.GPUFailed, Level: cluster.Bad, Cause: "Xid 79", Subject: fmt.Sprintf("n-%d/1", i), Text: fmt.Sprint("Xid 79, held by ", i), GPU: gpu.UUID(fmt.Sprint("g", i))},
			cluster.Problem{Kind: cluster.JobWaits, Level: cluster.Warn, Subject: "job " + job(i).String(), Text: "waiting", Job: job(i), GPUs: 4},
			cluster.Problem{Kind: cluster.SourceLost, Level: cluster.Warn, Cause: "agent", Subject: fmt.Sprint("agent gpu-", i), Text: "refused", Source: fmt.Sprint("agent gpu-", i)})
	}
	for i := range 8 {
		in = append(in, cluster.Problem{Kind: cluster.GPUIdle, Level: cluster.Warn, Subject: fmt.Sprintf("n-7/%d", i), Text: "held but idle by", GPU: gpu.UUID(fmt.Sprint("i", i)), Holder: job(i % 4)})
	}
	for i := range 4 { // of clusters that share the table
		at := fmt.Sprint("eu-", i, ": ")
		in = append(in,
			cluster.Problem{Kind: cluster.TokenEnds, Level: cluster.Warn, Subject: at + "token of nomad", Text: "ends in 9 minutes", Source: "nomad"},
			cluster.Problem{Kind: cluster.TokenEnds, Level: cluster.Bad, Subject: at + "token of vault", Text: "has ended", Source: "vault"},
			cluster.Problem{Kind: cluster.VaultSealed, Level: cluster.Bad, Subject: at + "vault", Text: "sealed", Source: "vault"})
	}
	var got []string
	for _, p := range merge(in) {
		name, target := p.where()
		got = append(got, fmt.Sprintf("%s | %s | %s %s", p.Subject, p.Text, name, target.Filter))
	}
	want := []string{
		`12 nodes | down, jobs held 96 GPUs on them: gpu-0, gpu-1, gpu-2, gpu-3, gpu-4, gpu-5, gpu-6, gpu-7 and 4 more | nodes status == "down"`,
		"far-0 | node is disconnected | nodes ", "far-1 | node is disconnected | nodes ", "far-2 | node is disconnected | nodes ",
		`5 GPUs | Xid 79: n-0/1, n-1/1, n-2/1, n-3/1, n-4/1 | gpus state == "failed"`,
		"5 jobs | wait for 20 GPUs: train/j0, train/j1, train/j2, train/j3, train/j4 | jobs waiting == true",
		`5 agents | no answer: gpu-0, gpu-1, gpu-2, gpu-3, gpu-4 | sources state == "retrying" || state == "denied"`,
		`4 jobs | hold 8 GPUs without using them: train/j0, train/j1, train/j2, train/j3 | gpus state == "idle"`,
		`4 tokens | end within an hour: eu-0: nomad, eu-1: nomad, eu-2: nomad, eu-3: nomad | sources expires_at != nil || name == "vault"`,
		`4 tokens | have ended: eu-0: vault, eu-1: vault, eu-2: vault, eu-3: vault | sources expires_at != nil || name == "vault"`,
		`4 vaults | sealed: eu-0: vault, eu-1: vault, eu-2: vault, eu-3: vault | sources name == "vault"`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestEachKindLeadsSomewhere: no problem is a dead end.
func TestEachKindLeadsSomewhere(t *testing.T) {
	for _, tc := range []struct {
		p    cluster.Problem
		want screen.Name
	}{
		{cluster.Problem{Kind: cluster.RolloutFailed, Job: cluster.JobID{Name: "x"}}, screen.Jobs},
		{cluster.Problem{Kind: cluster.ClockApart, Node: "n"}, screen.Nodes},
		{cluster.Problem{Kind: cluster.TokenEnds, Source: "nomad"}, screen.Sources},
		{cluster.Problem{Kind: cluster.VaultSealed, Source: "vault"}, screen.Keys},
		{cluster.Problem{Kind: cluster.SourceLost, Source: "agent gpu-a"}, screen.Sources},
	} {
		p := problem{Problem: tc.p}
		if got, _ := p.where(); got != tc.want {
			t.Errorf("%s leads to %s, want %s", tc.p.Kind, got, tc.want)
		}
	}
	ends := problem{Problem: cluster.Problem{Kind: cluster.TokenEnds, Source: "nomad", Place: cluster.Place{Cluster: "eu"}}}
	if _, got := ends.where(); got != (screen.Target{Source: "nomad", Of: ends.Place, Details: true}) {
		t.Errorf("a token that ends leads to %+v", got)
	}
}
