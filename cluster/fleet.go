package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"stoker/gpu"
	"stoker/secrets"
)

// sum adds the fleet up.
func sum(s *Snapshot) Fleet {
	f := Fleet{Nodes: len(s.Nodes), Claims: s.Known&SetAllocs != 0}
	for i := range s.Nodes {
		if s.Nodes[i].Status == NodeReady {
			f.NodesReady++
		}
	}
	var util float64
	for i := range s.GPUs {
		g := &s.GPUs[i]
		f.count(g)
		if !g.NodeUp || g.Sample == nil {
			continue // the last readings of a node that is down are history
		}
		if u := g.Sample.UtilPercent; u != nil {
			util += *u
			f.Reporting++
		}
		f.PowerWatts = plus(f.PowerWatts, g.Sample.PowerWatts)
		f.PowerLimitWatts = plus(f.PowerLimitWatts, g.Sample.PowerLimitWatts)
		if t := g.Sample.TempCelsius; t != nil && (f.HottestCelsius == nil || *t > *f.HottestCelsius) {
			f.HottestCelsius, f.Hottest = t, g.UUID
		}
	}
	if f.Reporting > 0 {
		mean := util / float64(f.Reporting)
		f.UtilPercent = &mean
	}
	for i := range s.Jobs {
		if w := s.Jobs[i].Waiting; w != nil {
			f.PendingJobs++
			f.Pending += w.GPUs
		}
	}
	return f
}

// count counts a device; one that is cut into instances is counted through
// these, though power and heat are its own.
func (f *Fleet) count(g *GPU) {
	if g.Split {
		return
	}
	f.GPUs++
	if g.Holder != nil {
		f.Held++
	}
	if !g.NodeUp {
		f.Down++
		return
	}
	switch {
	case g.Failed():
		f.Failed++
	case g.Free():
		f.Free++
	case g.State() == "closed":
		f.Closed++
	}
	if g.Idle() {
		f.Idle++
	}
	if g.Rogue() {
		f.Rogue++
	}
	f.MemoryTotal += g.MemoryBytes
	if g.Sample != nil && g.Sample.MemoryUsedBytes != nil {
		f.MemoryUsed += *g.Sample.MemoryUsedBytes
	}
}

// plus adds a value that may be unknown to a sum that may have none yet. The
// sum is its own, so it can be added to in place.
func plus[N float64 | uint64](sum, v *N) *N {
	switch {
	case v == nil:
	case sum == nil:
		first := *v
		return &first
	default:
		*sum += *v
	}
	return sum
}

// joinKeys says which artifacts each Transit key still opens.
func joinKeys(place Place, v *secrets.State, artifacts []Artifact) []Key {
	if v == nil {
		return nil
	}
	out := make([]Key, 0, len(v.Keys))
	for _, k := range v.Keys {
		row := Key{Place: place, Key: k}
		for _, a := range artifacts {
			if a.Key != k.Name {
				continue
			}
			row.Artifacts = append(row.Artifacts, a)
			if a.KeyVersion > 0 && a.KeyVersion < k.Latest {
				row.Stale++
			}
		}
		out = append(out, row)
	}
	slices.SortFunc(out, func(a, b Key) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// problems lists what somebody should look at, worst first; of the same level,
// jobs come first, then what something can be done about, and GPUs that only lie
// idle, of which there may be many, last.
func problems(s *Snapshot) []Problem {
	var out []Problem
	for i := range s.GPUs {
		if p, ok := gpuProblem(&s.GPUs[i]); ok {
			out = append(out, p)
		}
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if n.Status != NodeReady && n.Status != NodeInitialising {
			out = append(out, Problem{Level: Bad, Subject: n.Name, Text: "node is " + string(n.Status) + nodeLoad(s, n), Since: lostSince(s, n), Node: n.ID})
		}
	}
	for i := range s.Jobs {
		out = append(out, jobProblems(s, &s.Jobs[i])...)
	}
	for i := range s.Keys {
		if k := &s.Keys[i]; k.Stale > 0 {
			out = append(out, Problem{
				Level: Warn, Subject: "key " + k.Name, Key: k.Name,
				Text: fmt.Sprintf("an old version still opens %s; rewrap them", count(k.Stale, "artifact")),
			})
		}
	}
	if v := s.Vault; v != nil && v.Sealed && v.Err == "" {
		out = append(out, Problem{Level: Bad, Subject: "vault", Text: "sealed: no model can be opened or sealed"})
	}
	for _, src := range s.Sources {
		if src.State == SourceRetrying || src.State == SourceDenied && !aside(src.Name) {
			out = append(out, Problem{Level: Warn, Subject: src.Name, Text: src.Err, Since: src.Since, Source: src.Name})
		}
	}
	for i := range out {
		out[i].Place = s.Place
	}
	worstFirst(out)
	return out
}

func worstFirst(list []Problem) {
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(b.Level, a.Level), cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.Subject, b.Subject))
	})
}

