package cluster

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
	"stoker/secrets"
)

var lab, eu = Place{"lab", "global"}, Place{"eu", "global"}

// folded is what a Named Feed of one cluster makes of what is put into it.
func folded(place Place, put ...func(st *state)) *Snapshot {
	st := newState(place, start)
	st.of = place
	for _, p := range put {
		p(st)
	}
	return st.snapshot()
}

// site is a cluster with one of everything. The names are the same in each, and
// what Nomad, the driver and Vault make unique is not.
func site(place Place) *Snapshot {
	u := func(s string) string { return place.Cluster + "-" + s }
	loss, busy := 0.5, 50.0
	id := gpu.UUID(u("G1"))
	a := alloc(u("a1"), "x", 10, holding(id, gpu.UUID(u("G2"))))
	a.Node, a.Eval, a.Place, a.Created = NodeID(u("n1")), EvalID(u("e1")), place, start().Add(-time.Minute)
	n := node(u("n1"), "gpu-a", 10, id, gpu.UUID(u("G2")))
	n.Place = place
	j := job("x", 10, func(j *Job) { j.Kind, j.Place = KindTraining, place })
	return folded(place, func(st *state) {
		st.scheduler(Update{
			Lists: SetAll, Index: 10, Nodes: []Node{n}, Jobs: []Job{j, job("y", 10, func(j *Job) { j.Kind, j.Place = KindInference, place })}, Allocs: []Alloc{a},
			Deployments: []Deployment{{Place: place, ID: DeploymentID(u("d1")), Job: j.ID, Status: "failed", ModifyIndex: 9}},
			Evaluations: []Evaluation{{Place: place, ID: EvalID(u("e1")), Job: JobID{Namespace: "default", Name: "y"}, Status: "blocked", ModifyIndex: 9, Failures: []PlacementFailure{{Group: "g", Unplaced: 1}}}},
			Services:    []Service{{Place: place, ID: ServiceID(u("s1")), Name: "stoker-agent", ModifyIndex: 9}},
			Pools:       []NodePool{{Place: place, Name: "default", ModifyIndex: 9}},
			Namespaces:  []Namespace{{Place: place, Name: "default", ModifyIndex: 9}},
			Variables:   []Variable{{Place: place, ID: VariableID{"default", "stoker/models"}, ModifyIndex: 9}},
		})
		for i := range 3 {
			at := start().Add(time.Duration(i-3) * time.Second)
			st.batch(reading(u("n1"), at, sample(id, at, busy)))
		}
		b := reading(u("n1"), start(), sample(id, start(), busy))
		b.Events = []gpu.Event{{UUID: id, At: start().Add(-time.Second), Kind: gpu.EventXid, Xid: 79, Text: "Xid 79"}}
		st.batch(b)
		st.modelSamples([]ModelSample{{Place: place, Key: ModelKey{Job: JobID{Namespace: "default", Name: "y"}, Model: "digits", Version: "1"}}})
		st.trainingSamples([]TrainingSample{{Place: place, Job: JobID{Namespace: "default", Name: "x"}, Loss: &loss}})
		st.artifacts = named(st, []Artifact{{Place: place, Model: "digits", Version: "1", Key: "models", TrainedBy: JobID{Namespace: "default", Name: "x"}}}, func(a *Artifact) *JobID { return &a.TrainedBy })
		st.vaultState(secrets.State{Keys: []secrets.Key{{Name: "models"}}})
		st.source(SourceStatus{Name: "nomad", State: SourceLive, AsOf: start()})
	})
}

// dead is a cluster that never answered.
func dead(place Place) *Snapshot {
	return folded(place, func(st *state) {
		st.source(SourceStatus{Name: "nomad", State: SourceRetrying, Err: "connection refused"})
	})
}

