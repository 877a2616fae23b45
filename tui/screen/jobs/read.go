package jobs

import (
	"context"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/tui/screen"
)

const (
	tailBytes  = 32 << 10 // how far back a log begins
	maxSources = 64       // logs read at once; each is a connection
	batchLines = 512
	batchPause = 40 * time.Millisecond // how long a batch is gathered: 25 redraws a second
	retryAfter = 5 * time.Second
	queueLines = 1024
)

// source is one log: of one task of one allocation, out or err.
type source struct {
	req   cluster.LogRequest
	name  string // group[index]
	live  bool   // its task is, so the log goes on
	open  bool   // a command reads it
	retry time.Time
	err   error // of the last reading
}

// wantedSources lists the logs of a job, or of one allocation: of each name
// group[index] the newest allocation of which a task has started, so that the
// log of what failed is there until its successor writes.
func wantedSources(s *cluster.Snapshot, job cluster.JobID, only cluster.AllocID) []source {
	var out []source
	seen := map[string]bool{}
	for _, a := range s.JobAllocs(job) {
		if only != "" && a.ID != only || only == "" && seen[a.Name] {
			continue
		}
		for _, t := range a.Tasks {
			if t.Started.IsZero() {
				continue
			}
			seen[a.Name] = true
			live := !a.Terminal() && t.State != "dead"
			for _, stderr := range []bool{false, true} {
				out = append(out, source{
					req:  cluster.LogRequest{Alloc: a.ID, Task: t.Name, Stderr: stderr, Tail: tailBytes, Follow: live},
					name: shortName(&a), live: live,
				})
			}
		}
	}
	return out
}

// same reports two sources that read the same log.
func (s *source) same(o *source) bool {
	return s.req.Alloc == o.req.Alloc && s.req.Task == o.req.Task && s.req.Stderr == o.req.Stderr
}

// read follows one log into the channel until it ends. It waits while the
// channel is full: so a flood stays at its source.
func read(ctx context.Context, logs screen.LogSource, stream uint64, i int, req cluster.LogRequest, skip int, ch chan<- piece) tea.Cmd {
	return func() tea.Msg {
		err := logs.Logs(ctx, req, func(l cluster.LogLine) {
			if skip > 0 {
				skip--
				return
			}
			select {
			case ch <- piece{i, l.Text}:
			case <-ctx.Done():
			}
		})
		return logEndedMsg{stream, i, err}
	}
}

// next waits for a line and takes what comes with it. There is one such
// command at a time; it ends with the view.
func next(ctx context.Context, stream uint64, ch <-chan piece) tea.Cmd {
	return func() tea.Msg {
		msg := logLinesMsg{stream: stream}
		select {
		case p := <-ch:
			msg.lines = append(msg.lines, p)
		case <-ctx.Done():
			return msg
		}
		pause := time.NewTimer(batchPause)
		defer pause.Stop()
		for len(msg.lines) < batchLines {
			select {
			case p := <-ch:
				msg.lines = append(msg.lines, p)
			case <-pause.C:
				return msg
			case <-ctx.Done():
				return msg
			}
		}
		return msg
	}
}

// lastWrite is what a terminal would show of a line that was written over, as
// progress bars do.
func lastWrite(text string) string {
	text = strings.TrimRight(text, "\r")
	return text[strings.LastIndexByte(text, '\r')+1:]
}
