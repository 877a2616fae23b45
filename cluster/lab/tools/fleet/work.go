package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"
)

// The namespaces of the fleet's jobs, beside the default one.
const (
	nsProd     = "prod"
	nsResearch = "research"
)

// ask is one job, in the few words in which the fleet's jobs differ.
type ask struct {
	id, namespace, pool, kind string // kind is what meta stoker.kind says
	typ                       string // Nomad's job type
	count                     int
	gpus                      uint64
	device                    string // "nvidia/gpu", or one model
	model, version            string
	load                      string
	seconds                   int // how long a task of a batch job runs; 0: for ever
	exit                      int
	memoryMB                  int
	rack                      string // must run there
	run                       int    // how often it was submitted before: makes a new version of it
	priority                  int
}

// group is the name of its task group, and of its task.
func (k ask) group() string {
	switch k.kind {
	case "training":
		return "trainer"
	case "inference":
		return "server"
	}
	return "main"
}

// job writes it out.
func (k ask) job() *api.Job {
	j := api.NewServiceJob(k.id, k.id, region, k.priority)
	j.Type, j.Namespace, j.NodePool, j.Datacenters = &k.typ, &k.namespace, &k.pool, []string{"*"}
	j.Meta = map[string]string{metaFleet: simulated}
	// Where jobs of the fleet may run in any pool, the real nodes are not meant.
	j.Constrain(api.NewConstraint("${meta."+metaFleet+"}", "=", simulated))
	for key, value := range map[string]string{"stoker.kind": k.kind, "stoker.model": k.model, "stoker.version": k.version, metaLoad: k.load} {
		if value != "" {
			j.Meta[key] = value
		}
	}
	if k.seconds > 0 {
		j.Meta[metaSeconds] = strconv.Itoa(k.seconds)
	}
	if k.exit != 0 {
		j.Meta[metaExit] = strconv.Itoa(k.exit)
	}
	if k.run > 0 {
		j.Meta["fleet.run"] = strconv.Itoa(k.run)
	}
	if k.rack != "" {
		j.Constrain(api.NewConstraint("${meta.rack}", "=", k.rack))
	}
	name := k.group()
	task := api.NewTask(name, "docker")
	task.SetConfig("image", "registry.example/"+k.id+":"+k.version)
	cpu := 500 + 4000*int(k.gpus)
	memory := k.memoryMB + 60000*int(k.gpus)
	task.Resources = &api.Resources{CPU: &cpu, MemoryMB: &memory}
	if k.gpus > 0 {
		task.Resources.Devices = []*api.RequestedDevice{{Name: k.device, Count: &k.gpus}}
	}
	group := api.NewTaskGroup(name, k.count).AddTask(task)
	if k.typ == api.JobTypeService {
		if k.kind != "" {
			group.Networks = []*api.NetworkResource{{DynamicPorts: []api.Port{{Label: "http"}}}}
			group.Services = []*api.Service{{Name: strings.ReplaceAll(k.id, ".", "-"), PortLabel: "http", Provider: "nomad"}}
		}
		healthy, limit, parallel := 3*time.Second, 5*time.Minute, max(1, k.count/10)
		if k.kind == "" {
			parallel = 0 // no deployments: each would let the scheduler look at the job again and again
		}
		group.Update = &api.UpdateStrategy{MinHealthyTime: &healthy, HealthyDeadline: &limit, MaxParallel: &parallel}
	}
	if k.exit != 0 {
		tries, mode := 0, "fail"
		group.RestartPolicy = &api.RestartPolicy{Attempts: &tries, Mode: &mode}
	}
	j.AddTaskGroup(group)
	return j
}

var models = []string{
	"llama-3.1-8b", "llama-3.3-70b", "qwen2.5-32b", "mistral-small", "mixtral-8x7b", "gemma-2-27b", "phi-4", "deepseek-v3", "whisper-large", "bge-m3",
	"sdxl", "flux-dev", "codestral", "command-r", "nemo-guard", "rerank-v2",
}

