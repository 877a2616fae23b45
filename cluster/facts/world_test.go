package facts

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/secrets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// fed plays puts into a Feed, half a second after each other, and returns the
// last snapshot.
func fed(t *testing.T, puts ...func(*cluster.Feed)) *cluster.Snapshot {
	t.Helper()
	var mu sync.Mutex
	now := start()
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	feed := cluster.NewFeed(cluster.Place{Cluster: "lab", Region: "global"}, clock)
	snapshots, _ := feed.Subscribe()
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { _ = feed.Run(ctx) })
	defer run.Wait()
	defer cancel()
	last := feed.Latest()
	for _, put := range puts {
		mu.Lock()
		now = now.Add(time.Second / 2)
		mu.Unlock()
		put(feed)
		select {
		case last = <-snapshots:
		case <-time.After(10 * time.Second):
			t.Fatal("no snapshot came")
		}
	}
	return last
}

// source puts the state of one source.
func source(name string, state cluster.SourceState, err string) func(*cluster.Feed) {
	s := cluster.SourceStatus{Name: name, State: state, Err: err}
	if state == cluster.SourceLive {
		s.AsOf = start()
	}
	return func(f *cluster.Feed) { f.Source(s) }
}

func p[V any](v V) *V { return &v }

func here() cluster.Place { return cluster.Place{Cluster: "lab", Region: "global"} }

func id(name string) cluster.JobID { return cluster.JobID{Namespace: "default", Name: name} }

