package rows

import (
	"strings"
	"time"

	"stoker/cluster/facts"
	"stoker/tui/screen"
	"stoker/tui/screen/parts"
	"stoker/tui/ui"
)

// sheet is all that is known of one row.
type sheet[R any, K comparable] struct {
	parts.Detail
	scroll parts.Scroll
	kind   Kind[R, K]
	key    K
}

func newSheet[R any, K comparable](e *screen.Env, kind Kind[R, K], key K) *sheet[R, K] {
	s := &sheet[R, K]{kind: kind, key: key}
	s.Detail = parts.NewDetail(e, &s.scroll, s.draw)
	return s
}

// row is the row in the latest snapshot; nil when it went away.
func (s *sheet[R, K]) row() *R {
	all := s.kind.List(s.Snap)
	for i := range all {
		if s.kind.Key(&all[i]) == s.key {
			return &all[i]
		}
	}
	return nil
}

func (s *sheet[R, K]) view() string { return s.scroll.View(s.Env.Theme, s.W) }

func (s *sheet[R, K]) draw() {
	th := s.Env.Theme
	r := s.row()
	if r == nil {
		s.scroll.Set([]string{"", "  " + th.Muted.Render("it is not there any more; esc goes back")}, s.H)
		return
	}
	var state ui.Cell
	if s.kind.State != nil {
		state = s.kind.State(th, r)
	}
	lines := []string{parts.Head(th, s.kind.Name(r), state, "", "", s.W), ""}
	if v, ok := facts.Find(s.kind.View); ok {
		lines = append(lines, Describe(s.Env, v, s.kind.Row(s.Snap, r), s.W)...)
	}
	if s.kind.More != nil {
		for _, p := range s.kind.More(s.Snap, r) {
			lines = append(lines, "", parts.Title(th, p.Title, ""))
			for _, l := range p.Lines {
				lines = append(lines, "  "+ui.Clean(l))
			}
		}
	}
	if screen.IsOld(s.Snap, s.kind.Things, s.kind.About(s.Snap, r).Of) {
		lines = parts.FadeLines(th, lines)
	}
	s.scroll.Set(lines, s.H)
}

// Describe draws all of a row, a line for each value and more for long ones.
// Where it is from stands last: it is mostly known.
func Describe(e *screen.Env, v *facts.View, row facts.Row, w int) []string {
	th := e.Theme
	label := 0
	for _, c := range v.Columns {
		label = max(label, len(c.Name))
	}
	label = min(label, max(w/3, 8))
	var out []string
	const place = 2 // cluster and region
	for k := range v.Columns {
		i := (k + place) % len(v.Columns)
		c := v.Columns[i]
		name := th.Muted.Render(ui.Fit(strings.ReplaceAll(c.Name, "_", " "), label))
		if row[i] == nil {
			out = append(out, "  "+name+"  "+th.Faint.Render(ui.None))
			continue
		}
		for _, l := range ui.Wrap(value(e, c.Name, row[i]), max(w-label-5, 8)) {
			out = append(out, "  "+name+"  "+l)
			name = ui.Spaces(label)
		}
	}
	return out
}

// value is a value in full: a time with its date.
func value(e *screen.Env, name string, v any) string {
	if at, ok := v.(time.Time); ok {
		return at.In(e.Now().Location()).Format("2006-01-02 15:04:05 MST") + ", " + ui.Ago(at, e.Now())
	}
	return ui.Clean(ui.Value(name, v, e.Now()))
}
