package jobs

import (
	"cmp"
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/ui"
)

// channels says which outputs are shown.
type channels int

const (
	both channels = iota
	stdout
	stderr
)

func (c channels) String() string {
	return [...]string{"stdout and stderr", "stdout only", "stderr only"}[c]
}

// logView follows the logs of a job's allocations.
type logView struct {
	env    *screen.Env
	stream uint64
	job    cluster.JobID
	only   cluster.AllocID // empty is all
	snap   *cluster.Snapshot

	ctx     context.Context
	cancel  context.CancelFunc
	ch      chan piece
	sources []source
	left    int // sources beyond maxSources

	ring   ring
	rows   []visual // of the lines that are shown, oldest first
	top    int      // index into rows
	mark   int      // number of the match that n went to, or -1
	follow bool
	wrap   bool
	show   channels
	filter ui.Filter
	all    bool // the filter marks lines instead of hiding the others

	w, h   int
	labels []string // of the sources
	label  int      // cells of the widest one
	drawn  []string // nil when something changed
}

// visual is one line of the screen: a line of the log, or a part of one.
type visual struct {
	seq  int
	text string
	part int // 0 is the first
}

func newLogView(e *screen.Env, stream uint64, job cluster.JobID, only cluster.AllocID) *logView {
	v := &logView{
		env: e, stream: stream, job: job, only: only, snap: &cluster.Snapshot{},
		ch: make(chan piece, queueLines), ring: ring{most: maxLines}, follow: true, mark: -1,
	}
	v.ctx, v.cancel = context.WithCancel(e.Base)
	return v
}

// close ends all commands of the view.
func (v *logView) close() { v.cancel() }

// begin starts to read.
func (v *logView) begin() tea.Cmd {
	return tea.Batch(v.join(), next(v.ctx, v.stream, v.ch))
}

// tick comes once a second: new allocations join, and broken logs are read again.
func (v *logView) tick() tea.Cmd {
	v.drawn = nil
	return v.join()
}

// join reads what is wanted and not read yet.
func (v *logView) join() tea.Cmd {
	var cmds []tea.Cmd
	now := v.env.Now()
	v.left = 0
	found := false
	for _, want := range wantedSources(v.snap, v.job, v.only) {
		i := slices.IndexFunc(v.sources, func(s source) bool { return s.same(&want) })
		if i >= 0 {
			s := &v.sources[i]
			if want.live && !s.live && !s.open { // its task began anew
				s.retry = now
			}
			s.live = want.live
			continue
		}
		if v.reading() >= maxSources {
			v.left++
			continue
		}
		want.open = true
		v.sources = append(v.sources, want)
		cmds = append(cmds, read(v.ctx, v.env.Logs, v.stream, len(v.sources)-1, want.req, 0, v.ch))
		found = true
	}
	for i := range v.sources {
		if s := &v.sources[i]; !s.open && !s.retry.IsZero() && !now.Before(s.retry) {
			s.open, s.retry = true, time.Time{}
			req := s.req
			req.Follow = s.live
			req.Tail = 1 // from the end on: the rest of the last line is skipped
			cmds = append(cmds, read(v.ctx, v.env.Logs, v.stream, i, req, 1, v.ch))
		}
	}
	if found {
		v.relabel()
	}
	return tea.Batch(cmds...)
}

func (v *logView) reading() int {
	n := 0
	for i := range v.sources {
		if v.sources[i].open {
			n++
		}
	}
	return n
}

// reply takes what the view's commands bring.
func (v *logView) reply(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case logLinesMsg:
		if msg.stream != v.stream {
			return nil
		}
		for _, p := range msg.lines {
			v.add(line{p.source, ui.Clean(lastWrite(p.text))})
		}
		v.settle()
		return next(v.ctx, v.stream, v.ch)
	case logEndedMsg:
		if msg.stream != v.stream {
			return nil
		}
		v.ended(msg)
	}
	return nil
}

// ended notes that a log broke off. While the task lives it is read again.
func (v *logView) ended(msg logEndedMsg) {
	s := &v.sources[msg.source]
	again := s.err == nil // say it once, not at each try
	s.open, s.err = false, msg.err
	if s.live && v.ctx.Err() == nil {
		s.retry = v.env.Now().Add(retryAfter)
	}
	v.drawn = nil
	if msg.err != nil && again {
		text := "cannot read the log of " + v.labels[msg.source] + ": " + ui.Clean(msg.err.Error())
		if s.live {
			text += "; it is tried again, lines in between may be missing"
		}
		v.add(line{-1, text})
		v.settle()
	}
}

// add keeps a line and, when it is to be seen, its rows.
func (v *logView) add(l line) {
	if len(l.text) > maxLineText {
		cut := l.text[:maxLineText]
		l.text = ui.Clean(cut) + screen.Ellipsis // cleaning mends a rune that was cut through
	}
	seq := v.ring.push(l)
	if v.shown(&l) {
		v.rows = v.appendRows(v.rows, seq, l.text)
	}
}

