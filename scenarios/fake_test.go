package scenarios_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/jobs/action"
	"stoker/jobs/pack"
	"stoker/scenarios"
	"stoker/secrets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// town is a small cluster: a scheduler that places jobs on three GPUs and says
// so to a real Feed, with the delays of a real one on the test's clock.
type town struct {
	feed  *cluster.Feed
	audit strings.Builder

	mu      sync.Mutex
	index   uint64
	jobs    map[string]*townJob
	arts    []cluster.Artifact
	loaded  bool // images are being sent
	stray   bool // somebody uses a GPU that nobody holds
	mute    bool // the agent does not answer
	calls   []string
	evalSeq int

	accuracy   float64       // of what training makes; 0 registers nothing
	trainFor   time.Duration // how long training takes
	submitErr  error
	stopHangs  bool // a stop never comes to an end
	evalsNever bool // no evaluation is ever seen
}

type townJob struct {
	row    cluster.Job
	allocs []cluster.Alloc
}

const gpus = 3

func uuid(i int) gpu.UUID { return gpu.UUID(fmt.Sprintf("GPU-%d", i)) }

// inTown runs f with a town in a bubble of its own clock.
func inTown(t *testing.T, f func(t *testing.T, ctx context.Context, tn *town)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		tn := &town{jobs: map[string]*townJob{}, accuracy: 0.97, trainFor: 10 * time.Second, index: 10}
		tn.feed = cluster.NewFeed(cluster.Place{Cluster: "town", Region: "global"}, time.Now)
		var wg sync.WaitGroup
		wg.Go(func() { _ = tn.feed.Run(ctx) })
		wg.Go(func() { tn.agent(ctx) })
		tn.open()
		f(t, ctx, tn)
		cancel()
		wg.Wait()
	})
}

func (tn *town) open() {
	node := cluster.Node{ID: "n1", Name: "gpu-a", Status: cluster.NodeReady, Eligible: true, ModifyIndex: 1}
	for i := range gpus {
		node.Devices = append(node.Devices, cluster.NodeDevice{UUID: uuid(i), Model: "NVIDIA L40S", Healthy: true, PCI: fmt.Sprint(i)})
	}
	tn.feed.Scheduler(cluster.Update{Lists: cluster.SetAll, Index: 10, Nodes: []cluster.Node{node}})
	for _, name := range []string{"nomad", "nomad/nodes", "registry", "metrics", "agents", "agent gpu-a"} {
		tn.feed.Source(cluster.SourceStatus{Name: name, State: cluster.SourceLive, AsOf: time.Now()})
	}
}

// agent reports every GPU once a second.
func (tn *town) agent(ctx context.Context) {
	for {
		tn.sample()
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

func (tn *town) sample() {
	tn.mu.Lock()
	b := gpu.Batch{Node: "n1", Source: "agent", At: time.Now()}
	busy := map[gpu.UUID]float64{}
	for _, j := range tn.jobs {
		for _, a := range j.allocs {
			for _, g := range a.GPUs {
				if a.Client == "running" && (tn.loaded || j.row.Type == "batch") {
					busy[g] = 40
				}
			}
		}
	}
	if tn.stray {
		busy[uuid(gpus-1)] = 90
	}
	for i := range gpus {
		u := busy[uuid(i)]
		b.Devices = append(b.Devices, gpu.Device{UUID: uuid(i), Index: i, Model: "NVIDIA L40S"})
		b.Samples = append(b.Samples, gpu.Sample{UUID: uuid(i), At: b.At, UtilPercent: &u})
	}
	mute := tn.mute
	tn.mu.Unlock()
	if !mute {
		tn.feed.GPUs(b)
	}
}

func (tn *town) did(format string, args ...any) {
	tn.calls = append(tn.calls, fmt.Sprintf(format, args...))
}

func (tn *town) done() []string {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	return append([]string(nil), tn.calls...)
}

func (tn *town) next() uint64 { tn.index++; return tn.index }

// Parse takes the job's ID from the pack's name.
func (tn *town) Parse(_ context.Context, f cluster.JobFile) (cluster.ParsedJob, error) {
	return cluster.ParsedJob{ID: cluster.JobID{Namespace: "default", Name: f.Name}, Type: "service", Body: f}, nil
}

// Plan pins the job's state.
func (tn *town) Plan(_ context.Context, j cluster.ParsedJob) (cluster.JobPlan, error) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	p := cluster.JobPlan{Job: j, New: true}
	if old := tn.jobs[j.ID.Name]; old != nil {
		p.New, p.CheckIndex = false, old.row.ModifyIndex
	}
	return p, nil
}

// Submit registers the job and lets it live.
func (tn *town) Submit(_ context.Context, j cluster.ParsedJob, _ uint64) (cluster.Submitted, error) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if tn.submitErr != nil {
		return cluster.Submitted{}, tn.submitErr
	}
	tn.did("submit %s", j.ID.Name)
	f, _ := j.Body.(cluster.JobFile)
	job := &townJob{row: cluster.Job{
		ID: j.ID, Type: "service", Status: "pending", Submitted: time.Now(), ModifyIndex: tn.next(), Kind: cluster.KindInference,
		Groups: []cluster.Group{{Name: "server", Count: 2, GPUs: []cluster.GPUAsk{{Task: "server", Name: "nvidia/gpu", Count: 1}}}},
	}}
	if j.ID.Name == "train-digits" {
		job.row.Type, job.row.Kind, job.row.Groups[0].Count = "batch", cluster.KindTraining, 1
	}
	tn.jobs[j.ID.Name] = job
	eval := tn.eval(j.ID)
	go tn.live(job, eval, f)
	return cluster.Submitted{Eval: eval}, nil
}

