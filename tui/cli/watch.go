package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/tui/ui"
)

// watchEvery bounds how often a watch prints: a person or a log reads it.
const watchEvery = time.Second

// watch prints all rows, then those that are new or changed, and those that went:
// as lines for a person, as one array a line for a program.
func (a *App) watch(ctx context.Context, s *Session, q *question) error {
	latest, _ := s.Wait(ctx, patience(s.Feed.Latest()), q.view.Settled)
	ch, stop := s.Feed.Subscribe()
	defer stop()
	w := printed{read: q.reading(), key: q.view.Key()}
	head, late := true, lateness{view: q.view}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if latest != nil {
			if text := late.news(latest); text != "" {
				fmt.Fprintln(a.Err, "stoker: "+ui.Clean(text))
			}
			news, gone := w.next(q.rows(latest))
			if len(news) > 0 {
				if err := q.writeChanged(a.Out, news, head, a.Now()); err != nil {
					return err
				}
				head = false
			}
			if err := q.writeGone(a.Out, gone, latest); err != nil {
				return err
			}
			latest = nil
		}
		select {
		case <-ctx.Done():
			return nil // interrupting a watch is how it ends
		case <-tick.C:
		}
		select {
		case next, open := <-ch:
			if !open {
				return nil
			}
			latest = next
		default:
		}
	}
}

// lateness tells when what a watch prints begins to be old, and when it is not
// any more: a stream that falls silent looks like one in which nothing happens.
type lateness struct {
	view *facts.View
	was  string // the sources that did not answer last time
}

// news is what to say of the sources of a snapshot; empty when they do as they did.
func (l *lateness) news(s *cluster.Snapshot) string {
	missing, now := l.view.Missing(s), ""
	if missing != nil {
		for _, src := range s.Sources {
			if src.State == cluster.SourceRetrying || src.State == cluster.SourceDenied {
				now += s.Label(src.Place) + " " + src.Name + "\n"
			}
		}
		now += "." // something is
	}
	was := l.was
	switch l.was = now; {
	case now == was:
		return ""
	case missing == nil:
		return "all is read again"
	}
	return "warning: what follows is incomplete: " + missing.Error()
}

// printed is what a watch has printed.
type printed struct {
	read func(facts.Row) string // how a row reads
	key  []int                  // what makes a row itself; nil: rows do not go
	seen map[string]bool        // the readings of the rows of last time
	rows []facts.Row            // these
}

// next takes the rows as they are now, and tells which are new or read differently
// from last time, and which were there last time and are gone.
func (w *printed) next(rows []facts.Row) (news, gone []facts.Row) {
	seen := make(map[string]bool, len(rows))
	for _, r := range rows {
		text := w.read(r)
		seen[text] = true
		if !w.seen[text] {
			news = append(news, r)
		}
	}
	w.seen = seen
	if w.key == nil {
		return news, nil
	}
	known := named(w.key, rows)
	for _, r := range w.rows {
		if !known[nameOf(w.key, r)] {
			gone = append(gone, r)
		}
	}
	w.rows = rows
	return news, gone
}

// named are the names of rows.
func named(key []int, rows []facts.Row) map[string]bool {
	out := make(map[string]bool, len(rows))
	for _, r := range rows {
		out[nameOf(key, r)] = true
	}
	return out
}

// nameOf is what makes a row itself, for comparing.
func nameOf(key []int, r facts.Row) string {
	var b strings.Builder
	for _, i := range key {
		fmt.Fprintf(&b, "%v\x00", r[i])
	}
	return b.String()
}
