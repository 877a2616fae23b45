package fleet

import (
	"stoker/cluster"
	"stoker/gpu"
	"stoker/tui/screen"
)

// Focus implements screen.Focused: what a problem is about, or the node or the
// GPU under the cursor.
func (m *Model) Focus() (screen.Subject, bool) {
	if m.pane == attention {
		p := m.problems.Selected()
		if p == nil || p.many > 0 { // it stands for several
			return screen.Subject{}, false
		}
		return m.subject(p.GPU, p.Job, p.Node)
	}
	if m.isDense() {
		p, d := m.dense.selected(), m.dense.device()
		switch {
		case d != nil:
			return m.subject(d.UUID, cluster.JobID{}, "")
		case p == nil || m.dense.now == perGroup:
			return screen.Subject{}, false
		}
		return m.subject("", cluster.JobID{}, m.snap.GPUs[p.gpus[0]].Node)
	}
	if r := m.nodes.Selected(); r != nil {
		return screen.NodeSubject(r.node), true
	}
	return screen.Subject{}, false
}

// subject is the first of these that is known.
func (m *Model) subject(id gpu.UUID, job cluster.JobID, node cluster.NodeID) (screen.Subject, bool) {
	if g := m.snap.GPU(id); g != nil {
		return screen.GPUSubject(g), true
	}
	if of, ok := screen.JobOf(m.snap, job); ok {
		return of, true
	}
	if n := m.snap.Node(node); n != nil {
		return screen.NodeSubject(n), true
	}
	return screen.Subject{}, false
}
