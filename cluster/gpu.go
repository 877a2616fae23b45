package cluster

import (
	"time"

	"stoker/gpu"
)

// GPU is one device joined to its node, its latest sample and what holds it. A
// fleet has thousands, and a snapshot a row of each: what many of them have in
// common is in memory once. What the embedded pointers lead to is never changed,
// and in a Snapshot none of them is nil.
type GPU struct {
	*Host
	*gpu.Device
	*Reading
	Sample *gpu.Sample // nil until a source reported
	Holder *Holder     // nil when no live allocation holds it
	Claims bool        // it is known which allocations there are, so no Holder means that nobody holds it

	// Schedulable is what Nomad was told: whether it places work on the device.
	// Known is false where the node never offered it.
	Known, Schedulable bool
	// Split says that the device is cut into MIG instances, which have rows of
	// their own: they are what is held and free, and it is neither.
	Split   bool
	Health  gpu.Health
	History *History
	Events  []GPUEvent // oldest first

	behind time.Duration // by how much its node's clock is behind ours, as far as is known
}

// Host is what the GPUs of one node have in common.
type Host struct {
	Place
	Node     NodeID
	NodeName string
	Pool     string // the node's pool
	NodeUp   bool
	NodeOpen bool // the node takes new work
	Alone    bool // the node has no scheduler: nobody holds or offers its GPUs
}

// Reading is what the samples have in common that came together.
type Reading struct {
	Heard  time.Time // when they came, by our clock; zero before any did
	Source string    // which source they came from: "agent", "nomad"
	Driver string
	CUDA   string
	Lacks  []string // functions that the driver's library does not have: what they tell is unknown
}

// GPUStates are the words of GPU.State, what is wrong first.
func GPUStates() []string {
	return []string{"failed", "down", "degraded", "watch", "rogue", "idle", "closed", "held", "split", "in use", "free", "unknown"}
}

// State is the one word for a GPU: a verdict that is not good, degraded or watch,
// before its Standing, unless that is worse.
func (g *GPU) State() string {
	v := g.Health.Verdict
	if g.NodeUp && !g.Failed() && (v == gpu.VerdictDegraded || v == gpu.VerdictWatch) {
		return string(v)
	}
	return g.Standing()
}

// Standing is what the scheduler does with a GPU: down (its node is), failed,
// split (into MIG instances), rogue, idle, held, free, closed (nobody holds it,
// and nobody can be given it) or unknown, while it is not known who holds what.
// On a machine alone it is in use or free, by what runs on it.
func (g *GPU) Standing() string {
	switch {
	case !g.NodeUp:
		return "down"
	case g.Failed():
		return "failed"
	case g.Split:
		return "split"
	case g.Alone:
		return g.use()
	case g.Rogue():
		return "rogue"
	case g.Idle():
		return "idle"
	case g.Holder != nil:
		return "held"
	case !g.Claims:
		return "unknown"
	case g.Free():
		return "free"
	}
	return "closed"
}

// use is what runs on a device that no scheduler gives away.
func (g *GPU) use() string {
	switch u := g.Util(); {
	case g.Sample != nil && len(g.Sample.Processes) > 0:
		return "in use"
	case u == nil:
		return "unknown"
	case *u >= busyPercent:
		return "in use"
	}
	return "free"
}

// Free reports a device that the scheduler can place work on now: nobody holds
// it, it is well, and its node offers it and takes new work.
func (g *GPU) Free() bool {
	return g.Holder == nil && g.Claims && g.Known && g.NodeUp && g.NodeOpen && !g.Split && !g.Failed()
}

// Failed reports a device that must not be given work.
func (g *GPU) Failed() bool {
	return g.Health.Verdict == gpu.VerdictFailed || g.Known && !g.Schedulable
}

// Util is the utilisation in percent, nil when nobody reports it.
func (g *GPU) Util() *float64 {
	if g.Sample == nil {
		return nil
	}
	return g.Sample.UtilPercent
}

// Processes are those with a context on the device; known is false where the
// source of the sample does not tell of them.
func (g *GPU) Processes() (list []gpu.Process, known bool) {
	if g.Sample == nil || rank(g.Source) <= rank("nomad") {
		return nil, false
	}
	return g.Sample.Processes, true
}

// AsOf is when the sample was taken, by our clock; zero when there is none. A
// node whose clock is ahead dates it into the future: it is not younger than
// when it came, or what stands still would look live for as long as the clock
// is ahead.
func (g *GPU) AsOf() time.Time {
	if g.Sample == nil {
		return time.Time{}
	}
	at := g.Sample.At.Add(g.behind)
	if !g.Heard.IsZero() && g.Heard.Before(at) {
		return g.Heard
	}
	return at
}

// Live is the sample if it tells of the given time: nil where the node is down,
// nothing was read, or nothing new came for longer than its source takes. What
// is added up is added up from these; the others are history.
func (g *GPU) Live(at time.Time) *gpu.Sample {
	if !g.NodeUp || g.Sample == nil || at.Sub(g.AsOf()) > freshFor(g.Source) {
		return nil
	}
	return g.Sample
}

// Stale reports that its numbers are history. A GPU that was never read has
// none, and is stale only where its node is down.
func (g *GPU) Stale(at time.Time) bool {
	return !g.NodeUp || g.Sample != nil && g.Live(at) == nil
}

// Idle means held, but no work was seen for idleAfter.
func (g *GPU) Idle() bool {
	since := g.QuietSince()
	return !since.IsZero() && g.Sample.At.Sub(since) >= idleAfter
}

// QuietSince is since when the GPU is held and no work was seen on it, as far
// as was watched; zero when it works or nobody holds it.
func (g *GPU) QuietSince() time.Time {
	if g.Holder == nil || g.History == nil || g.Sample == nil || g.History.quietSince.IsZero() {
		return time.Time{}
	}
	if g.Holder.Since.After(g.History.quietSince) {
		return g.Holder.Since // before, it was free
	}
	return g.History.quietSince
}

// Rogue means that somebody uses a GPU that the scheduler gave to nobody.
func (g *GPU) Rogue() bool {
	since := g.TakenSince()
	return !since.IsZero() && g.Sample.At.Sub(since) >= rogueAfter
}

// TakenSince is since when somebody works on the GPU though nobody holds it, as
// far as was watched; zero otherwise.
func (g *GPU) TakenSince() time.Time {
	if g.Holder != nil || !g.Claims || !g.Known || g.Sample == nil || len(g.Sample.Processes) == 0 || g.History == nil {
		return time.Time{}
	}
	return g.History.busySince
}

// How long a reading must hold before it is called idle or rogue: a job that
// starts or a process that is just ending must not raise an alarm.
const (
	idleAfter  = 5 * time.Minute
	rogueAfter = 20 * time.Second
)