// update is two nodes with three GPUs: one serves, one trains, and of the third
// nobody knows a thing. A job waits for more.
func update() cluster.Update {
	ago := func(d time.Duration) time.Time { return start().Add(-d) }
	node := func(id, name string, uuids ...gpu.UUID) cluster.Node {
		n := cluster.Node{
			Place: here(), ID: cluster.NodeID(id), Name: name, Pool: "gpu", Address: "10.0.0.1", Version: "1.11.3",
			Status: cluster.NodeReady, Eligible: true, CPUMHz: 24000, MemoryMB: 512000, ModifyIndex: 1,
		}
		for _, u := range uuids {
			n.Devices = append(n.Devices, cluster.NodeDevice{UUID: u, Model: "H100", PCI: "0000:1b:00.0", Healthy: true})
		}
		return n
	}
	job := func(name string, kind cluster.Kind, count int) cluster.Job {
		return cluster.Job{
			Place: here(), ID: id(name), Type: "service", Status: "running", Priority: 50, Submitted: ago(time.Hour), Kind: kind, ModifyIndex: 1,
			Groups: []cluster.Group{{Name: "g", Count: count, GPUs: []cluster.GPUAsk{{Task: "t", Name: "nvidia/gpu", Count: 1}}}},
		}
	}
	alloc := func(name, of, on, node string, held ...gpu.UUID) cluster.Alloc {
		return cluster.Alloc{
			Place: here(), ID: cluster.AllocID(name + "-1111"), Name: of + ".g[0]", Job: id(of), Group: "g", Node: cluster.NodeID(node), NodeName: on,
			Desired: "run", Client: "running", Healthy: p(true), Created: ago(time.Hour), Modified: ago(time.Minute), GPUs: held, ModifyIndex: 1,
			Tasks: []cluster.Task{{Name: "t", State: "running", Restarts: 2, GPUs: held, Events: []cluster.TaskEvent{{At: ago(time.Minute), Type: "Started", Text: "Task started"}}}},
		}
	}
	chat, train := job("chat", cluster.KindInference, 1), job("train", cluster.KindTraining, 1)
	chat.Model, chat.ModelVer, chat.Version = "llm", "v2", 3
	wants, plain := job("wants", "", 4), job("agent", "", 1)
	wants.Status, plain.Type, plain.Groups[0].GPUs = "pending", "system", nil
	return cluster.Update{
		Lists: cluster.SetAll | cluster.SetPools | cluster.SetNamespaces | cluster.SetVariables, Index: 10,
		Nodes:  []cluster.Node{node("n1", "gpu-a", "GPU-1", "GPU-2"), node("n2", "gpu-b", "GPU-3")},
		Jobs:   []cluster.Job{chat, train, wants, plain},
		Allocs: []cluster.Alloc{alloc("a1", "chat", "gpu-a", "n1", "GPU-1"), alloc("a2", "train", "gpu-a", "n1", "GPU-2")},
		Deployments: []cluster.Deployment{{
			Place: here(), ID: "d1", Job: id("chat"), JobVersion: 3, Created: ago(time.Hour), Status: "successful", StatusText: "Deployment completed successfully", ModifyIndex: 1,
			Groups: []cluster.DeploymentGroup{{Name: "g", Desired: 2, Placed: 2, Healthy: 1, Unhealthy: 1, Canaries: 1, Promoted: true}, {Name: "h", Desired: 1}},
		}},
		Evaluations: []cluster.Evaluation{{
			Place: here(), ID: "e1", Job: id("wants"), Type: "service", Priority: 50, Status: "blocked", StatusText: "created to place remaining allocations",
			TriggeredBy: "queued-allocs", Created: ago(time.Minute), Modified: ago(30 * time.Second), Node: "n1", Deployment: "d1", Prev: "e0", Next: "e2", Blocked: "e3", ModifyIndex: 1,
			Failures: []cluster.PlacementFailure{{
				Group: "g", Unplaced: 4, Evaluated: 2, Filtered: 1, Exhausted: 1,
				Constraints: map[string]int{"missing devices": 1}, Dimensions: map[string]int{"memory": 1}, Quota: []string{"cores"},
			}},
		}},
		Services: []cluster.Service{{
			Place: here(), ID: "_nomad-1", Name: "chat-api", Namespace: "default", Job: "chat", Alloc: "a1-1111", Node: "n1", Address: "10.0.0.1", Port: 21001,
			Tags: []string{"stoker.metrics=/metrics", "v2"}, ModifyIndex: 1,
		}},
		Pools: []cluster.NodePool{
			{Place: here(), Name: "all", ModifyIndex: 1},
			{Place: here(), Name: "gpu", Description: "machines with GPUs", Scheduler: "spread", Meta: map[string]string{"row": "7", "hall": "B"}, ModifyIndex: 1},
		},
		Namespaces: []cluster.Namespace{
			{Place: here(), Name: "default", Description: "everybody", Quota: "small", Pool: "gpu", Meta: map[string]string{"team": "ml"}, ModifyIndex: 1},
			{Place: here(), Name: "empty", ModifyIndex: 1},
		},
		Variables: []cluster.Variable{{
			Place: here(), ID: cluster.VariableID{Namespace: "default", Path: "stoker/models/llm"}, Created: ago(time.Hour), Modified: ago(time.Minute), Locked: new(bool), ModifyIndex: 1,
		}},
	}
}

