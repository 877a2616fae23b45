package parts

import (
	"stoker/cluster"
	"stoker/tui/keys"
	"stoker/tui/screen"
)

// Detail is the base of one thing in full: what it is drawn from, and drawing it
// anew when that changes. Embed it.
type Detail struct {
	Env  *screen.Env
	Snap *cluster.Snapshot // the latest; never nil
	W, H int

	moves screen.Mover
	draw  func()
}

// NewDetail makes a Detail whose keys move in a table or in lines. draw makes
// its lines, with each size, snapshot and tick.
func NewDetail(e *screen.Env, moves screen.Mover, draw func()) Detail {
	return Detail{Env: e, Snap: &cluster.Snapshot{}, moves: moves, draw: draw}
}

// SetSize is as screen.Screen has it.
func (d *Detail) SetSize(w, h int) {
	d.W, d.H = w, h
	d.draw()
}

// SetSnapshot is as screen.Screen has it.
func (d *Detail) SetSnapshot(s *cluster.Snapshot) {
	d.Snap = s
	d.draw()
}

// Wheel moves by n, down when n is positive.
func (d *Detail) Wheel(n int) { d.moves.Move(n) }

// Keys takes a message: it moves for keys of the list, draws ages anew at a
// tick, and returns the key that is left.
func (d *Detail) Keys(msg any) (keys.ID, bool) {
	switch msg := msg.(type) {
	case screen.TickMsg:
		d.draw()
	case screen.KeyMsg:
		if !screen.Move(d.moves, msg.ID) {
			return msg.ID, true
		}
	}
	return "", false
}
