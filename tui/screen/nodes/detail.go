package nodes

import (
	"cmp"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/gpu"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/parts"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// detail is one node: facts, its GPUs, its allocations.
type detail struct {
	env    *screen.Env
	id     cluster.NodeID
	snap   *cluster.Snapshot
	gpus   *ui.Table[cluster.GPU, gpu.UUID]
	allocs *ui.Table[cluster.Alloc, cluster.AllocID]
	second bool // the cursor is in allocs
	old    bool // what Nomad told of the node
	w, h   int
}

func newDetail(e *screen.Env, id cluster.NodeID) *detail {
	return &detail{
		env: e, id: id, snap: &cluster.Snapshot{},
		gpus:   ui.NewTable(e.Theme, func(g *cluster.GPU) gpu.UUID { return g.UUID }, gpuColumns(e)),
		allocs: ui.NewTable(e.Theme, func(a *cluster.Alloc) cluster.AllocID { return a.ID }, allocColumns(e)),
	}
}

// factLines is the number of lines above the tables.
const factLines = 4

// layout gives the GPUs what they need, up to two thirds, and the rest to the
// allocations; each table has its title in its heading.
func (d *detail) layout() []ui.Rect {
	rest := max(d.h-factLines-1, 2)
	n := min(d.gpus.All()+1, max(rest*2/3, rest-d.allocs.All()-1))
	return ui.Stack(d.w, d.h, factLines, n, 1, 0)
}

func (d *detail) setSize(w, h int) {
	d.w, d.h = w, h
	r := d.layout()
	d.gpus.SetSize(w, r[1].H)
	d.allocs.SetSize(w, r[3].H)
}

func (d *detail) setSnapshot(s *cluster.Snapshot) {
	d.snap = s
	d.gpus.SetRows(s.NodeGPUs(d.id))
	d.allocs.SetRows(s.NodeAllocs(d.id))
	if n := s.Node(d.id); n != nil {
		d.old = screen.IsOld(s, "nodes", n.Place)
		d.allocs.SetDim(screen.IsOld(s, "allocations", n.Place))
	}
	d.setSize(d.w, d.h)
}

func (d *detail) keys(msg tea.Msg) (keys.ID, bool) {
	switch msg := msg.(type) {
	case screen.TickMsg:
		d.gpus.Redraw()
		d.allocs.Redraw()
	case screen.KeyMsg:
		switch {
		case msg.ID == keys.Pane:
			d.second = !d.second
		case msg.ID == keys.Down && !d.second && d.gpus.Cursor() >= d.gpus.Shown()-1:
			d.second = true
		case msg.ID == keys.Up && d.second && d.allocs.Cursor() == 0:
			d.second = false
		case !d.second && screen.Move(d.gpus, msg.ID), d.second && screen.Move(d.allocs, msg.ID):
		default:
			return msg.ID, true
		}
	}
	return "", false
}

func (d *detail) wheel(n int) {
	if d.second {
		d.allocs.Scroll(n)
	} else {
		d.gpus.Scroll(n)
	}
}

// focus is the GPU or the allocation under the cursor, and else the node.
func (d *detail) focus() (screen.Subject, bool) {
	if a := d.allocs.Selected(); d.second && a != nil {
		return screen.AllocSubject(a), true
	}
	if g := d.gpus.Selected(); !d.second && g != nil {
		return screen.GPUSubject(g), true
	}
	if n := d.snap.Node(d.id); n != nil {
		return screen.NodeSubject(n), true
	}
	return screen.Subject{}, false
}

// open jumps to what is under the cursor.
func (d *detail) open() tea.Cmd {
	if d.second {
		if a := d.allocs.Selected(); a != nil {
			return screen.Open(screen.Jobs, screen.Target{Job: a.Job, Alloc: a.ID, Details: true})
		}
		return nil
	}
	if g := d.gpus.Selected(); g != nil {
		return screen.Open(screen.GPUs, screen.Target{GPU: g.UUID, Details: true})
	}
	return nil
}

func (d *detail) view() string {
	n := d.snap.Node(d.id)
	if n == nil {
		return ui.Block([]string{"", "  " + d.env.Theme.Muted.Render("node "+d.id.Short()+" is not there any more; esc goes back")}, d.w, d.h)
	}
	lines := d.facts(n)
	if d.old {
		lines = parts.FadeLines(d.env.Theme, lines)
	}
	if d.gpus.All() == 0 { // a heading over nothing says nothing
		lines = append(lines, "  "+d.env.Theme.Muted.Render("no GPUs"))
	} else {
		lines = append(lines, d.gpus.ViewLines(!d.second)...)
	}
	lines = append(lines, d.parts())
	lines = append(lines, d.allocs.ViewLines(d.second)...)
	return ui.Block(lines, d.w, d.h)
}

// parts says between the tables how much of each there is room for.
func (d *detail) parts() string {
	of := func(part, things string) string {
		if part == "" {
			return ""
		}
		return "  " + d.env.Theme.Muted.Render(part+" "+things) + "  "
	}
	return ui.Sides(of(d.gpus.Part(), "GPUs"), of(d.allocs.Part(), "allocations"), d.w)
}

func (d *detail) facts(n *cluster.Node) []string {
	th := d.env.Theme
	st := screen.NodeState(th, n)
	head := "  " + th.Title.Render(ui.Clean(n.Name)+screen.In(d.snap, n.Place)) + "   " + st.Style.Render(st.Text)
	if n.StatusText != "" && n.Status != cluster.NodeReady {
		head += "   " + th.Muted.Render(ui.Clean(n.StatusText))
	}
	fact := func(name, value string) string { return th.Muted.Render(name) + " " + ui.Clean(value) }
	driver := ""
	for i := range d.snap.GPUs {
		if g := &d.snap.GPUs[i]; g.Node == n.ID && g.Driver != "" {
			driver = fact("driver", g.Driver) + "   " + fact("CUDA", g.CUDA)
			break
		}
	}
	eligible := "takes new work"
	if !n.Eligible {
		eligible = "takes no new work"
	}
	one := []string{fact("pool", n.Pool), fact("datacenter", n.Datacenter), fact("cpu", cpuOf(n)), fact("memory", ui.Bytes(uint64(max(n.MemoryMB, 0))<<20)), eligible}
	two := []string{fact("address", n.Address), fact("nomad", n.Version), fact("id", n.ID.Short())}
	if driver != "" {
		two = append(two, driver)
	}
	return []string{head, "  " + strings.Join(one, "   "), "  " + strings.Join(two, "   "), ""}
}

func gpuColumns(e *screen.Env) []ui.Column[cluster.GPU] {
	type G = cluster.GPU
	th := e.Theme
	cols := []ui.Column[G]{
		{Title: "GPU", Min: 3, Align: ui.Right, Cell: func(g *G) ui.Cell { return ui.Txt(fmt.Sprint(g.Index)) }},
		{Title: "MODEL", Min: 9, Max: 14, Drop: 4, Cell: func(g *G) ui.Cell { return ui.Txt(screen.ShortModel(g.Model)) }},
		{Title: "STATE", Min: 10, Cell: func(g *G) ui.Cell { return screen.GPUState(th, g) }},
		{Title: "UTIL", Min: 5, Align: ui.Right, Cell: func(g *G) ui.Cell { return ui.Txt(ui.Percent(g.Util())) }},
		{Title: "10 MIN", Min: 12, Drop: 3, Cell: func(g *G) ui.Cell { return parts.Trend(th, g, 12) }},
		{Title: "MEMORY", Min: 9, Align: ui.Right, Drop: 2, Cell: func(g *G) ui.Cell { return ui.Txt(parts.MemoryUsed(g)) }},
		{Title: "POWER", Min: 6, Align: ui.Right, Drop: 5, Cell: func(g *G) ui.Cell {
			return ui.Txt(parts.Reading(g, func(s *gpu.Sample) string { return ui.Watts(s.PowerWatts) }))
		}},
		{Title: "TEMP", Min: 5, Align: ui.Right, Drop: 6, Cell: func(g *G) ui.Cell { return parts.Temp(th, g) }},
		{Title: "HELD BY", Min: 16, Max: 60, Cell: func(g *G) ui.Cell { return heldBy(th, g) }},
		{Title: "AGE", Min: 4, Align: ui.Right, Drop: 7, Cell: func(g *G) ui.Cell { return ui.In(th.Muted, ui.Age(g.AsOf(), e.Now())) }},
	}
	return parts.Fade(th, cols, func(g *G) bool { return g.Stale(e.Now()) })
}

func heldBy(th *theme.Theme, g *cluster.GPU) ui.Cell {
	switch {
	case g.Holder != nil:
		return ui.Txt(g.Holder.Job.Namespace + "/" + g.Holder.Name)
	case g.Health.Reason != "":
		return ui.In(th.Bad, g.Health.Reason)
	}
	return screen.Nobody(th, g)
}

func allocColumns(e *screen.Env) []ui.Column[cluster.Alloc] {
	type A = cluster.Alloc
	th := e.Theme
	return []ui.Column[A]{
		{Title: "ALLOCATION", Min: 26, Max: 50, Cell: func(a *A) ui.Cell { return ui.Txt(a.Job.Namespace + "/" + a.Name) }},
		{Title: "ID", Min: 8, Drop: 3, Cell: func(a *A) ui.Cell { return ui.In(th.Muted, a.ID.Short()) }},
		{Title: "STATE", Min: 10, Cell: func(a *A) ui.Cell { return screen.AllocState(th, a) }},
		{Title: "GPUS", Min: 4, Align: ui.Right, Cell: func(a *A) ui.Cell { return ui.Txt(ui.Int(len(a.GPUs))) }},
		{Title: "VERSION", Min: 7, Align: ui.Right, Drop: 4, Cell: func(a *A) ui.Cell { return ui.In(th.Muted, fmt.Sprintf("v%d", a.JobVersion)) }},
		{Title: "RESTARTS", Min: 8, Align: ui.Right, Drop: 2, Cell: func(a *A) ui.Cell {
			n := 0
			for i := range a.Tasks {
				n += a.Tasks[i].Restarts
			}
			return ui.In(cmp.Or(map[bool]theme.Style{true: th.Warn}[n > 0], th.Muted), ui.Int(n))
		}},
		{Title: "AGE", Min: 4, Align: ui.Right, Drop: 1, Cell: func(a *A) ui.Cell { return ui.In(th.Muted, ui.Age(a.Created, e.Now())) }},
	}
}
