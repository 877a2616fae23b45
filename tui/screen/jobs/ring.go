package jobs

// The bounds of what a log view keeps.
const (
	maxLines    = 10_000
	maxBytes    = 16 << 20
	maxLineText = 8 << 10
)

// line is one line of the log, clean and cut to maxLineText bytes.
type line struct {
	source int // -1 is the view's own word
	text   string
}

// ring keeps the last lines. Each line has a number that stays: the first
// ever is 0.
type ring struct {
	lines   []line
	bytes   int
	dropped int // lines let go, so also the number of lines[0]
	most    int
}

// push adds a line and lets the oldest go where there are too many.
func (r *ring) push(l line) (seq int) {
	r.lines = append(r.lines, l)
	r.bytes += len(l.text)
	for len(r.lines) > r.most || r.bytes > maxBytes {
		r.bytes -= len(r.lines[0].text)
		r.lines[0] = line{} // the slice behind it must not keep the text
		r.lines = r.lines[1:]
		r.dropped++
	}
	return r.dropped + len(r.lines) - 1
}

// at is the line of that number, which must not have been let go.
func (r *ring) at(seq int) *line { return &r.lines[seq-r.dropped] }
