package cluster

import (
	"fmt"
	"strings"
	"time"

	"stoker/secrets"
)

func (st *state) vaultState(v secrets.State) {
	if st.vault != nil && st.vault.Sealed != v.Sealed && v.Err == "" {
		e := Event{At: st.now(), Kind: "vault", Subject: "vault", Text: "open"}
		if v.Sealed {
			e.Level, e.Text = Bad, "sealed: no key can be used"
		}
		st.event(e)
	}
	switch {
	case st.vault == nil:
	case v.Err != "": // keep what was known, with the error beside it
		kept := *st.vault
		kept.Err, kept.Hint, kept.Retry = v.Err, v.Hint, v.Retry
		v = kept
	case v.Sealed && v.Keys == nil: // a sealed Vault tells of no key
		v.Keys, v.KeysAt = st.vault.Keys, st.vault.KeysAt
	}
	st.vault = &v
}

func (st *state) source(s SourceStatus) {
	s.Place = st.place
	old, had := st.sources[s.Name]
	if s.AsOf.IsZero() {
		s.AsOf = old.AsOf
	}
	if had && old.State == s.State {
		s.Since = old.Since
	} else if s.Since.IsZero() {
		s.Since = st.now()
	}
	if had && old.State != s.State && (s.State == SourceRetrying || old.State == SourceRetrying && s.State == SourceLive) {
		e := Event{At: st.now(), Kind: "source", Subject: s.Name, Text: "answers again"}
		if s.State == SourceRetrying {
			e.Level, e.Text = Warn, s.Err
		}
		st.sourceEvent(e, s.State)
	}
	if !had {
		st.sourceNames = nil
	}
	st.sources[s.Name] = s
}

func (st *state) forget(source string) {
	delete(st.sources, source)
	st.sourceNames = nil
}

// burst counts what sources of one group, such as the agents, went through in
// one minute.
type burst struct {
	began, told time.Time // told is of the event that counts them
	n           int
}

type burstOf struct {
	group string
	state SourceState
}

const (
	burstLasts = time.Minute
	// burstNamed is how many are told of one by one.
	burstNamed = 3
)

// sourceEvent tells of a source. Those of nodes come by the thousand when a
// network breaks: more than a few are counted in one event, or the ring would
// hold nothing else.
func (st *state) sourceEvent(e Event, state SourceState) {
	group, _, ofNode := strings.Cut(e.Subject, " ")
	if !ofNode {
		st.event(e)
		return
	}
	of := burstOf{group, state}
	b := st.bursts[of]
	if e.At.Sub(b.began) > burstLasts {
		b = burst{began: e.At}
	}
	b.n++
	more := b.n - burstNamed
	if more > 0 {
		e.Subject, e.Text = group, fmt.Sprintf("%d more within a minute: %s", more, e.Text)
	}
	switch {
	case more > 1 && st.replaceEvent(e, b.told):
	default:
		st.event(e)
		b.told = e.At
	}
	st.bursts[of] = b
}

// replaceEvent puts an event in the place of the one about the same at a time.
func (st *state) replaceEvent(e Event, at time.Time) bool {
	for i := len(st.events) - 1; i >= 0; i-- {
		if was := &st.events[i]; was.Kind == e.Kind && was.Subject == e.Subject && was.Level == e.Level && was.At.Equal(at) {
			was.Text, st.recent = e.Text, nil
			return true
		}
	}
	return false
}