func (tn *town) eval(job cluster.JobID) cluster.EvalID {
	tn.evalSeq++
	id := cluster.EvalID(fmt.Sprintf("eval-%04d", tn.evalSeq))
	tn.feedLater(cluster.Update{Evaluations: []cluster.Evaluation{{ID: id, Job: job, Status: "pending", ModifyIndex: tn.next()}}})
	return id
}

// feedLater keeps the order and does not hold the town's lock.
func (tn *town) feedLater(u cluster.Update) {
	if !tn.evalsNever || len(u.Evaluations) == 0 {
		tn.feed.Scheduler(u)
	}
}

// live is the life of a job: placed, running, healthy or complete.
func (tn *town) live(job *townJob, eval cluster.EvalID, f cluster.JobFile) {
	time.Sleep(300 * time.Millisecond)
	tn.mu.Lock()
	id := job.row.ID
	for i := range job.row.Groups[0].Count {
		g := tn.freeGPU()
		job.allocs = append(job.allocs, cluster.Alloc{
			ID: cluster.AllocID(fmt.Sprintf("%s-%s-%d", eval, id.Name, i)), Name: fmt.Sprintf("%s.server[%d]", id.Name, i), Job: id, Group: "server", Node: "n1",
			NodeName: "gpu-a", Desired: "run", Client: "pending", Created: time.Now(), GPUs: []gpu.UUID{g},
			Tasks: []cluster.Task{{Name: "server", State: "pending", GPUs: []gpu.UUID{g}}}, ModifyIndex: tn.next(),
		})
	}
	job.row.Status = "running"
	job.row.ModifyIndex = tn.next()
	tn.tell(job, cluster.Update{Evaluations: []cluster.Evaluation{{ID: eval, Job: id, Status: "complete", ModifyIndex: tn.next()}}})
	tn.mu.Unlock()
	time.Sleep(time.Second)
	tn.become(job, "running")
	if job.row.Type == "batch" {
		time.Sleep(tn.trainFor)
		tn.finishTraining(job, f)
		return
	}
	time.Sleep(3 * time.Second)
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if tn.jobs[id.Name] == job && !job.row.Stopped {
		tn.feed.Scheduler(cluster.Update{Deployments: []cluster.Deployment{{ID: cluster.DeploymentID("dep-" + eval), Job: id, Status: "successful", ModifyIndex: tn.next()}}})
	}
}

func (tn *town) freeGPU() gpu.UUID {
	for i := range gpus {
		used := false
		for _, j := range tn.jobs {
			for _, a := range j.allocs {
				used = used || !a.Terminal() && a.GPUs[0] == uuid(i)
			}
		}
		if !used {
			return uuid(i)
		}
	}
	panic("the town is full")
}

func (tn *town) become(job *townJob, status string) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	tn.set(job, status)
}

func (tn *town) set(job *townJob, status string) {
	u := cluster.Update{}
	for i := range job.allocs {
		a := &job.allocs[i]
		if a.Terminal() {
			continue
		}
		a.Client, a.ModifyIndex, a.Modified = status, tn.next(), time.Now()
		svc := cluster.Service{ID: cluster.ServiceID("svc-" + string(a.ID)), Name: job.row.ID.Name, Namespace: "default", Job: job.row.ID.Name, Alloc: a.ID, Node: "n1", Address: "10.0.0.1", Port: 20000 + i, ModifyIndex: tn.next()}
		if status == "running" {
			u.Services = append(u.Services, svc)
		} else {
			u.GoneServices = append(u.GoneServices, svc.ID)
		}
	}
	u.Index = tn.index
	tn.tell(job, u)
}

func (tn *town) tell(job *townJob, u cluster.Update) {
	u.Jobs = []cluster.Job{job.row}
	u.Allocs = append([]cluster.Alloc(nil), job.allocs...)
	tn.feedLater(u)
}