// readings come from gpu-a alone: one GPU works, one does not.
func readings(after time.Duration) gpu.Batch {
	at := start().Add(after)
	b := gpu.Batch{Node: "n1", Source: "agent", At: at, Driver: "580.95.05", CUDA: "13.0"}
	for i, u := range []gpu.UUID{"GPU-1", "GPU-2"} {
		b.Devices = append(b.Devices, gpu.Device{
			UUID: u, Index: i, Model: "H100", PCI: "0000:1b:00.0", MemoryBytes: 80 << 30, Serial: "165", VBIOS: "96.00.89.00.01", ComputeMode: "default",
			Persistence: p(true), ECC: p(true), MIG: p(false), BAR1Bytes: p(uint64(128 << 30)), SlowdownCelsius: p(87.0), ShutdownCelsius: p(92.0),
			PowerDefaultLimitWatts: p(700.0), MaxSMClockMHz: p(1980.0), MaxMemClockMHz: p(2619.0), MaxPCIeGen: p(5), MaxPCIeWidth: p(16),
		})
		b.Samples = append(b.Samples, gpu.Sample{
			UUID: u, At: at, UtilPercent: p(40.0 - 40*float64(i)), MemoryUsedBytes: p(uint64(60 << 30)), PowerWatts: p(500.0), PowerLimitWatts: p(700.0),
			TempCelsius: p(60.0 + float64(i)), SMClockMHz: p(1980.0), MemClockMHz: p(2619.0), EnergyJoules: p(1e9 + 500*after.Seconds()), Throttle: []string{"sw_power_cap"},
			ECCCorrected: p(uint64(0)), ECCUncorrected: p(uint64(0)), Health: []gpu.Health{{Verdict: gpu.VerdictWatch, Reason: "row remap pending"}, {Verdict: gpu.VerdictOK}}[i],
			MemoryUtilPercent: p(30.0), PState: p(0), FanPercent: p(40.0), EncoderPercent: p(0.0), DecoderPercent: p(0.0),
			PCIeTxBytesPerSec: p(1e9), PCIeRxBytesPerSec: p(2e9), RowRemapPending: p(true), RowRemapFailure: p(false), Detail: detail(),
			Processes: []gpu.Process{{
				PID: 7, Start: 99, Name: "python3", Command: "python3 train.py", User: "ann", Type: "C", MemoryBytes: 59 << 30, UtilPercent: p(39.0),
				CPUPercent: p(150.0), HostMemoryBytes: p(uint64(9 << 30)), AllocID: "a1-1111", Task: "t",
			}},
		})
	}
	b.Events = []gpu.Event{{UUID: "GPU-1", At: start(), Kind: gpu.EventXid, Xid: 31, Text: "Xid 31"}}
	return b
}

func detail() *gpu.Detail {
	link := func(n int, up bool, errors uint64) gpu.NVLink {
		return gpu.NVLink{
			Link: n, Up: up, SpeedMBPerSec: p(26562.0), TxBytesPerSec: p(1e9), RxBytesPerSec: p(3e9),
			Replays: p(errors), Recoveries: p(uint64(0)), CRCErrors: p(uint64(1)),
		}
	}
	return &gpu.Detail{
		MemoryFreeBytes: p(uint64(19 << 30)), MemoryReservedBytes: p(uint64(1 << 30)), BAR1UsedBytes: p(uint64(1 << 20)), MemTempCelsius: p(70.0),
		TempMarginCelsius: p(26.0), VideoClockMHz: p(1545.0), JPEGPercent: p(0.0), OFAPercent: p(0.0), PCIeGen: p(5), PCIeWidth: p(16), PCIeReplays: p(uint64(2)),
		ThrottleSeconds:   map[string]float64{"sw_power_cap": 12.5, "hw_thermal_slowdown": 0},
		ECCCorrectedTotal: p(uint64(4)), ECCUncorrectedTotal: p(uint64(0)), RowsCorrectable: p(uint64(1)), RowsUncorrectable: p(uint64(0)),
		PagesSingleBit: p(uint64(0)), PagesDoubleBit: p(uint64(0)), PagesPending: p(false),
		NVLinks: []gpu.NVLink{link(0, true, 0), link(1, false, 6)},
		GPM: &gpu.GPM{
			SMPercent: p(90.0), OccupancyPercent: p(50.0), TensorPercent: p(40.0), DRAMPercent: p(60.0), FP16Percent: p(1.0), FP32Percent: p(2.0), FP64Percent: p(0.0),
		},
	}
}

