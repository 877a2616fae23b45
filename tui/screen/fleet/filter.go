package fleet

import (
	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/tui/ui"
)

// selection is what the filter keeps: words of what is shown, or GPUs for which an
// expression over the columns of the view gpus holds, and the nodes that have one.
type selection struct {
	ui.Filter        // the words; it keeps all where there is an expression
	text      string // as it was typed
	gpus      *facts.Filter
}

// selectBy reads what was typed.
func selectBy(text string) (selection, error) {
	view, ok := facts.Find("gpus")
	if !ok {
		return selection{Filter: ui.ParseFilter(text), text: text}, nil
	}
	f, err := facts.CompileFilter(text, view)
	if err != nil || !f.Words() {
		return selection{text: text, gpus: f}, err
	}
	return selection{Filter: ui.ParseFilter(text), text: text}, nil
}

// Empty says that it keeps all.
func (s *selection) Empty() bool { return s.gpus == nil && s.Filter.Empty() }

// mistake is what is wrong with an expression, which only GPUs can tell.
func (s *selection) mistake() error {
	if s.gpus == nil {
		return nil
	}
	return s.gpus.Mistake()
}

// keeps says whether a GPU that belongs to a group stays.
func (s *selection) keeps(group string, d *cluster.GPU) bool {
	if s.gpus != nil {
		return s.gpus.KeepCells(facts.GPUCells(d))
	}
	return s.Match(group + " " + d.NodeName + " " + d.Model + " " + d.State())
}

// narrow shows the nodes that stay.
func (s *selection) narrow(t *ui.Table[nodeRow, cluster.NodeID]) {
	if s.gpus == nil {
		t.SetFilter(s.Filter)
		return
	}
	t.SetKeep(func(r *nodeRow) bool {
		for i := range r.gpus {
			if s.keeps("", &r.gpus[i]) {
				return true
			}
		}
		return false
	})
}