func (tn *town) finishTraining(job *townJob, f cluster.JobFile) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if tn.jobs[job.row.ID.Name] != job || job.row.Stopped {
		return
	}
	job.row.Status, job.row.ModifyIndex = "dead", tn.next()
	tn.set(job, "complete")
	if tn.accuracy > 0 {
		version := strings.Trim(f.Vars["version"], `"`)
		urn, err := secrets.NewURN("digits", version)
		if err != nil {
			panic(err)
		}
		tn.arts = append(tn.arts, cluster.Artifact{
			URN: urn, Model: "digits", Version: version, Digest: "sha256:" + version, Key: "models", KeyVersion: 1,
			Evaluation: map[string]float64{"accuracy": tn.accuracy},
		})
		arts := append([]cluster.Artifact(nil), tn.arts...)
		go func() {
			time.Sleep(2 * time.Second) // the registry is polled
			tn.feed.Artifacts(arts)
		}()
	}
}

// Stop ends a job after a moment.
func (tn *town) Stop(_ context.Context, id cluster.JobID, purge bool) (cluster.Submitted, error) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	tn.did("stop %s purge=%t", id.Name, purge)
	job := tn.jobs[id.Name]
	if job == nil {
		return cluster.Submitted{}, &cluster.Fault{Kind: cluster.ErrNotFound, Text: "no such job"}
	}
	eval := tn.eval(id)
	job.row.Stopped, job.row.Status, job.row.ModifyIndex = true, "dead", tn.next()
	if purge {
		delete(tn.jobs, id.Name)
	}
	hangs := tn.stopHangs
	go func() {
		time.Sleep(time.Second)
		tn.mu.Lock()
		defer tn.mu.Unlock()
		tn.feedLater(cluster.Update{Evaluations: []cluster.Evaluation{{ID: eval, Job: id, Status: "complete", ModifyIndex: tn.next()}}})
		if hangs {
			return
		}
		tn.set(job, "complete")
		if purge {
			tn.feed.Scheduler(cluster.Update{Index: tn.next(), GoneJobs: []cluster.JobID{id}})
		}
	}()
	return cluster.Submitted{Eval: eval}, nil
}

// Scale changes the count.
func (tn *town) Scale(_ context.Context, id cluster.JobID, group string, n int) (cluster.Submitted, error) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	tn.did("scale %s.%s %d", id.Name, group, n)
	job := tn.jobs[id.Name]
	job.row.Groups = []cluster.Group{{Name: group, Count: n}}
	job.row.ModifyIndex = tn.next()
	tn.tell(job, cluster.Update{})
	return cluster.Submitted{}, nil
}

// RestartAlloc is only noted.
func (tn *town) RestartAlloc(_ context.Context, id cluster.AllocID) error {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	tn.did("restart %s", id)
	return nil
}

// Drain closes the node.
func (tn *town) Drain(context.Context, cluster.NodeID, time.Duration) (cluster.Submitted, error) {
	return tn.node("drain", true)
}

// Undrain opens the node.
func (tn *town) Undrain(context.Context, cluster.NodeID) (cluster.Submitted, error) {
	return tn.node("undrain", false)
}

// Ineligible closes the node and moves nothing.
func (tn *town) Ineligible(context.Context, cluster.NodeID) (cluster.Submitted, error) {
	return tn.node("ineligible", true)
}

func (tn *town) node(what string, draining bool) (cluster.Submitted, error) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	tn.did("%s", what)
	n := *tn.feed.Latest().Node("n1")
	n.Draining, n.Eligible, n.ModifyIndex = draining, !draining, tn.next()
	tn.feed.Scheduler(cluster.Update{Nodes: []cluster.Node{n}})
	return cluster.Submitted{}, nil
}

// drive stands for the workload's program: it puts load on and reports.
func (tn *town) drive(ctx context.Context, c scenarios.Command) error {
	tn.load(true)
	defer tn.load(false)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(20 * time.Second):
	}
	if !strings.Contains(strings.Join(c.Args, " "), "http://10.0.0.1:20000,http://10.0.0.1:20001") {
		return errors.New("wrong addresses")
	}
	_, err := io.WriteString(c.Stdout, "warming up\n"+`{"requests":400,"errors":0,"error_rate":0,"accuracy":0.97,"p95_seconds":0.004}`+"\n")
	return err
}

func (tn *town) load(on bool) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	tn.loaded = on
}

// env is what a run in the town needs.
func (tn *town) env(runID string) scenarios.Env {
	return scenarios.Env{
		Feed: tn.feed, Packs: pack.Library{}, Now: time.Now, RunID: runID,
		Actions:  &action.Runner{Scheduler: tn, Audit: action.NewAudit(&tn.audit, "town", "tester"), Now: time.Now},
		PackVars: map[string]string{"vault_addr": "http://127.0.0.1:8200", "unknown_to_all": "x"},
		Programs: map[string]string{"workload": "/bin/workload", "other": "/bin/other"},
		Exec:     tn.drive,
	}
}

// busy says what of the town is still in use.
func (tn *town) busy() []string {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	var out []string
	for name, j := range tn.jobs {
		for _, a := range j.allocs {
			if !a.Terminal() {
				out = append(out, name)
			}
		}
	}
	return out
}

func parse(t *testing.T, text string) *scenarios.Scenario {
	t.Helper()
	s, err := scenarios.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
