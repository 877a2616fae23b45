package parts

import (
	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// Sheet is a detail of a job: lines of facts, and under them its GPUs, through
// which the cursor moves.
type Sheet struct {
	GPUs  *GPUs
	lines []string
	w, h  int
}

// NewSheet makes an empty Sheet.
func NewSheet(e *screen.Env) *Sheet { return &Sheet{GPUs: NewGPUs(e)} }

// Room is how many lines of facts fit above so many GPUs in h lines: the GPUs
// get a third at least, if they need it.
func Room(h, gpus int) int {
	if gpus == 0 {
		return h
	}
	return max(h-1-min(gpus+1, max(h/3, 4)), 1)
}

// Set replaces the lines and the GPUs, and sets the size.
func (s *Sheet) Set(lines []string, gpus []cluster.GPU, w, h int) {
	s.w, s.h = w, h
	s.lines = lines[:min(len(lines), Room(h, len(gpus)))]
	s.GPUs.SetRows(gpus)
	s.GPUs.SetSize(w, max(h-len(s.lines)-1, 0))
}

// Open jumps to the GPU under the cursor.
func (s *Sheet) Open() tea.Cmd {
	if g := s.GPUs.Selected(); g != nil {
		return screen.Open(screen.GPUs, screen.Target{GPU: g.UUID, Details: true})
	}
	return nil
}

// View is exactly the size given to Set.
func (s *Sheet) View() string {
	lines := append(append([]string(nil), s.lines...), "")
	if s.GPUs.All() > 0 {
		lines = append(lines, s.GPUs.ViewLines(true)...)
	}
	return ui.Block(lines, s.w, s.h)
}