func TestMergeKeepsSameNamesApart(t *testing.T) {
	s := Merge(site(lab), site(eu))
	if len(s.Jobs) != 4 || len(s.Allocs) != 2 || len(s.GPUs) != 4 || s.Place.Cluster != "lab+eu" || !s.Ready {
		t.Fatalf("%d jobs, %d allocs, %d GPUs of %s, ready %v", len(s.Jobs), len(s.Allocs), len(s.GPUs), s.Place.Cluster, s.Ready)
	}
	for _, p := range []Place{lab, eu} {
		id := JobID{Namespace: "default", Name: "x", Of: p}
		j, allocs, gpus := s.Job(id), s.JobAllocs(id), s.JobGPUs(id)
		if j == nil || j.Place != p || j.GPUsHeld != 2 {
			t.Fatalf("%s: job %+v", p.Cluster, j)
		}
		if len(allocs) != 1 || allocs[0].Place != p || len(gpus) != 2 || gpus[0].Place != p || gpus[0].Holder.Job != id {
			t.Errorf("%s: allocations %v, GPUs %v", p.Cluster, allocs, gpus)
		}
		if d := s.JobDeployment(id); d == nil || d.Place != p {
			t.Errorf("%s: deployment %v", p.Cluster, d)
		}
		if got := s.JobEvents(id); len(got) == 0 {
			t.Errorf("%s: no events", p.Cluster)
		} else if got[0].Place != p {
			t.Errorf("%s: event of %s", p.Cluster, got[0].Place.Cluster)
		}
		n := s.Node(NodeID(p.Cluster + "-n1"))
		if n == nil || n.Place != p || len(s.NodeGPUs(n.ID)) != 2 || len(s.NodeAllocs(n.ID)) != 1 {
			t.Errorf("%s: node %v", p.Cluster, n)
		}
		if g := s.GPU(gpu.UUID(p.Cluster + "-G1")); g == nil || g.Place != p {
			t.Errorf("%s: GPU %v", p.Cluster, g)
		}
		if s.Of(p).Vault == nil || s.Label(p) != p.Cluster {
			t.Errorf("%s: vault %v, label %s", p.Cluster, s.Of(p).Vault, s.Label(p))
		}
	}
	if s.Job(JobID{Namespace: "default", Name: "x"}) != nil {
		t.Error("a job without a cluster was found among several")
	}
}

func TestMergedFiguresAreSums(t *testing.T) {
	a, b := site(lab), site(eu)
	s := Merge(a, b)
	f, one := s.Fleet, a.Fleet
	if f.GPUs != 2*one.GPUs || f.Held != 2*one.Held || f.Nodes != 2 || f.NodesReady != 2 || !f.Claims || f.Reporting != 2*one.Reporting ||
		f.Pending != 2*one.Pending || f.PendingJobs != 2*one.PendingJobs || f.UtilPercent == nil || *f.UtilPercent != 50 || len(f.Util) != 1 {
		t.Errorf("fleet %+v", f)
	}
	u := s.JobUsage()
	if len(u) != 2 || u[0].Place != lab || u[1].Place != eu || u[0].GPUs != 2 || u[0].Account.HeldSeconds != u[1].Account.HeldSeconds || u[0].Account.HeldSeconds == 0 {
		t.Errorf("usage %+v", u)
	}
	if u := s.NamespaceUsage(); len(u) != 2 || u[0].Job.Namespace != "default" || u[0].Account.HeldSeconds == 0 {
		t.Errorf("namespaces %+v", u)
	}
	for i := 1; i < len(s.Events); i++ {
		if s.Events[i].At.After(s.Events[i-1].At) {
			t.Errorf("event %d is later than the one before", i)
		}
	}
	for i, p := range s.Problems {
		if want := p.Place.Cluster + ": "; len(p.Subject) < len(want) || p.Subject[:len(want)] != want || i > 0 && p.Level > s.Problems[i-1].Level {
			t.Errorf("problem %d: %q of %s", i, p.Subject, p.Place.Cluster)
		}
	}
}

// What is added to a Snapshot must be merged, and its jobs must be named: this
// finds what was forgotten.
func TestMergeForgetsNoRows(t *testing.T) {
	a, b := site(lab), site(eu)
	s := Merge(a, b)
	rows := func(s *Snapshot) map[string]int {
		out := map[string]int{}
		v := reflect.ValueOf(*s)
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Type.Kind() == reflect.Slice && f.Name != "Members" {
				out[f.Name] = v.Field(i).Len()
			}
		}
		return out
	}
	one, all := rows(a), rows(s)
	for name, n := range one {
		if n == 0 {
			t.Errorf("the site of this test has no %s", name)
		}
		if all[name] != 2*n {
			t.Errorf("%d %s in one cluster, %d in two", n, name, all[name])
		}
	}
	unnamed(t, "snapshot", reflect.ValueOf(*s))
}

// unnamed looks for jobs that do not say of which cluster they are.
func unnamed(t *testing.T, where string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			unnamed(t, where, v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			unnamed(t, fmt.Sprintf("%s[%d]", where, i), v.Index(i))
		}
	case reflect.Struct:
		if id, ok := v.Interface().(JobID); ok {
			if id != (JobID{}) && id.Of == (Place{}) {
				t.Errorf("%s: %s says not of which cluster it is", where, id)
			}
			return
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Type != reflect.TypeFor[time.Time]() {
				unnamed(t, where+"."+f.Name, v.Field(i))
			}
		}
	}
}