// aside tells the sources that few tokens may read, and that nothing but their
// own screens needs: that they are refused is no problem.
func aside(source string) bool {
	return source == "pools" || source == "namespaces" || source == "variables"
}

func (p *Problem) rank() int {
	switch {
	case p.Job != JobID{}:
		return 0
	case p.Holder != JobID{}:
		return 3
	case p.Later:
		return 2
	}
	return 1
}

// lostSince is when the node was seen to become what it is, or else when one of
// its GPUs was read last; zero when neither was seen.
func lostSince(s *Snapshot, n *Node) (at time.Time) {
	for i := range s.Events { // the newest first
		if e := &s.Events[i]; e.Kind == "node" && e.Node == n.ID && e.Text == string(n.Status) {
			return e.At
		}
	}
	for _, g := range s.NodeGPUs(n.ID) {
		if g.AsOf().After(at) {
			at = g.AsOf()
		}
	}
	return at
}

func gpuProblem(g *GPU) (Problem, bool) {
	if !g.NodeUp {
		return Problem{}, false // the node's line says it
	}
	p := Problem{GPU: g.UUID, Since: g.Health.Since}
	by := ""
	if g.Holder != nil {
		by = ", held by " + g.Holder.Name
	}
	by = cmp.Or(wasRunning(g), by)
	switch {
	case g.Failed():
		p.Level, p.Text = Bad, affecting(cmp.Or(g.Health.Reason, "closed to the scheduler"), by)
	case g.Health.Verdict == gpu.VerdictDegraded || g.Health.Verdict == gpu.VerdictWatch:
		p.Level, p.Text, p.Later = Warn, affecting(g.Health.Reason, by), g.Health.Verdict == gpu.VerdictWatch
	case g.Rogue():
		p.Level, p.Text = Warn, "busy, but the scheduler gave it to nobody: "+processes(g.Sample)
	case g.Idle():
		p.Level, p.Text, p.Holder = Warn, "held but idle by "+g.Holder.Job.String(), g.Holder.Job
		p.Since = g.QuietSince()
	default:
		return p, false
	}
	p.Subject = fmt.Sprintf("%s/%d", g.NodeName, g.Index)
	return p, true
}

// affecting puts whom a cause hits before the advice that follows it: a line
// may be cut at its end.
func affecting(reason, by string) string {
	cause, advice, more := strings.Cut(reason, "; ")
	if !more {
		return reason + by
	}
	return cause + by + "; " + advice
}

// wasRunning names who was on a GPU when what is wrong with it happened, if
// that is not just who holds it now; else it is empty.
func wasRunning(g *GPU) string {
	for i := len(g.Events) - 1; i >= 0; i-- {
		e := &g.Events[i]
		if e.Level() < Warn || e.At.Before(g.Health.Since.Add(-time.Minute)) {
			continue
		}
		if len(e.On) == 0 || g.Holder != nil && len(e.On) == 1 && e.On[0].Alloc == g.Holder.Alloc {
			return ""
		}
		return ", was running " + Tenants(e.On)
	}
	return ""
}

func processes(s *gpu.Sample) string {
	var names []string
	for _, p := range s.Processes {
		names = append(names, fmt.Sprintf("%s (%d)", cmp.Or(p.Name, "process"), p.PID))
	}
	return strings.Join(names, ", ")
}

func nodeLoad(s *Snapshot, n *Node) string {
	held := 0
	for _, g := range s.NodeGPUs(n.ID) {
		if g.Holder != nil {
			held++
		}
	}
	if held == 0 {
		return ""
	}
	return fmt.Sprintf(", jobs held %s on it", count(held, "GPU"))
}

func jobProblems(s *Snapshot, j *Job) []Problem {
	var out []Problem
	if w := j.Waiting; w != nil {
		text := fmt.Sprintf("waiting: %s not placed", count(w.Missing, "allocation"))
		if w.GPUs > 0 {
			text += fmt.Sprintf(", wants %s", count(w.GPUs, "GPU"))
		}
		out = append(out, Problem{Level: Warn, Subject: "job " + j.ID.String(), Text: text, Since: w.Since, Job: j.ID})
	}
	if d := s.JobDeployment(j.ID); d != nil && d.Status == "failed" && d.JobVersion == j.Version && !j.Stopped {
		out = append(out, Problem{Level: Bad, Subject: "job " + j.ID.String(), Text: "deployment failed: " + d.StatusText, Job: j.ID})
	}
	if j.Failed > 0 && !j.Stopped {
		if last := lastFailure(s, j); s.At.Sub(last) < time.Hour {
			out = append(out, Problem{Level: Warn, Subject: "job " + j.ID.String(), Text: count(j.Failed, "allocation") + " failed", Since: last, Job: j.ID})
		}
	}
	return out
}

func lastFailure(s *Snapshot, j *Job) (at time.Time) {
	rows := s.allocsOf(j.ID)
	for i := range rows {
		if a := &rows[i]; a.Client == "failed" && a.JobVersion == j.Version && a.Modified.After(at) {
			at = a.Modified
		}
	}
	return at
}

// count is "1 GPU", "2 GPUs".
func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
