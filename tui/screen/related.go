package screen

import (
	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/tui/ui"
)

// About says what a row is and what it belongs to: by that one jumps from it,
// and a list that is jumped to is narrowed.
func (l List[R, K]) About(about func(*cluster.Snapshot, *R) Subject) List[R, K] {
	l.about = about
	return l
}

// Belonging says which rows belong to a target, where a row alone does not tell.
// It is asked once for each snapshot.
func (l List[R, K]) Belonging(within func(*cluster.Snapshot, Target) func(*R) bool) List[R, K] {
	l.within = within
	return l
}

// NarrowTo shows only what belongs to a target, if that says Within, and else all.
func (l *List[R, K]) NarrowTo(t Target) {
	if was := l.narrow.Within; !was && !t.Within {
		return
	}
	l.narrow = t
	l.relate()
	if !t.Within {
		l.Table.Narrow(nil)
		return
	}
	l.Table.Narrow(func(r *R) bool { return l.belongs(r) })
}

// relate works out what belongs to the target that the list is narrowed to.
func (l *List[R, K]) relate() {
	switch {
	case !l.narrow.Within:
	case l.within != nil:
		l.belongs = l.within(l.Snap, l.narrow)
	default:
		l.belongs = func(r *R) bool {
			s := l.about(l.Snap, r)
			return s.Is(&l.narrow)
		}
	}
}

// Widen shows all again; false when all are shown.
func (l *List[R, K]) Widen() bool {
	if l.Covered() || !l.narrow.Within {
		return false
	}
	l.NarrowTo(Target{})
	return true
}

// Focus implements Focused.
func (l *List[R, K]) Focus() (Subject, bool) {
	r := l.Selected()
	if r == nil || l.about == nil {
		return Subject{}, false
	}
	s := l.about(l.Snap, r)
	return s, s.Kind != ""
}

// FocusRow is the row of facts of what the cursor is on; nil without one.
func (l *List[R, K]) FocusRow() (*facts.View, facts.Row) {
	r := l.Selected()
	if r == nil || l.facts == nil {
		return nil, nil
	}
	return l.facts.view, l.facts.make(l.Snap, r)
}

// Keep implements Keeper.
func (l *List[R, K]) Keep() (restore func()) {
	narrow, filter, sel := l.narrow, l.filter, l.Selected()
	return func() {
		l.NarrowTo(narrow)
		_ = l.SetFilter(filter) // it was taken before
		if sel != nil {
			l.Select(l.Key(sel))
		}
	}
}

// where says to what the list is narrowed.
func (l *List[R, K]) where() string {
	if !l.narrow.Within {
		return ui.Spaces(l.w)
	}
	th := l.Env.Theme
	text := th.G.Arrow + " only of " + ui.Clean(l.narrow.Words(l.Snap))
	return ui.Sides("  "+th.Accent.Render(text), th.Muted.Render(ui.Int(l.Shown())+" of "+ui.Int(l.All())+"  esc shows all")+"  ", l.w)
}
