package scenarios

import (
	"fmt"
	"io"
	"time"
)

// Lines is how an event reads in line mode: none for what only a live display
// shows. The text is safe to print.
func Lines(e Event) []string {
	switch e.Kind {
	case RunStarted:
		return []string{fmt.Sprintf("%s: run %s on %s, %s", clean(e.Name), e.RunID, clean(e.Text), plural(e.Steps, "step"))}
	case StepStarted:
		return []string{fmt.Sprintf("%s %s", count(e), clean(e.Name))}
	case Progress, Noted:
		return []string{"      " + clean(e.Text)}
	case Checked:
		return checkLines(e.Check)
	case StepEnded:
		return []string{fmt.Sprintf("%s %s %s in %s%s", count(e), mark(e.Verdict), e.Verdict, round(e.Took), because(e))}
	case CleanupStarted:
		return []string{"cleanup"}
	case CleanupEnded:
		return append([]string{fmt.Sprintf("cleanup %s %s in %s", mark(e.Verdict), e.Verdict, round(e.Took))}, left(e.Left)...)
	case RunEnded:
		return []string{fmt.Sprintf("%s: %s %s in %s%s", clean(e.Name), mark(e.Verdict), e.Verdict, round(e.Took), because(e))}
	}
	return nil
}

func plural(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}

func count(e Event) string { return fmt.Sprintf("[%d/%d]", e.Step, e.Steps) }

func because(e Event) string {
	if e.Text == "" || e.Verdict == Passed {
		return ""
	}
	return ": " + clean(e.Text)
}

func left(list []string) []string {
	var out []string
	for _, l := range list {
		out = append(out, "  left: "+clean(l))
	}
	return out
}

// mark is the sign for a verdict; the word stands beside it.
func mark(v Verdict) string {
	switch v {
	case Passed:
		return "✔"
	case Failed:
		return "✖"
	case Inconclusive:
		return "?"
	}
	return "–"
}

func round(d time.Duration) time.Duration {
	if d < time.Minute {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}

// checkLines shows a check and what it saw.
func checkLines(c *CheckResult) []string {
	head := fmt.Sprintf("      %s %s", mark(c.Verdict), clean(c.Expr))
	if c.When == "always" || c.When == "eventually" {
		head = fmt.Sprintf("      %s %s: %s", mark(c.Verdict), c.When, clean(c.Expr))
	}
	out := []string{head}
	if c.Text != "" {
		out = append(out, "          "+clean(c.Text))
	}
	for _, v := range c.Values {
		out = append(out, "          "+cut(clean(v.String()), maxRunes))
	}
	for _, why := range c.Why {
		out = append(out, "          "+clean(why))
	}
	return out
}

// Printer writes a run as lines. On a terminal the last line shows what the
// step under way says, and changes in place; in a pipe such progress is one
// line now and then. It is an observer: hand Observe to Run.
type Printer struct {
	w        io.Writer
	terminal bool
	width    func() int // of the terminal, in cells

	step     string // the line of the step under way
	open     bool   // that line is on the screen, unfinished
	progress time.Time
}

// progressEvery is the least time between two lines of progress in a pipe.
const progressEvery = 10 * time.Second

// NewPrinter writes plain lines, or live ones of at most width cells when width is not nil.
func NewPrinter(w io.Writer, width func() int) *Printer {
	return &Printer{w: w, terminal: width != nil, width: width}
}

// Observe prints one event. An error of the writer is not reported: the run goes on.
func (p *Printer) Observe(e Event) {
	if p.terminal {
		p.live(e)
		return
	}
	if e.Kind == Progress {
		if e.At.Sub(p.progress) < progressEvery {
			return
		}
		p.progress = e.At
	}
	for _, l := range Lines(e) {
		fmt.Fprintln(p.w, l)
	}
}

// live keeps one line that changes at the bottom.
func (p *Printer) live(e Event) {
	switch e.Kind {
	case StepStarted, CleanupStarted:
		p.step = Lines(e)[0]
		p.line(p.step)
		return
	case Progress:
		p.line(p.step + "  " + clean(e.Text))
		return
	case Checked:
		if e.Check.Verdict == Passed {
			p.above(checkLines(e.Check)[:1])
			return
		}
	case StepEnded:
		p.step = ""
		text := fmt.Sprintf("%s %s %s  %s %s%s", count(e), mark(e.Verdict), clean(e.Name), e.Verdict, round(e.Took), because(e))
		p.above([]string{text})
		return
	case CleanupEnded, RunEnded:
		p.step = ""
	}
	p.above(Lines(e))
}

// line draws the bottom line anew. Its runes are counted as one cell each:
// the texts are job and node names and numbers.
func (p *Printer) line(text string) {
	fmt.Fprintf(p.w, "\r\x1b[K%s", cut(text, max(p.width()-1, 20)))
	p.open = true
}

// above prints finished lines where the bottom line was, and that below them.
func (p *Printer) above(lines []string) {
	if p.open {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.open = false
	}
	for _, l := range lines {
		fmt.Fprintln(p.w, l)
	}
	if p.step != "" {
		p.line(p.step)
	}
}
