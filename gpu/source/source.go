package source

import (
	"math"
	"slices"
	"sync"
	"time"

	"stoker/gpu"
)

// Endpoint is one agent.
type Endpoint struct {
	Node     string // the Nomad node's ID; an agent that claims another is refused
	NodeName string
	URL      string // base address, for example "https://10.0.0.7:9460"
	Plain    bool   // an agent is asked for samples without their details
}

// The states of a reader.
const (
	StateConnecting = "connecting" // first attempt, nothing known yet
	StateLive       = "live"
	StateFrozen     = "frozen" // the peer answers, but readings do not advance
	StateDown       = "down"   // no stream; retried with backoff
	StateDenied     = "denied" // the peer refused the token; retried with backoff
	StateGone       = "gone"   // no longer an endpoint; nothing follows
)

// Status says how the reading of one endpoint goes. It is sent when anything
// but AsOf changes; between two, the time of the last batch is as good as AsOf.
type Status struct {
	Node     string
	Endpoint string    // URL, or "local"
	State    string    // one of the State… constants
	Since    time.Time // when State began, by this host's clock
	AsOf     time.Time // time of the last batch, by the peer's clock; zero if none
	Err      string    // why, in words; empty when all is well
	// Frozen lists devices whose readings stand still while those of their
	// neighbours advance.
	Frozen []gpu.UUID
}

// sink serialises what many streams have to say.
type sink struct {
	mu     sync.Mutex
	emit   func(gpu.Batch)
	status func(Status)
}

// tracker remembers the last Status of one endpoint, to tell changes only.
type tracker struct {
	out  *sink
	now  func() time.Time
	last Status
}

// set changes the state; what did not change is not told.
func (t *tracker) set(state, err string, frozen []gpu.UUID) {
	if t.last.State == state && t.last.Err == err && slices.Equal(t.last.Frozen, frozen) {
		return
	}
	if t.last.State != state {
		t.last.Since = t.now()
	}
	t.last.State, t.last.Err, t.last.Frozen = state, err, frozen
	t.out.mu.Lock()
	defer t.out.mu.Unlock()
	if t.out.status != nil {
		t.out.status(t.last)
	}
}

// batch hands on a reading.
func (t *tracker) batch(b gpu.Batch) {
	t.last.AsOf = b.At
	t.out.mu.Lock()
	defer t.out.mu.Unlock()
	t.out.emit(b)
}

// frozenDevices lists the devices whose sample is older than its batch by more
// than limit. Both times are the peer's, so a wrong clock does not matter.
func frozenDevices(b gpu.Batch, limit time.Duration) []gpu.UUID {
	var out []gpu.UUID
	for i := range b.Samples {
		if b.At.Sub(b.Samples[i].At) > limit {
			out = append(out, b.Samples[i].UUID)
		}
	}
	return out
}

// backoff gives growing waits with jitter: a fleet whose switch came back must
// not be called by everyone in the same instant.
type backoff struct {
	low, high time.Duration
	rand      func() float64
	tries     int
}

func (b *backoff) next() time.Duration {
	d := float64(b.low) * math.Pow(2, float64(min(b.tries, 30)))
	b.tries++
	d = math.Min(d, float64(b.high))
	return time.Duration(d/2 + b.rand()*d/2)
}

func (b *backoff) reset() { b.tries = 0 }