// shown reports whether a line passes the filter and the choice of outputs.
func (v *logView) shown(l *line) bool {
	if l.source < 0 {
		return true
	}
	if req := &v.sources[l.source].req; v.show == stdout && req.Stderr || v.show == stderr && !req.Stderr {
		return false
	}
	return v.all || v.filter.Match(v.filterText(l))
}

func (v *logView) filterText(l *line) string {
	if v.filter.Empty() || l.source < 0 {
		return l.text
	}
	return v.labels[l.source] + " " + l.text
}

// matches reports a line that the filter asks for.
func (v *logView) matches(l *line) bool {
	return !v.filter.Empty() && l.source >= 0 && v.filter.Match(v.filterText(l))
}

// settle lets rows of lines go that the ring let go, and keeps to the end.
func (v *logView) settle() {
	gone, _ := slices.BinarySearchFunc(v.rows, v.ring.dropped, func(r visual, seq int) int { return cmp.Compare(r.seq, seq) })
	v.rows = v.rows[gone:]
	v.top -= gone
	v.moveTo(v.top)
}

// moveTo shows the rows from top on; following, those at the end.
func (v *logView) moveTo(top int) {
	last := max(len(v.rows)-v.page(), 0)
	v.top = min(max(top, 0), last)
	if v.follow {
		v.top = last
	}
	v.drawn = nil
}

// rebuild makes all rows anew and stays at the line that was on top.
func (v *logView) rebuild() {
	at := -1
	if v.top < len(v.rows) {
		at = v.rows[v.top].seq
	}
	v.rows = nil
	for i := range v.ring.lines {
		if l := &v.ring.lines[i]; v.shown(l) {
			v.rows = v.appendRows(v.rows, v.ring.dropped+i, l.text)
		}
	}
	top, _ := slices.BinarySearchFunc(v.rows, at, func(r visual, seq int) int { return cmp.Compare(r.seq, seq) })
	v.moveTo(top)
}

func (v *logView) setFilter(f ui.Filter) {
	v.filter, v.all, v.mark = f, false, -1
	v.rebuild()
}

func (v *logView) counts() (shown, all int) {
	for i := range v.ring.lines {
		if l := &v.ring.lines[i]; v.filter.Empty() || v.matches(l) {
			shown++
		}
	}
	return shown, len(v.ring.lines)
}

func (v *logView) actions() []keys.ID {
	out := []keys.ID{keys.Follow, keys.Stderr, keys.Wrap}
	if !v.filter.Empty() {
		out = append(out, keys.NextMatch, keys.OnlyMatches)
	}
	return append(out, keys.Top, keys.Bottom)
}

// key does a key of the log; taken is false for one that is not of it.
func (v *logView) key(id keys.ID) (cmd tea.Cmd, taken bool) {
	switch id {
	case keys.Up:
		v.scroll(-1)
	case keys.Down:
		v.scroll(1)
	case keys.PageUp:
		v.scroll(-v.page())
	case keys.PageDown:
		v.scroll(v.page())
	case keys.Top:
		v.scroll(-len(v.rows))
	case keys.Bottom:
		v.scroll(len(v.rows))
	case keys.Follow:
		v.follow = !v.follow
		v.moveTo(v.top)
	case keys.Stderr:
		v.show = (v.show + 1) % 3
		v.rebuild()
	case keys.Wrap:
		v.wrap = !v.wrap
		v.rebuild()
	case keys.OnlyMatches:
		if v.filter.Empty() {
			return noFilter(), true
		}
		v.all = !v.all
		v.rebuild()
	case keys.NextMatch:
		return v.jump(1), true
	case keys.PrevMatch:
		return v.jump(-1), true
	default:
		return nil, false
	}
	return nil, true
}

// scroll moves the window. Up stops following, the end begins it again.
func (v *logView) scroll(by int) {
	if by < 0 && len(v.rows) > v.page() {
		v.follow = false
	}
	v.moveTo(v.top + by)
	if by > 0 && v.top >= len(v.rows)-v.page() {
		v.follow = true
	}
}

func noFilter() tea.Cmd {
	return screen.Note(cluster.Info, "press / and type words to look for; n goes to the next line with them")
}

// jump goes to the next line that the filter keeps, among all lines, and from
// the last on to the first.
func (v *logView) jump(by int) tea.Cmd {
	if v.filter.Empty() {
		return noFilter()
	}
	from := v.mark
	if from < v.ring.dropped && v.top < len(v.rows) { // none yet, or let go: begin at what is on screen
		from = v.rows[v.top].seq - by
	}
	v.follow, v.all = false, true
	v.rebuild()
	n := len(v.ring.lines)
	for i := 1; i <= n; i++ {
		at := (from - v.ring.dropped + by*i%n + n) % n
		if l := &v.ring.lines[at]; v.matches(l) && v.shown(l) {
			seq, was := at+v.ring.dropped, v.mark
			v.mark = seq
			row, _ := slices.BinarySearchFunc(v.rows, seq, func(r visual, s int) int { return cmp.Compare(r.seq, s) })
			v.moveTo(row - v.page()/2)
			if seq == was {
				return screen.Note(cluster.Info, "no other line matches "+v.filter.String())
			}
			return nil
		}
	}
	return screen.Note(cluster.Info, "no line matches "+v.filter.String())
}