func TestMergeWithADeadCluster(t *testing.T) {
	s := Merge(site(lab), dead(eu))
	if !s.Ready || s.Known != SetAll || !s.Fleet.Claims || len(s.Jobs) != 2 || s.Of(eu).Ready {
		t.Errorf("ready %v, known %b, claims %v, %d jobs", s.Ready, s.Known, s.Fleet.Claims, len(s.Jobs))
	}
	found := false
	for _, p := range s.Problems {
		found = found || p.Subject == "eu: nomad" && p.Text == "connection refused" && p.Place == eu
	}
	if !found {
		t.Errorf("nothing says that eu does not answer: %+v", s.Problems)
	}
	if s = Merge(dead(lab), dead(eu)); s.Ready || s.Fleet.Claims {
		t.Error("two clusters that never answered are ready")
	}
}

func TestMergeWhereOneMayNotBeReadWhole(t *testing.T) {
	deaf := folded(eu, func(st *state) {
		st.scheduler(Update{Lists: SetNodes, Refused: SetAll &^ SetNodes, Nodes: []Node{node("eu-n1", "gpu-b", 1, "eu-G1")}})
	})
	s := Merge(site(lab), deaf)
	if s.Fleet.Claims || s.Known != SetNodes {
		t.Errorf("claims %v, known %b: of eu it is not known what is held", s.Fleet.Claims, s.Known)
	}
	if s.Of(lab).Known != SetAll {
		t.Error("of lab it is")
	}
}

func TestRegionsOfOneClusterAreToldApart(t *testing.T) {
	west := Place{"eu", "west"}
	s := Merge(site(lab), site(eu), dead(west))
	got := []string{s.Place.Cluster, s.Place.Region, s.Label(lab), s.Label(eu), s.Label(west)}
	if want := []string{"lab+eu", "", "lab", "eu/global", "eu/west"}; !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
}

func TestOneClusterIsItsOwnMember(t *testing.T) {
	s := site(lab)
	if s.Of(lab) != s || len(s.Each()) != 1 || s.Each()[0] != s {
		t.Error("a snapshot of one cluster is not the one of its rows")
	}
}

func TestMergingKeepsWhatDidNotChange(t *testing.T) {
	var m merger
	a, b := site(lab), site(eu)
	one := m.merge([]*Snapshot{a, b})
	c := *b
	c.GPUs = append([]GPU(nil), b.GPUs...)
	two := m.merge([]*Snapshot{a, &c})
	if !Same(one.Allocs, two.Allocs) || Same(one.GPUs, two.GPUs) || two.Rev != one.Rev+1 {
		t.Errorf("allocations kept %v, GPUs kept %v", Same(one.Allocs, two.Allocs), Same(one.GPUs, two.GPUs))
	}
}

func TestUnion(t *testing.T) {
	clock := func() time.Time { return start() }
	la, ea := NewFeed(lab, clock, Named()), NewFeed(eu, clock, Named())
	u := NewUnion(time.Now, la)
	if s := u.Latest(); s.Ready || s.Rev != 0 || s.Place.Cluster != "lab" || len(s.Members) != 1 {
		t.Fatalf("before the first: %+v", s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	defer func() { cancel(); run.Wait() }()
	ch, stop := u.Subscribe()
	defer stop()
	run.Go(func() { _ = la.Run(ctx) })
	run.Go(func() { _ = ea.Run(ctx) })
	run.Go(func() {
		if err := u.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	until := func(done func(*Snapshot) bool) *Snapshot {
		t.Helper()
		patience := time.After(10 * time.Second)
		for {
			select {
			case s := <-ch:
				if done(s) {
					return s
				}
			case <-patience:
				t.Fatal("it did not come to that")
			}
		}
	}
	la.Scheduler(Update{Lists: SetAll, Jobs: []Job{job("x", 1)}})
	until(func(s *Snapshot) bool { return s.Ready && len(s.Jobs) == 1 })
	u.Set(la, ea)
	ea.Scheduler(Update{Lists: SetAll, Jobs: []Job{job("x", 1)}})
	s := until(func(s *Snapshot) bool { return len(s.Jobs) == 2 })
	if s.Place.Cluster != "lab+eu" || s.Jobs[0].ID.Of != lab || s.Jobs[1].ID.Of != eu {
		t.Errorf("%s: %v", s.Place.Cluster, s.Jobs)
	}
	u.Set(ea)
	if s = until(func(s *Snapshot) bool { return len(s.Members) == 1 }); len(s.Jobs) != 1 || s.Jobs[0].ID.Of != eu {
		t.Errorf("%s: %v", s.Place.Cluster, s.Jobs)
	}
	cancel()
	for range ch { // it closes when the Union ends
	}
}
