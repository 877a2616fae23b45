package screen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"stoker/cluster"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// Health is how the sources of one group do, those that are away for a moment as if
// they were not: all whose name is the group's, or begins with it and "/" or a space
// ("nomad/nodes", "agent gpu-a").
type Health struct {
	All, Live int
	Worst     cluster.SourceStatus // the one that does worst; zero when All is 0
}

// OK reports that every source of the group is live.
func (h Health) OK() bool { return h.All > 0 && h.Live == h.All }

// Lost reports a group of which a source gives no answer, or none any more.
func (h Health) Lost() bool {
	return h.Worst.State == cluster.SourceRetrying || h.Worst.State == cluster.SourceDenied
}

// Source sums a group up.
func Source(s *cluster.Snapshot, group string) Health {
	return sumUp(s, func(name string) bool { return GroupOf(name) == group })
}

func sumUp(s *cluster.Snapshot, of func(name string) bool) Health {
	var h Health
	for _, src := range s.Sources {
		if !of(src.Name) || src.State == cluster.SourceOff {
			continue
		}
		if src.Blip(s.At) {
			src.State = cluster.SourceLive
		}
		h.All++
		if src.State == cluster.SourceLive {
			h.Live++
		}
		if h.All == 1 || rank(src.State) > rank(h.Worst.State) {
			h.Worst = src
		}
	}
	return h
}

// Each sums up the sources of single nodes in a group: "devices gpu-a", and not
// the group's own "devices".
func Each(s *cluster.Snapshot, group string) Health {
	return sumUp(s, func(name string) bool { return strings.HasPrefix(name, group+" ") })
}

// GroupOf is the part of a source's name before "/" or a space.
func GroupOf(name string) string {
	if i := strings.IndexAny(name, "/ "); i > 0 {
		return name[:i]
	}
	return name
}

func rank(st cluster.SourceState) int {
	switch st {
	case cluster.SourceRetrying:
		return 3
	case cluster.SourceDenied:
		return 2
	case cluster.SourceStarting:
		return 1
	}
	return 0
}

// Trouble says what is wrong with a source, since when and when it is tried
// again: "nomad: connection refused; last answer 2m ago, next try in 4s".
func Trouble(src *cluster.SourceStatus, now time.Time) string {
	var b strings.Builder
	b.WriteString(ui.Clean(src.Name))
	switch {
	case src.Err != "":
		b.WriteString(": " + ui.Clean(strings.TrimPrefix(src.Err, GroupOf(src.Name)+": "))) // whose error it is stands there
	case src.State == cluster.SourceStarting:
		b.WriteString(": no answer yet")
	default:
		b.WriteString(": " + string(src.State))
	}
	if src.State == cluster.SourceDenied {
		return b.String()
	}
	if src.AsOf.IsZero() {
		b.WriteString("; never answered")
	} else {
		b.WriteString("; last answer " + ui.Ago(src.AsOf, now))
	}
	if left := src.Retry.Sub(now); !src.Retry.IsZero() && left > 0 {
		fmt.Fprintf(&b, ", next try in %s", ui.Dur(max(left, time.Second)))
	} else if src.State == cluster.SourceRetrying {
		b.WriteString(", trying again")
	}
	return b.String()
}

// teller is the source that tells of things.
func teller(things string) string {
	switch things {
	case "nodes", "GPUs":
		return "nomad/nodes"
	case "node pools":
		return "pools"
	case "namespaces", "variables":
		return things
	}
	return "nomad"
}

// Old tells the places of which what is shown of things is old: the source that
// tells of them answered once, and does not now. It is nil while there are none,
// and for things that grow old one by one, by when each was heard of.
func Old(s *cluster.Snapshot, things string) func(cluster.Place) bool {
	switch things {
	case "GPUs", "processes", "models", "training jobs", "keys", "events", "sources":
		return nil
	}
	var old []cluster.Place
	for _, one := range s.Each() {
		src := cmp.Or(one.Source(teller(things)), one.Source("nomad"))
		if src != nil && !src.AsOf.IsZero() && !src.Blip(one.At) && (src.State == cluster.SourceRetrying || src.State == cluster.SourceDenied) {
			old = append(old, one.Place)
		}
	}
	switch {
	case old == nil:
		return nil
	case s.Members == nil:
		return func(cluster.Place) bool { return true }
	}
	return func(p cluster.Place) bool { return slices.Contains(old, p) }
}

// IsOld is Old for one place.
func IsOld(s *cluster.Snapshot, things string, p cluster.Place) bool {
	old := Old(s, things)
	return old != nil && old(p)
}

// refusal is the source that would tell of things and may not be read; nil when
// it may. Of several clusters all must refuse.
func refusal(s *cluster.Snapshot, things string) (src *cluster.SourceStatus) {
	for _, one := range s.Each() {
		if src = one.Source(teller(things)); src == nil || src.State != cluster.SourceDenied {
			return nil
		}
	}
	return src
}

// EmptyText says why a table of things is empty: not read yet, because of
// which source, not to be read, or none there.
func EmptyText(s *cluster.Snapshot, things string, now time.Time) string {
	if s == nil || s.Members == nil {
		return emptyText(s, things, now)
	}
	if src := refusal(s, things); src != nil {
		return things + " may not be read. " + Trouble(src, now)
	}
	var out []string
	for _, one := range s.Members { // those that have none say nothing of interest
		if text := emptyText(one, things, now); !one.Ready || refusal(one, things) != nil {
			out = append(out, ui.Clean(s.Label(one.Place))+": "+text)
		}
	}
	if len(out) < len(s.Members) {
		out = append([]string{"no " + things}, out...)
	}
	return strings.Join(out, ". ")
}

func emptyText(s *cluster.Snapshot, things string, now time.Time) string {
	if s != nil {
		if src := refusal(s, things); src != nil {
			return things + " may not be read. " + Trouble(src, now)
		}
		if src := s.Source(teller(things)); src != nil && src.AsOf.IsZero() && src.State == cluster.SourceRetrying {
			return "no " + things + " yet. " + Trouble(src, now)
		}
	}
	if s != nil && s.Ready {
		return "no " + things
	}
	if s != nil {
		if h := Source(s, "nomad"); h.All > 0 && h.Lost() {
			return "no " + things + " yet. " + Trouble(&h.Worst, now)
		}
	}
	return "waiting for nomad to list its " + things + Ellipsis
}

// Ellipsis ends a text about something that is still going on.
const Ellipsis = "…"

// Mark is glyph and style for a level: never colour alone.
func Mark(th *theme.Theme, l cluster.Level) (glyph string, st theme.Style) {
	switch l {
	case cluster.Bad:
		return th.G.Bad, th.Bad
	case cluster.Warn:
		return th.G.Warn, th.Warn
	}
	return th.G.OK, th.Muted
}
