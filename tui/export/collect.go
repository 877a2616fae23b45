package export

import (
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stoker/cluster"
)

// staleAfter is how long after Nomad's last answer its rows still count as true.
const staleAfter = time.Minute

// collector exports the latest snapshot. It is unchecked (it describes
// nothing), since which series exist depends on what is known.
type collector struct {
	e    *Exporter
	same *kit // of one cluster

	mu    sync.Mutex
	sites map[cluster.Place]*kit // of several
}

func newCollector(e *Exporter) *collector {
	return &collector{e: e, same: newKit(e, nil), sites: map[cluster.Place]*kit{}}
}

// kitOf describes the series of one cluster: of several, each says of which it is.
func (c *collector) kitOf(s, one *cluster.Snapshot) *kit {
	if s.Members == nil {
		return c.same
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.sites[one.Place]
	if k == nil {
		k = newKit(c.e, prometheus.Labels{"cluster": one.Place.Cluster, "region": one.Place.Region})
		c.sites[one.Place] = k
	}
	return k
}

// kit is what the series of a cluster are made with.
type kit struct {
	e *Exporter

	build, taken, up      *prometheus.Desc
	node, ready, eligible *prometheus.Desc
	states                *prometheus.Desc
	holder, idle, idleFor *prometheus.Desc
	rogue                 *prometheus.Desc
	perJob, perSpace      []family
}

// family is one metric of a job or a namespace.
type family struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*cluster.Usage) *float64 // nil: unknown, no series
}

func newKit(e *Exporter, of prometheus.Labels) *kit {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("stoker_"+name, help, labels, of)
	}
	gpuDesc := func(name, help string, more ...string) *prometheus.Desc {
		return d("gpu_"+name, help, append([]string{"uuid", "gpu", "node"}, more...)...)
	}
	return &kit{
		e:        e,
		build:    d("export_build_info", "What was built; always 1.", "version", "goversion"),
		taken:    d("export_snapshot_timestamp_seconds", "When what is exported was put together."),
		up:       d("source_up", "1 while a source of facts answers, 0 while it does not.", "source"),
		node:     d("node_info", "What the Nomad node is; always 1.", "node_id", "node", "pool", "datacenter", "class", "nomad_version"),
		ready:    d("node_ready", "1 while the node answers Nomad's servers.", "node_id", "node"),
		eligible: d("node_schedulable", "1 while the node takes new work.", "node_id", "node"),
		states:   d("gpus", "GPUs in each state; a GPU is in one.", "state"),
		holder:   gpuDesc("holder_info", "Which allocation holds the GPU; always 1, absent while nobody does.", "alloc_id", "task", "job", "namespace"),
		idle:     gpuDesc("idle", "1 while the GPU is held and no work was seen for five minutes."),
		idleFor:  gpuDesc("quiet_seconds", "For how long the GPU has been held without work, as far as the exporter watched."),
		rogue:    gpuDesc("rogue", "1 while somebody works on the GPU and nobody holds it."),
		perJob:   families(d, "job", []string{"namespace", "job"}),
		perSpace: families(d, "namespace", []string{"namespace"}),
	}
}

func families(d func(name, help string, labels ...string) *prometheus.Desc, of string, labels []string) []family {
	g, c := prometheus.GaugeValue, prometheus.CounterValue
	count := func(n int) *float64 { v := float64(n); return &v }
	f := func(name, help string, kind prometheus.ValueType, value func(*cluster.Usage) *float64) family {
		return family{d(of+"_"+name, strings.ReplaceAll(help, "WHO", of), labels...), kind, value}
	}
	return []family{
		f("gpus_held", "GPUs that the WHO holds.", g, func(u *cluster.Usage) *float64 { return count(u.GPUs) }),
		f("gpus_idle", "Of these, held without work for five minutes.", g, func(u *cluster.Usage) *float64 {
			if u.Reporting == 0 {
				return nil
			}
			return count(u.Idle)
		}),
		f("utilization_ratio", "Mean over the WHO's GPUs that report.", g, func(u *cluster.Usage) *float64 {
			if u.UtilPercent == nil {
				return nil
			}
			part := *u.UtilPercent / 100
			return &part
		}),
		f("power_watts", "Sum over the WHO's GPUs that report their power.", g, func(u *cluster.Usage) *float64 { return u.PowerWatts }),
		f("energy_joules_total", "Energy that the WHO's GPUs used while it held them, since the exporter began.", c, func(u *cluster.Usage) *float64 { return u.Account.Joules() }),
		f("held_gpu_seconds_total", "GPU-seconds held while the utilisation was known.", c, func(u *cluster.Usage) *float64 { return counted(u, u.Account.HeldSeconds) }),
		f("busy_gpu_seconds_total", "Of these, those in which the GPUs worked.", c, func(u *cluster.Usage) *float64 { return counted(u, u.Account.BusySeconds) }),
	}
}

