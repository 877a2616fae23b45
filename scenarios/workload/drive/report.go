package drive

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// Codes of what is no HTTP answer, or none that makes sense.
const (
	codeTimeout  = "timeout"
	codeFailed   = "connection"
	codeOverrun  = "overrun" // not sent: too many still unanswered
	codeNonsense = "nonsense"
)

// Report is the result of a drive. What is unknown, for want of an answer, is
// null.
type Report struct {
	Requests  int            `json:"requests"`
	Answered  int            `json:"answered"` // by a server, well or badly
	Errors    int            `json:"errors"`   // all that is not status 200 with a label
	ErrorRate *float64       `json:"error_rate"`
	Accuracy  *float64       `json:"accuracy"` // of the answers without an error
	Codes     map[string]int `json:"codes"`
	Seconds   float64        `json:"duration_seconds"`
	Rate      float64        `json:"requests_per_second"`
	// Latencies of the answers without an error, exact, by nearest rank.
	P50 *float64 `json:"p50_seconds"`
	P95 *float64 `json:"p95_seconds"`
	P99 *float64 `json:"p99_seconds"`
	Max *float64 `json:"max_seconds"`
}

type outcome struct {
	answered bool // a server said something
	ok       bool // status 200 with a label
	right    bool // and the label is right
	code     string
	took     time.Duration
}

type tally struct {
	mu       sync.Mutex
	codes    map[string]int
	requests int
	answered int
	right    int
	took     []time.Duration // of those that are ok
}

func (t *tally) add(o outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.codes == nil {
		t.codes = map[string]int{}
	}
	t.codes[o.code]++
	t.requests++
	if o.answered {
		t.answered++
	}
	if o.ok {
		t.took = append(t.took, o.took)
	}
	if o.right {
		t.right++
	}
}

func (t *tally) report(elapsed time.Duration) Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.Sort(t.took)
	r := Report{
		Requests: t.requests, Answered: t.answered, Errors: t.requests - len(t.took),
		Codes: t.codes, Seconds: elapsed.Seconds(),
		P50: quantile(t.took, 0.5), P95: quantile(t.took, 0.95), P99: quantile(t.took, 0.99), Max: quantile(t.took, 1),
	}
	if r.Codes == nil {
		r.Codes = map[string]int{}
	}
	r.ErrorRate = share(r.Errors, r.Requests)
	r.Accuracy = share(t.right, len(t.took))
	if r.Seconds > 0 {
		r.Rate = float64(r.Requests) / r.Seconds
	}
	return r
}

func share(part, whole int) *float64 {
	if whole == 0 {
		return nil
	}
	v := float64(part) / float64(whole)
	return &v
}

// quantile takes the smallest value that at least the share q of all values
// do not exceed.
func quantile(sorted []time.Duration, q float64) *float64 {
	if len(sorted) == 0 {
		return nil
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	v := sorted[max(rank, 1)-1].Seconds()
	return &v
}

// Text is the report for a person.
func (r Report) Text() string {
	var codes []string
	for _, code := range slices.Sorted(maps.Keys(r.Codes)) {
		codes = append(codes, fmt.Sprintf("%s: %d", code, r.Codes[code]))
	}
	return fmt.Sprintf("requests: %d errors: %d error_rate: %s accuracy: %s p50_seconds: %s p95_seconds: %s p99_seconds: %s codes: %s",
		r.Requests, r.Errors, known(r.ErrorRate), known(r.Accuracy), known(r.P50), known(r.P95), known(r.P99), strings.Join(codes, ", "))
}

func known(v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%.4g", *v)
}
