package ui

import "strings"

// Seg is a piece of a line. When the line is too narrow the pieces with the
// highest Drop go first; 0 stays. Short, when set, replaces Text first, and
// then goes half as soon.
type Seg struct {
	Text  string
	Short string
	Drop  int
}

// Segs joins pieces with a gap of so many cells in at most w cells, dropping
// what does not fit.
func Segs(segs []Seg, gap, w int) string {
	kept := make([]Seg, 0, len(segs))
	total := -gap
	for _, s := range segs {
		if s.Text != "" {
			kept = append(kept, s)
			total += Width(s.Text) + gap
		}
	}
	for total > w {
		worst := -1
		for i, s := range kept {
			if s.Drop > 0 && (worst < 0 || s.Drop >= kept[worst].Drop) {
				worst = i
			}
		}
		if worst < 0 {
			break
		}
		s := &kept[worst]
		total -= Width(s.Text)
		if s.Short != "" {
			s.Text, s.Short, s.Drop = s.Short, "", (s.Drop+1)/2
			total += Width(s.Text)
			continue
		}
		total -= gap
		kept = append(kept[:worst], kept[worst+1:]...)
	}
	texts := make([]string, len(kept))
	for i := range kept {
		texts[i] = kept[i].Text
	}
	return strings.Join(texts, Spaces(gap))
}
