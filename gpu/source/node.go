package source

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"stoker/gpu"
	"stoker/gpu/stream"
)

// steady is how long a stream must have lasted for the next break to count as
// the first: an agent that dies at once each time is not called twice a second.
const steady = 5 * time.Second

var (
	errDenied = errors.New("token refused")
	errNoCert = errors.New("certificate needed")
	errSilent = errors.New("nothing heard: connection taken as broken")
)

// nodeStream reads one agent, connection after connection.
type nodeStream struct {
	src   *AgentSource
	end   Endpoint
	track *tracker
	wait  backoff

	interval time.Duration // as the agent said; 0 before it did
	moved    time.Time     // when the batch's time last advanced, by our clock
	seen     eventLog
}

func newNodeStream(src *AgentSource, e Endpoint, out *sink) *nodeStream {
	t := src.cfg.Timing
	return &nodeStream{
		src: src, end: e,
		track: &tracker{out: out, now: src.cfg.Now, last: Status{Node: e.Node, Endpoint: e.URL}},
		wait:  backoff{low: t.BackoffMin, high: t.BackoffMax, rand: src.cfg.Rand},
	}
}

func (n *nodeStream) run(ctx context.Context, after time.Duration) {
	n.track.set(StateConnecting, "", nil)
	for sleep(ctx, after) {
		began := n.src.cfg.Now()
		err := n.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if n.src.cfg.Now().Sub(began) >= steady {
			n.wait.reset()
		}
		after = n.wait.next()
		state := StateDown
		if errors.Is(err, errDenied) || errors.Is(err, errNoCert) {
			state = StateDenied
		}
		n.track.set(state, err.Error(), nil)
	}
}

func (n *nodeStream) gone() { n.track.set(StateGone, "", nil) }

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}