// asks are the jobs that fill n nodes with about perNode allocations each, those of
// the agents included, and hold most of their GPUs; a few ask for what there is not.
func asks(n, perNode int) []ask {
	var out []ask
	share := func(part float64) int { return int(math.Round(part * float64(n))) }
	total := n // the agents
	add := func(k ask) {
		out = append(out, k)
		total += k.count
	}
	spread(share(0.31), share(0.08), func(i, count int) {
		add(ask{
			id: fmt.Sprintf("train-%s-%03d", models[i%len(models)], i), namespace: pick(i, nsResearch, nsResearch, nsProd), pool: poolTrain, kind: "training", typ: api.JobTypeBatch,
			count: count, gpus: 8, device: "nvidia/gpu", model: models[i%len(models)], version: strconv.Itoa(1 + i%7), load: loadTrain, priority: 60,
		})
	})
	serve := func(part, jobs float64, gpus uint64, pool, what string, priority int) {
		spread(share(part), share(jobs), func(i, count int) {
			k := ask{
				id: fmt.Sprintf("%s-%s-%d-%02d", what, models[(i+int(gpus))%len(models)], gpus, i), namespace: pick(i, nsProd, nsProd, "default", nsResearch), pool: pool, kind: "inference", typ: api.JobTypeService,
				count: count, gpus: gpus, device: "nvidia/gpu", model: models[(i+int(gpus))%len(models)], version: strconv.Itoa(1 + i%5), load: loadServe, priority: priority,
			}
			if i%15 == 7 {
				k.load = loadIdle
			}
			add(k)
		})
	}
	serve(0.25, 0.012, 4, poolInfer, "serve", 58)
	serve(0.40, 0.02, 2, poolInfer, "serve", 54)
	serve(1.70, 0.05, 1, poolInfer, "serve", 50)
	serve(0.50, 0.02, 1, poolDev, "demo", 50)
	spread(share(0.40), share(0.05), func(i, count int) {
		add(ask{id: fmt.Sprintf("notebook-%03d", i), namespace: nsResearch, pool: poolDev, typ: api.JobTypeBatch, count: count, gpus: 1, device: "nvidia/gpu", load: loadBursts, version: "1", priority: 45})
	})
	out = append(out, waiting(n)...)
	// What has no GPU fills up: one of each on every node, and services.
	for _, name := range []string{"node-exporter", "log-shipper"} {
		if perNode*n-total >= n {
			add(ask{id: name, namespace: nsProd, pool: "all", typ: api.JobTypeSystem, count: 1, version: "1", memoryMB: 64, priority: 70})
			total += n - 1
		}
	}
	spread(max(0, perNode*n-total), share(0.06), func(i, count int) {
		names := []string{"gateway", "tokenizer", "feature-store", "cache", "queue-worker", "preprocess", "eval-harness", "dataset-sync"}
		k := ask{
			id: fmt.Sprintf("%s-%02d", names[i%len(names)], i), namespace: pick(i, "default", nsProd, nsResearch), pool: "all", typ: api.JobTypeService,
			count: count, version: strconv.Itoa(1 + i%9), memoryMB: 512, priority: 40,
		}
		if k.id[:2] == "ga" {
			k.kind = "gateway"
		}
		add(k)
	})
	return out
}

// waits tells that the job is meant to wait.
func (k ask) waits() bool { return strings.HasPrefix(k.id, "wait-") }

// waiting are jobs that cannot run, each for another reason.
func waiting(n int) []ask {
	base := ask{kind: "training", typ: api.JobTypeBatch, count: 1, gpus: 1, device: "nvidia/gpu", version: "1", load: loadTrain, namespace: nsResearch, pool: poolTrain, priority: 50}
	big, model, rack, memory, many := base, base, base, base, base
	big.id, big.gpus = "wait-sixteen-gpus", 16
	model.id, model.device, model.pool = "wait-h100-in-dev", "nvidia/gpu/"+h100.name, poolDev
	rack.id, rack.rack = "wait-rack", "r999"
	memory.id, memory.memoryMB = "wait-memory", 2*memoryMB
	many.id, many.gpus, many.count = "wait-for-others", 8, max(2, n/12)
	return []ask{big, model, rack, memory, many}
}

// spread shares total out among about so many jobs, of unequal sizes.
func spread(total, jobs int, each func(i, count int)) {
	jobs = max(1, min(jobs, total))
	for i, left := 0, total; left > 0; i++ {
		count := max(1, left)
		if i < jobs-1 {
			// The first are large, the last small.
			count = max(1, int(math.Round(float64(total)*2*float64(jobs-i)/float64(jobs*(jobs+1)))))
		}
		count = min(count, left)
		each(i, count)
		left -= count
	}
}

func pick(i int, from ...string) string { return from[i%len(from)] }

// clients are the HTTP APIs of all servers, with the lab's token.
func clients(c config, token string) ([]*api.Client, error) {
	var out []*api.Client
	for addr := range strings.SplitSeq(c.http, ",") {
		cl, err := api.NewClient(&api.Config{Address: addr, SecretID: token})
		if err != nil {
			return nil, err
		}
		out = append(out, cl)
	}
	return out, nil
}

// wanted is how many allocations the jobs make, the agents included.
func wanted(n, perNode int) int {
	total := n
	for _, k := range asks(n, perNode) {
		switch {
		case k.typ == api.JobTypeSystem:
			total += n
		case !k.waits():
			total += k.count
		}
	}
	return total
}

// submitting is how many jobs are submitted at once.
const submitting = 4

// submit makes the namespaces and submits the jobs that are not there yet.
func submit(ctx context.Context, cl *api.Client, jobs []ask, log func(string, ...any)) error {
	began := time.Now()
	for _, name := range []string{nsProd, nsResearch} {
		if _, err := cl.Namespaces().Register(&api.Namespace{Name: name, Description: "of the simulated fleet"}, nil); err != nil {
			return fmt.Errorf("make namespace %s: %w", name, err)
		}
	}
	there := map[string]bool{}
	list, _, err := cl.Jobs().List(&api.QueryOptions{Namespace: "*"})
	if err != nil {
		return fmt.Errorf("list jobs: %w", err)
	}
	for _, j := range list {
		there[j.Namespace+"/"+j.ID] = !j.Stop
	}
	g, _ := errgroup.WithContext(ctx)
	g.SetLimit(submitting)
	for _, k := range jobs {
		if there[k.namespace+"/"+k.id] {
			continue
		}
		g.Go(func() error {
			if _, _, err := cl.Jobs().Register(k.job(), nil); err != nil {
				return fmt.Errorf("submit job %s: %w", k.id, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	log("submitted %d jobs in %s", len(jobs), time.Since(began).Round(time.Millisecond))
	return nil
}
