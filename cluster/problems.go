package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"stoker/gpu"
)

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
	out = append(out, nodeProblems(s)...)
	for i := range s.Jobs {
		out = append(out, jobProblems(s, &s.Jobs[i])...)
	}
	out = append(out, vaultProblems(s)...)
	out = append(out, sourceProblems(s)...)
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

// nodeProblems are nodes that are not there, and clocks that are not right.
func nodeProblems(s *Snapshot) []Problem {
	var out []Problem
	var seen map[NodeID]time.Time
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if n.Status != NodeReady && n.Status != NodeInitialising {
			if seen == nil {
				seen = lostAt(s)
			}
			held := heldOn(s, n)
			p := Problem{Kind: NodeLost, Level: Bad, Subject: n.Name, Text: "node is " + string(n.Status), Cause: string(n.Status), Node: n.ID, GPUs: held, Since: seen[n.ID]}
			if held > 0 {
				p.Text += fmt.Sprintf(", jobs held %s on it", count(held, "GPU"))
			}
			if p.Since.IsZero() {
				p.Since = lastRead(s, n)
			}
			out = append(out, p)
			continue
		}
		if off := s.clocks[n.ID]; off != 0 {
			out = append(out, Problem{Kind: ClockApart, Level: Warn, Subject: "clock of " + n.Name, Text: apart(off), Cause: direction(off), Node: n.ID})
		}
	}
	return out
}

// lostAt is when nodes were seen to become what they are.
func lostAt(s *Snapshot) map[NodeID]time.Time {
	out := map[NodeID]time.Time{}
	for i := range s.Events { // the newest first
		e := &s.Events[i]
		if e.Kind != "node" {
			continue
		}
		if n := s.Node(e.Node); n != nil && e.Text == string(n.Status) && out[n.ID].IsZero() {
			out[n.ID] = e.At
		}
	}
	return out
}

// lastRead is when one of a node's GPUs was read last; zero when none ever was.
func lastRead(s *Snapshot, n *Node) (at time.Time) {
	gpus := s.NodeGPUs(n.ID)
	for i := range gpus {
		if t := gpus[i].AsOf(); t.After(at) {
			at = t
		}
	}
	return at
}

func heldOn(s *Snapshot, n *Node) (held int) {
	gpus := s.NodeGPUs(n.ID)
	for i := range gpus {
		if gpus[i].Holder != nil {
			held++
		}
	}
	return held
}

func gpuProblem(g *GPU) (Problem, bool) {
	if !g.NodeUp {
		return Problem{}, false // the node's line says it
	}
	p := Problem{GPU: g.UUID, Since: g.Health.Since}
	switch v := g.Health.Verdict; {
	case g.Failed():
		p.Kind, p.Level, p.Text = GPUFailed, Bad, affecting(cmp.Or(g.Health.Reason, "closed to the scheduler"), hit(g))
	case v == gpu.VerdictDegraded || v == gpu.VerdictWatch:
		p.Kind, p.Level, p.Text, p.Later = GPUWorn, Warn, affecting(g.Health.Reason, hit(g)), v == gpu.VerdictWatch
	case g.Rogue():
		p.Kind, p.Level, p.Text = GPURogue, Warn, "busy, but the scheduler gave it to nobody: "+processes(g.Sample)
	case g.Idle():
		p.Kind, p.Level, p.Text, p.Holder = GPUIdle, Warn, "held but idle by "+g.Holder.Job.String(), g.Holder.Job
		p.Since = g.QuietSince()
	default:
		return p, false
	}
	if p.Kind == GPUFailed || p.Kind == GPUWorn {
		p.Cause, _, _ = strings.Cut(cmp.Or(g.Health.Reason, "closed to the scheduler"), "; ")
	}
	p.Subject = fmt.Sprintf("%s/%d", g.NodeName, g.Index)
	return p, true
}

