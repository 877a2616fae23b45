package cluster

import "slices"

// nameUpdate lets the jobs of an update say of which cluster they are, where
// they have to: what is joined from it later says so, too.
func (st *state) nameUpdate(u *Update) {
	if st.of == (Place{}) {
		return
	}
	u.Jobs = named(st, u.Jobs, func(j *Job) *JobID { return &j.ID })
	u.Allocs = named(st, u.Allocs, func(a *Alloc) *JobID { return &a.Job })
	u.Deployments = named(st, u.Deployments, func(d *Deployment) *JobID { return &d.Job })
	u.Evaluations = named(st, u.Evaluations, func(e *Evaluation) *JobID { return &e.Job })
	u.GoneJobs = named(st, u.GoneJobs, func(id *JobID) *JobID { return id })
}

// named returns rows whose jobs say of which cluster they are. The caller keeps
// its own, which are not changed.
func named[V any](st *state, rows []V, job func(*V) *JobID) []V {
	if st.of == (Place{}) {
		return rows
	}
	rows = slices.Clone(rows)
	for i := range rows {
		if id := job(&rows[i]); *id != (JobID{}) {
			id.Of = st.of
		}
	}
	return rows
}