// counted is a sum of an account that was opened.
func counted(u *cluster.Usage, sum float64) *float64 {
	if u.Account.Since.IsZero() {
		return nil
	}
	return &sum
}

// Describe describes nothing: see collector.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends what is true now.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.e.Latest()
	send(ch, c.same.build, prometheus.GaugeValue, 1, c.e.Version, runtime.Version())
	for _, one := range s.Each() {
		c.kitOf(s, one).collect(ch, one)
	}
}

// collect sends what is true of one cluster.
func (c *kit) collect(ch chan<- prometheus.Metric, s *cluster.Snapshot) {
	const g = prometheus.GaugeValue
	if s.Rev > 0 {
		send(ch, c.taken, g, float64(s.At.UnixNano())/1e9)
	}
	for _, src := range s.Sources {
		if src.State != cluster.SourceOff {
			send(ch, c.up, g, flag(src.State == cluster.SourceLive), src.Name)
		}
	}
	if c.e.current(s, "nomad/nodes") && s.Known&cluster.SetNodes != 0 {
		c.nodes(ch, s)
	}
	if c.e.current(s, "nomad") && s.Known&cluster.SetAllocs != 0 {
		c.gpus(ch, s)
		for _, u := range s.JobUsage() {
			collect(ch, c.perJob, &u, u.Job.Namespace, u.Job.Name)
		}
		for _, u := range s.NamespaceUsage() {
			collect(ch, c.perSpace, &u, u.Job.Namespace)
		}
	}
}

func (c *kit) nodes(ch chan<- prometheus.Metric, s *cluster.Snapshot) {
	for i := range s.Nodes {
		n := &s.Nodes[i]
		send(ch, c.node, prometheus.GaugeValue, 1, string(n.ID), n.Name, n.Pool, n.Datacenter, n.Class, n.Version)
		send(ch, c.ready, prometheus.GaugeValue, flag(n.Status == cluster.NodeReady), string(n.ID), n.Name)
		send(ch, c.eligible, prometheus.GaugeValue, flag(n.Open()), string(n.ID), n.Name)
	}
}

func (c *kit) gpus(ch chan<- prometheus.Metric, s *cluster.Snapshot) {
	const g = prometheus.GaugeValue
	states := map[string]int{"held": 0, "free": 0, "idle": 0, "rogue": 0, "failed": 0, "closed": 0, "down": 0, "split": 0}
	if !s.Claims() { // who holds a GPU may be out of sight
		delete(states, "free")
		delete(states, "closed")
		delete(states, "rogue")
	}
	for i := range s.GPUs {
		d := &s.GPUs[i]
		states[d.State()]++
		label := []string{string(d.UUID), strconv.Itoa(d.Index), d.NodeName}
		if h := d.Holder; h != nil {
			send(ch, c.holder, g, 1, append(label, string(h.Alloc), h.Task, h.Job.Name, h.Job.Namespace)...)
		}
		if !d.NodeUp || d.Util() == nil {
			continue // nobody can say whether it works
		}
		send(ch, c.idle, g, flag(d.Idle()), label...)
		if d.Claims {
			send(ch, c.rogue, g, flag(d.Rogue()), label...)
		}
		if d.Holder != nil {
			quiet := 0.0
			if since := d.QuietSince(); !since.IsZero() {
				quiet = max(d.Sample.At.Sub(since).Seconds(), 0) // both by the clock of the node
			}
			send(ch, c.idleFor, g, quiet, label...)
		}
	}
	for state, n := range states {
		send(ch, c.states, g, float64(n), state)
	}
}

func collect(ch chan<- prometheus.Metric, list []family, u *cluster.Usage, labels ...string) {
	for _, f := range list {
		if v := f.value(u); v != nil {
			send(ch, f.desc, f.kind, *v, labels...)
		}
	}
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// send makes a metric. Names come from other programs: what is not UTF-8 in
// them is replaced, since it would fail the whole scrape.
func send(ch chan<- prometheus.Metric, d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
	for i := range labels {
		labels[i] = strings.ToValidUTF8(labels[i], "\uFFFD")
	}
	ch <- prometheus.MustNewConstMetric(d, t, v, labels...)
}