// hit names whom it hits that something is wrong with a GPU.
func hit(g *GPU) string {
	if was := wasRunning(g); was != "" || g.Holder == nil {
		return was
	}
	return ", held by " + g.Holder.Name
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

func jobProblems(s *Snapshot, j *Job) []Problem {
	var out []Problem
	if w := j.Waiting; w != nil {
		text := fmt.Sprintf("waiting: %s not placed", count(w.Missing, "allocation"))
		if w.GPUs > 0 {
			text += fmt.Sprintf(", wants %s", count(w.GPUs, "GPU"))
		}
		out = append(out, Problem{Kind: JobWaits, Level: Warn, Subject: "job " + j.ID.String(), Text: text, Since: w.Since, Job: j.ID, GPUs: w.GPUs})
	}
	if d := s.JobDeployment(j.ID); d != nil && d.Status == "failed" && d.JobVersion == j.Version && !j.Stopped {
		out = append(out, Problem{Kind: RolloutFailed, Level: Bad, Subject: "job " + j.ID.String(), Text: "deployment failed: " + d.StatusText, Job: j.ID, Deployment: d.ID})
	}
	if j.Failed > 0 && !j.Stopped {
		if last := lastFailure(s, j); s.At.Sub(last) < time.Hour {
			out = append(out, Problem{Kind: AllocsFailed, Level: Warn, Subject: "job " + j.ID.String(), Text: count(j.Failed, "allocation") + " failed", Since: last, Job: j.ID})
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

// tokenWarning is how long before its end a token is spoken of.
const tokenWarning = time.Hour

// vaultProblems are about keys, the seal and the token.
func vaultProblems(s *Snapshot) []Problem {
	var out []Problem
	for i := range s.Keys {
		if k := &s.Keys[i]; k.Stale > 0 {
			out = append(out, Problem{
				Kind: KeyStale, Level: Warn, Subject: "key " + k.Name, Key: k.Name,
				Text: fmt.Sprintf("an old version still opens %s; rewrap them", count(k.Stale, "artifact")),
			})
		}
	}
	v := s.Vault
	if v == nil || v.Err != "" {
		return out
	}
	if v.Sealed {
		out = append(out, Problem{Kind: VaultSealed, Level: Bad, Subject: "vault", Text: "sealed: no model can be opened or sealed", Source: "vault"})
	}
	if v.TokenExpires != nil {
		if p, ok := tokenProblem("vault", *v.TokenExpires, s.At); ok {
			out = append(out, p)
		}
	}
	return out
}

// tokenProblem tells of a token that ends soon, or has ended.
func tokenProblem(source string, ends, now time.Time) (Problem, bool) {
	left := ends.Sub(now)
	p := Problem{Kind: TokenEnds, Level: Warn, Subject: "token of " + source, Source: source}
	switch {
	case left > tokenWarning:
		return p, false
	case left <= 0:
		p.Level, p.Since, p.Text = Bad, ends, "has ended: log in anew"
	case left < time.Minute:
		p.Text = "ends within a minute: log in anew"
	default:
		p.Text = fmt.Sprintf("ends in %s: log in anew, or renew it", count(int(left/time.Minute), "minute"))
	}
	return p, true
}

// sourceProblems are sources that do not answer, but for those of nodes that are
// not there, and of a Nomad that is not: the line of the node or of Nomad says it.
func sourceProblems(s *Snapshot) []Problem {
	var out []Problem
	var gone map[string]bool
	nomad := s.Source("nomad")
	alone := nomad != nil && nomad.State == SourceRetrying // nothing else that Nomad tells has a line
	for i := range s.Sources {
		src := &s.Sources[i]
		if !src.Expires.IsZero() {
			group, _, _ := strings.Cut(src.Name, "/")
			if p, ok := tokenProblem(group, src.Expires, s.At); ok {
				out = append(out, p)
			}
			continue
		}
		if src.Blip(s.At) || src.State != SourceRetrying && (src.State != SourceDenied || aside(src.Name)) {
			continue
		}
		if gone == nil {
			gone = nodesGone(s)
		}
		group, node, _ := strings.Cut(src.Name, " ")
		if gone[node] || alone && OfNomad(src.Name) {
			continue
		}
		p := Problem{Kind: SourceLost, Level: Warn, Subject: src.Name, Cause: group, Text: src.Err, Since: src.Since, Source: src.Name}
		if src == nomad && alone {
			p.Level = Bad // all of the cluster stands still
		}
		out = append(out, p)
	}
	return out
}

func nodesGone(s *Snapshot) map[string]bool {
	out := map[string]bool{}
	for i := range s.Nodes {
		if st := s.Nodes[i].Status; st == NodeDown || st == NodeDisconnected {
			out[s.Nodes[i].Name] = true
		}
	}
	return out
}
