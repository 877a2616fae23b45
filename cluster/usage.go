package cluster

import (
	"cmp"
	"slices"
	"time"
)

// Usage is what one job, or one namespace, has of the GPUs: now, and since its
// account was opened.
type Usage struct {
	Place
	Job            JobID // without a name it is the sum of a namespace
	GPUs           int   // held now
	Reporting      int   // of these, with a known utilisation
	UtilPercent    *float64
	PowerWatts     *float64 // sum over GPUs that report it; instances do not
	PowerReporting int
	Idle           int       // held without work for so long that it counts as idle
	IdleSince      time.Time // of the one that is idle for the longest time
	AsOf           time.Time // its latest reading
	Source         string    // of that one; empty when it holds nothing now
	Account        Account
}

// JobUsage is the usage of each job that holds a GPU or did while this stoker
// watched, in order of jobs.
func (s *Snapshot) JobUsage() []Usage {
	return rowsOfAll(s, func(s *Snapshot) []Usage {
		return usageBy(s, func(id JobID) JobID { return id }, s.jobAccounts)
	})
}

// NamespaceUsage is the same by namespace, in their order. The accounts also
// hold what jobs used that are forgotten.
func (s *Snapshot) NamespaceUsage() []Usage { return rowsOfAll(s, namespaceUsage) }

func namespaceUsage(s *Snapshot) []Usage {
	accounts := make(map[JobID]Account, len(s.spaceAccounts))
	for name, a := range s.spaceAccounts {
		accounts[JobID{Namespace: name, Of: s.of}] = a
	}
	return usageBy(s, func(id JobID) JobID { return JobID{Namespace: id.Namespace, Of: id.Of} }, accounts)
}

func usageBy(s *Snapshot, group func(JobID) JobID, accounts map[JobID]Account) []Usage {
	rows := make(map[JobID]*Usage, len(accounts))
	row := func(id JobID) *Usage {
		u := rows[id]
		if u == nil {
			u = &Usage{Place: s.Place, Job: id}
			rows[id] = u
		}
		return u
	}
	for id, a := range accounts {
		u := row(id)
		u.Account, u.AsOf = a, a.Last
	}
	for i := range s.GPUs {
		if g := &s.GPUs[i]; g.Holder != nil {
			row(group(g.Holder.Job)).add(g, s.At)
		}
	}
	out := make([]Usage, 0, len(rows))
	for _, u := range rows {
		if u.Reporting > 0 {
			*u.UtilPercent /= float64(u.Reporting)
		}
		out = append(out, *u)
	}
	slices.SortFunc(out, func(a, b Usage) int { return a.Job.Compare(b.Job) })
	return out
}

func (u *Usage) add(g *GPU, at time.Time) {
	u.GPUs++
	now := g.Live(at)
	if now == nil {
		return
	}
	if !g.AsOf().Before(u.AsOf) {
		u.AsOf, u.Source = g.AsOf(), g.Source
	}
	if v := now.UtilPercent; v != nil {
		u.UtilPercent = plus(u.UtilPercent, v) // a mean at the end
		u.Reporting++
	}
	if v := now.PowerWatts; v != nil && g.Parent == "" { // an instance shows its parent's
		u.PowerWatts = plus(u.PowerWatts, v)
		u.PowerReporting++
	}
	if g.Idle() {
		u.Idle++
		if since := g.QuietSince(); u.IdleSince.IsZero() || since.Before(u.IdleSince) {
			u.IdleSince = since
		}
	}
}

// Add adds the numbers of another row up to one of both. Util stays as it is.
func (u *Usage) Add(o *Usage) {
	u.GPUs += o.GPUs
	u.Reporting += o.Reporting
	u.Idle += o.Idle
	u.PowerWatts = plus(u.PowerWatts, o.PowerWatts)
	u.PowerReporting += o.PowerReporting
	u.Account.merge(&o.Account)
}

// Waste is a GPU that is held without work on it, or worked on without being
// held.
type Waste struct {
	*GPU
	// What is "idle" or "rogue", and "quiet" or "unheld" while that is not yet
	// so for long enough to say so.
	What  string
	Since time.Time // as far as was watched
}

// Waste lists them, what is sure and the longest first.
func (s *Snapshot) Waste() []Waste {
	var out []Waste
	for i := range s.GPUs {
		g := &s.GPUs[i]
		if !g.NodeUp || g.Split {
			continue
		}
		w := Waste{GPU: g, What: "quiet", Since: g.QuietSince()}
		if w.Since.IsZero() {
			w.What, w.Since = "unheld", g.TakenSince()
		}
		switch {
		case w.Since.IsZero():
			continue
		case g.Idle():
			w.What = "idle"
		case g.Rogue():
			w.What = "rogue"
		}
		out = append(out, w)
	}
	slices.SortStableFunc(out, func(a, b Waste) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), a.Since.Compare(b.Since))
	})
	return out
}

// WasteStates are the words of Waste.What, the surest first.
func WasteStates() []string { return []string{"rogue", "idle", "unheld", "quiet"} }

func (w *Waste) rank() int { return slices.Index(WasteStates(), w.What) }

// Sure says that it is so for long enough.
func (w *Waste) Sure() bool { return w.What == "idle" || w.What == "rogue" }

// Users are the users of the processes on the GPU, each once.
func (g *GPU) Users() []string {
	var out []string
	list, _ := g.Processes()
	for _, p := range list {
		if p.User != "" && !slices.Contains(out, p.User) {
			out = append(out, p.User)
		}
	}
	return out
}
