package fleet

import (
	"cmp"
	"slices"
	"time"

	"stoker/cluster"
	"stoker/gpu"
)

// cellsASecond bounds how many cells of the map change by their step alone: on a
// large fleet something always does, and each costs some 40 bytes on the way to
// the terminal. Those that wait change later, the most different first.
const cellsASecond = 150

// mark is what a cell is about, from one snapshot to the next.
type mark struct {
	group string
	node  cluster.NodeID
	gpu   gpu.UUID // of the first GPU
}

// pace holds back what changes on the map.
type pace struct {
	shown []shown
	spare []shown      // what was shown before: room for what will be
	index map[mark]int // of shown, made when cells have moved
	left  float64      // cells that may change now
	at    time.Time
}

// shown is what a cell shows, and since when it is to show something else.
type shown struct {
	mark
	look
	waits time.Time
}

func newPace() *pace { return &pace{left: cellsASecond} }

// reset lets every cell show what is so: all of them are drawn anew anyway.
func (p *pace) reset() { p.shown, p.spare, p.index = nil, nil, nil }

// was finds a cell as it was shown: most stay where they are.
func (p *pace) was(i int, m mark) *shown {
	switch {
	case i < len(p.shown) && p.shown[i].mark == m:
		return &p.shown[i]
	case len(p.shown) == 0:
		return nil
	case p.index == nil:
		p.index = make(map[mark]int, len(p.shown))
		for k := range p.shown {
			p.index[p.shown[k].mark] = k
		}
	}
	if k, ok := p.index[m]; ok {
		return &p.shown[k]
	}
	return nil
}

// wish is a cell that is to look otherwise than it does.
type wish struct {
	cell int
	look
	by float64 // how much it differs, and how long it has waited
}

// settle says what each of the cells on the screen shows now. want is what a cell
// should show, given what it does.
func (p *pace) settle(now time.Time, cells []mark, want func(cell int, last look) look) []shown {
	p.left = min(p.left+cellsASecond*max(now.Sub(p.at).Seconds(), 0), cellsASecond)
	p.at = now
	next := slices.Grow(p.spare[:0], len(cells))[:len(cells)]
	var wishes []wish
	for i, m := range cells {
		was := p.was(i, m)
		if was == nil {
			next[i] = shown{mark: m, look: want(i, look{level: -1})}
			continue
		}
		next[i] = shown{mark: m, look: want(i, was.look)}
		switch by := apart(was.look, next[i].look); {
		case by == 0:
		case by >= urgent:
			p.left--
		default:
			since := was.waits
			if since.IsZero() {
				since = now
			}
			wishes = append(wishes, wish{i, next[i].look, float64(by) + 10*now.Sub(since).Seconds()})
			next[i].look, next[i].waits = was.look, since
		}
	}
	p.left = max(p.left, -cellsASecond) // many that changed at once do not hold up the others for long
	slices.SortStableFunc(wishes, func(a, b wish) int { return cmp.Compare(b.by, a.by) })
	may := min(max(int(p.left), 0), len(wishes))
	p.left -= float64(may)
	for _, w := range wishes[:may] {
		next[w.cell].look, next[w.cell].waits = w.look, time.Time{}
	}
	p.shown, p.spare, p.index = next, p.shown, nil
	return next
}
