package cluster

import (
	"slices"
	"strings"
	"time"

	"stoker/gpu"
)

// SourceState says how a source is doing.
type SourceState string

// The states of a source.
const (
	SourceStarting SourceState = "starting"
	SourceLive     SourceState = "live"
	SourceRetrying SourceState = "retrying" // failed; the last data stays, aged
	SourceDenied   SourceState = "denied"   // refused by an ACL
	SourceOff      SourceState = "off"      // not configured
)

// SourceStates are the states of a source.
func SourceStates() []SourceState {
	return []SourceState{SourceStarting, SourceLive, SourceRetrying, SourceDenied, SourceOff}
}

// SourceStatus is the health of one source, published beside its data.
type SourceStatus struct {
	Place
	Name  string // for example "nomad", "nomad/nodes", "vault", "agent gpu-a"
	State SourceState
	Since time.Time // when State began
	AsOf  time.Time // last time it said something; zero is never
	Err   string
	// Retry is when it will be tried again; zero when it is not waiting.
	Retry time.Time
	// Expires is when the right to read it ends; zero where it does not, or
	// where nobody told.
	Expires time.Time
	// Token is where the token for it is taken from, zero where none is used.
	Token TokenOrigin
}

// blipLasts is how long a source that answered may be away before anybody is told:
// a stream that ends and is opened again at once is nothing to look at.
const blipLasts = 3 * time.Second

// Blip says that a source which answered went away only a moment ago, and is tried
// again. Its data ages meanwhile as it would in any case.
func (s *SourceStatus) Blip(now time.Time) bool {
	return s.State == SourceRetrying && !s.AsOf.IsZero() && now.Before(s.Since.Add(blipLasts))
}

// OfNode begins the names of the sources that tell of one node each; before the
// node's name it is that of the one whose batches are from there.
func OfNode(from string) string {
	if from == "nomad" {
		return "devices "
	}
	return from + " "
}

// OfNomad says that a source asks the Nomad that tells of jobs too: while that does
// not answer, neither does the source, and there is no more to say of it.
func OfNomad(source string) bool {
	return slices.Contains([]string{"nomad/nodes", "pools", "namespaces", "variables", "registry", "devices"}, source) ||
		strings.HasPrefix(source, OfNode("nomad"))
}

// TokenOrigin is where a token is taken from.
type TokenOrigin struct {
	File     string // path, read again from time to time; empty: a variable
	Variable string // of stoker's own environment, as it was at its start
}

// Event is one line for the events screen.
type Event struct {
	Place
	At      time.Time
	Level   Level
	Kind    string // node, job, alloc, deployment, gpu, vault, source
	Subject string // for example "gpu-a/3" or "default/digits"
	Text    string
	Job     JobID
	Node    NodeID
	// GPU and On are set when it happened to a GPU: On are the allocations that
	// were on it then, wherever they are now.
	GPU gpu.UUID
	On  []Tenant
}

// Concerns reports an event about a job, or about a GPU that the job was on.
func (e *Event) Concerns(id JobID) bool {
	return e.Job == id || slices.ContainsFunc(e.On, func(t Tenant) bool { return t.Job == id })
}

// Level says how loud an event or a problem is.
type Level int

// The levels, in rising order.
const (
	Info Level = iota
	Warn
	Bad
)