// once opens a stream and reads it to its end; it always returns an error.
func (n *nodeStream) once(ctx context.Context) error {
	release, err := n.slot(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// A cable that was pulled says nothing: without a watch the read would
	// last until the kernel gives up, many minutes later.
	watch := time.AfterFunc(n.silence(), func() { cancel(errSilent) })
	defer watch.Stop()

	body, dec, err := n.open(ctx)
	release()
	if err == nil {
		defer body.Close()
		n.interval = dec.Header().Interval()
		err = n.read(dec, func() { watch.Reset(n.silence()) })
	}
	if cause := context.Cause(ctx); errors.Is(cause, errSilent) {
		err = fmt.Errorf("%w after %s: check the node and its agent", errSilent, n.silence())
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the agent closed the stream")
	}
	return fmt.Errorf("read gpu agent of node %s at %s: %w", n.name(), n.end.URL, err)
}

func (n *nodeStream) name() string {
	if n.end.NodeName != "" {
		return n.end.NodeName
	}
	return n.end.Node
}

func (n *nodeStream) silence() time.Duration {
	if t := n.src.cfg.Timing.Silence; t > 0 {
		return t
	}
	return max(5*n.interval, 10*time.Second)
}

func (n *nodeStream) frozenAfter() time.Duration {
	if t := n.src.cfg.Timing.Frozen; t > 0 {
		return t
	}
	return max(3*n.interval, 3*time.Second)
}

// slot waits until one more connect may be under way.
func (n *nodeStream) slot(ctx context.Context) (release func(), err error) {
	select {
	case n.src.slots <- struct{}{}:
		return func() { <-n.src.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// open connects and reads the header.
func (n *nodeStream) open(ctx context.Context) (io.Closer, *stream.Decoder, error) {
	req, err := n.request(ctx)
	if err != nil {
		return nil, nil, err
	}
	resp, err := n.src.client.Do(req)
	if err != nil {
		return nil, nil, explainTLS(withoutURL(err))
	}
	dec, err := n.accept(resp)
	if err != nil {
		resp.Body.Close()
		return nil, nil, err
	}
	return resp.Body, dec, nil
}

func (n *nodeStream) address() string {
	at := strings.TrimRight(n.end.URL, "/") + "/v1/stream"
	if n.end.Plain {
		at += "?" + stream.DetailParam + "=" + stream.DetailNone
	}
	return at
}

func (n *nodeStream) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.address(), nil)
	if err != nil {
		return nil, fmt.Errorf("address not understood: %w", err)
	}
	if n.src.cfg.Gzip {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	if n.src.cfg.Token == nil {
		return req, nil
	}
	token, err := n.src.cfg.Token(ctx)
	if err != nil {
		return nil, fmt.Errorf("no token for it: %w", err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

// accept judges the answer: who it is from, and whether it is a stream.
func (n *nodeStream) accept(resp *http.Response) (*stream.Decoder, error) {
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return nil, fmt.Errorf("%w (HTTP 401): give this context the token that the agents were started with", errDenied)
	case http.StatusForbidden:
		return nil, fmt.Errorf("%w (HTTP 403): set agents.client_cert and agents.client_key, signed by the agents' --client-ca", errNoCert)
	case http.StatusBadRequest:
		if strings.HasPrefix(n.end.URL, "http:") {
			return nil, errors.New("answered HTTP 400, as one does that serves TLS: set agents.tls, or give the agents' service the tag tls")
		}
		return nil, errors.New("answered HTTP 400")
	default:
		return nil, fmt.Errorf("answered HTTP %d", resp.StatusCode)
	}
	var r io.Reader = resp.Body
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(resp.Body)
		if err != nil {
			return nil, fmt.Errorf("open compressed stream: %w", err)
		}
		r = z
	}
	dec, err := stream.NewDecoder(r, &n.src.lines)
	if err != nil {
		return nil, err
	}
	if h := dec.Header(); h.Node != "" && n.end.Node != "" && h.Node != n.end.Node {
		return nil, fmt.Errorf("the agent there says that it is node %.40q, not %s: not trusted", h.Node, n.end.Node)
	}
	return dec, nil
}

// read folds frames until the stream ends.
func (n *nodeStream) read(dec *stream.Decoder, alive func()) error {
	var folder stream.Folder
	n.moved = n.src.cfg.Now()
	for {
		f, err := dec.Next()
		if err != nil {
			return err
		}
		alive()
		b, ok := folder.Fold(f)
		if ok {
			n.emit(b)
		}
		n.judge(f, b, ok)
	}
}

func (n *nodeStream) emit(b gpu.Batch) {
	if n.end.Node != "" {
		b.Node = n.end.Node // what the scheduler's side says, not what the peer says
	}
	b.Source = "agent"
	b.Events = n.seen.fresh(b.Events)
	if !b.At.Equal(n.track.last.AsOf) {
		n.moved = n.src.cfg.Now()
	}
	n.track.batch(b)
}

// judge sets the state after a frame. Beats come each interval even when
// nothing is read, so this needs no timer of its own.
func (n *nodeStream) judge(f stream.Frame, b gpu.Batch, ok bool) {
	if s := f.Sampler; s != nil && s.State == stream.SamplerStarting {
		n.track.set(StateConnecting, firstOf(s.Err, "the agent has read nothing yet"), nil)
		return
	}
	if s := f.Sampler; s != nil && s.State != stream.SamplerOK && s.State != "" {
		n.track.set(StateFrozen, firstOf(s.Err, "the agent's sampler is "+s.State), n.track.last.Frozen)
		return
	}
	still := n.src.cfg.Now().Sub(n.moved)
	if still > n.frozenAfter() {
		n.track.set(StateFrozen, "readings do not advance", n.track.last.Frozen)
		return
	}
	if ok {
		n.track.set(StateLive, "", frozenDevices(b, n.frozenAfter()))
	}
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// withoutURL drops the "Get http://…" that net/http puts before a cause: the
// address is said already.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// eventLog drops events that were told already: a keyframe at a reconnect
// repeats recent ones, so that none is lost.
type eventLog struct {
	known map[gpu.Event]bool
	order []gpu.Event
}

// eventMemory is more than an agent repeats.
const eventMemory = 256

func (l *eventLog) fresh(in []gpu.Event) []gpu.Event {
	var out []gpu.Event
	for _, e := range in {
		key := e
		key.At = e.At.UTC().Round(0) // comparable: one zone, no monotonic part
		if l.known[key] {
			continue
		}
		if l.known == nil {
			l.known = map[gpu.Event]bool{}
		}
		l.known[key] = true
		l.order = append(l.order, key)
		if len(l.order) > eventMemory {
			delete(l.known, l.order[0])
			l.order = l.order[1:]
		}
		out = append(out, e)
	}
	return out
}