func served() cluster.ModelSample {
	q := func(s float64, bound string) *cluster.Quantile { return &cluster.Quantile{Seconds: s, Bound: bound} }
	return cluster.ModelSample{
		Place: here(), Key: cluster.ModelKey{Job: id("chat"), Model: "llm", Version: "v2"}, At: start(), Window: 30 * time.Second, Replicas: 1,
		Requests: p(12.5), ErrorRatio: p(0.01), RejectedRatio: p(0.0), P50: q(0.02, ""), P95: q(0.08, ""), P99: q(10, "≥"), InFlight: p(2.0),
		Queue: p(1.0), TTFT95: q(0.1, "<"), TokensPerSec: p(900.0), KVCacheRatio: p(0.4), RequestsServed: p(12345.0),
	}
}

// filled holds at least one row of every view, with everything known.
func filled(t *testing.T) *cluster.Snapshot {
	t.Helper()
	urn, err := secrets.NewURN("llm", "v2")
	if err != nil {
		t.Fatal(err)
	}
	created := start().Add(-24 * time.Hour)
	return fed(
		t, source("nomad", cluster.SourceLive, ""), source("nomad/nodes", cluster.SourceLive, ""), source("agents", cluster.SourceLive, ""),
		source("pools", cluster.SourceLive, ""), source("namespaces", cluster.SourceLive, ""), source("variables", cluster.SourceLive, ""),
		source("agent gpu-a", cluster.SourceLive, ""), source("vault", cluster.SourceLive, ""), source("metrics", cluster.SourceLive, ""),
		source("registry", cluster.SourceRetrying, "refused"), source("registry", cluster.SourceLive, ""), source("agent gpu-b", cluster.SourceRetrying, "no route to host"),
		func(f *cluster.Feed) { f.Scheduler(update()) },
		func(f *cluster.Feed) { f.GPUs(readings(-2 * time.Second)) },
		func(f *cluster.Feed) { f.GPUs(readings(0)) },
		func(f *cluster.Feed) { f.Models([]cluster.ModelSample{served()}) },
		func(f *cluster.Feed) {
			f.Training([]cluster.TrainingSample{{
				Place: here(), Job: id("train"), Alloc: "a2", Model: "digits", Version: "v7", At: start(), Step: p(100.0), PlannedSteps: p(400.0),
				Epoch: p(1.0), Loss: p(0.3), Accuracy: p(0.91), LearningRate: p(0.001), SamplesPerSec: p(2048.0),
			}})
		},
		func(f *cluster.Feed) {
			f.Artifacts([]cluster.Artifact{{
				Place: here(), URN: urn, Model: "llm", Version: "v2", Key: "models", KeyVersion: 1, Created: created, Evaluation: map[string]float64{"accuracy": 0.76},
			}})
		},
		func(f *cluster.Feed) {
			f.Vault(secrets.State{Initialised: true, At: start(), KeysAt: start(), Keys: []secrets.Key{{
				Name: "models", Type: "aes256-gcm96", Derived: true, Latest: 2, MinDecryption: 1,
				Versions: []secrets.KeyVersion{{Version: 1, Created: created}, {Version: 2, Created: start()}},
			}}})
		},
	)
}

// bare is a cluster of which only the lists are known.
func bare(t *testing.T) *cluster.Snapshot {
	t.Helper()
	u := update()
	for i := range u.Jobs {
		u.Jobs[i].Groups = nil // its specification was not read
	}
	for i := range u.Allocs {
		u.Allocs[i].Healthy, u.Allocs[i].Tasks = nil, nil
	}
	u.Deployments, u.Evaluations = nil, nil
	return fed(
		t, func(f *cluster.Feed) { f.Scheduler(u) },
		func(f *cluster.Feed) {
			f.Vault(secrets.State{Keys: []secrets.Key{{Name: "models"}}})
		},
	)
}

// row is the first row of a view in which the column has the value.
func row(t *testing.T, s *cluster.Snapshot, view, column string, value any) map[string]any {
	t.Helper()
	v, ok := Find(view)
	if !ok {
		t.Fatalf("no view %s", view)
	}
	for _, r := range v.Rows(s) {
		if m := v.Map(r); m[column] == value {
			return m
		}
	}
	t.Fatalf("no row of %s has %s = %v", view, column, value)
	return nil
}
