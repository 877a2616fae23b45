package nomad

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goccy/go-json"
	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"stoker/cluster"
)

// readJob is the capability that lists and the stream of a namespace need.
const readJob = "read-job"

// subscriptions are the open streams of one class.
type subscriptions struct {
	open []*subscription
	all  bool // nothing is left out
	// spaces are the namespaces that were asked for one by one, as of the index
	// since; nil where that was not needed.
	spaces []string
	since  uint64
}

// subscribe opens the stream of a class or, for a token that may not read all
// namespaces, those of each that it may: Nomad refuses "*" then, while its lists
// leave out what is denied.
func (c *Client) subscribe(ctx context.Context, cl class) (subs subscriptions, err error) {
	every := cl.namespaced && c.namespace == api.AllNamespacesNamespace
	if !every || !c.denials.believed(c.namespace) {
		one, err := c.open(ctx, cl, c.namespace)
		if err == nil {
			return subscriptions{open: []*subscription{one}, all: every || !cl.namespaced}, nil
		}
		if !every || !errors.Is(err, cluster.ErrDenied) {
			return subs, err
		}
	}
	if subs.spaces, subs.since, err = c.spaces(ctx, 0); err != nil {
		return subs, err
	}
	found, refused := make([]*subscription, len(subs.spaces)), make([]error, len(subs.spaces))
	var g errgroup.Group
	for i, space := range subs.spaces {
		if c.denials.believed(space) {
			continue
		}
		g.Go(func() error {
			one, err := c.open(ctx, cl, space)
			if errors.Is(err, cluster.ErrDenied) {
				refused[i] = err
				return nil // the others may be allowed
			}
			found[i] = one
			return err
		})
	}
	err = g.Wait()
	subs.open = slices.DeleteFunc(found, func(s *subscription) bool { return s == nil })
	if err == nil && len(subs.open) == 0 {
		err = cmp.Or(slices.Concat(refused, []error{c.denied("no namespace can be read")})...)
	}
	return subs, err
}

// subscription is one open stream of events.
type subscription struct {
	client *Client
	end    context.CancelFunc
	dog    *time.Timer // ends it when it says nothing for too long
	hung   atomic.Bool // that happened
	lines  *bufio.Reader
	close  func() error
	first  eventsJSON
}

// fromNow is an index that no cluster reaches. Without one Nomad begins with the
// last hundred events, each with its whole node or allocation: megabytes of what
// the lists tell, made by a server that somebody waits for. From one that is too
// high it begins with the last event.
const fromNow = "9007199254740992" // 2^53

// open subscribes to one namespace and waits for the first line. Nomad 1.11
// accepts every subscription, greets those that are allowed at once, and says
// nothing at all to those that are denied.
func (c *Client) open(outer context.Context, cl class, namespace string) (*subscription, error) {
	ctx, end := context.WithCancel(outer)
	s := &subscription{client: c, end: end}
	s.dog = time.AfterFunc(c.wait.silent, func() { s.hung.Store(true); end() })
	params := url.Values{"topic": cl.topics, "index": {fromNow}}
	q := c.query(ctx, namespace)
	body, err := c.api.Raw().Response("/v1/event/stream?"+params.Encode(), q)
	if err != nil {
		s.stop()
		return nil, c.fault(err)
	}
	s.lines, s.close = bufio.NewReaderSize(body, 64<<10), body.Close
	s.dog.Reset(c.wait.hello)
	if s.first, err = s.next(); err == nil {
		s.dog.Reset(c.wait.silent)
		return s, nil
	}
	s.stop()
	if s.hung.Load() { // it ended by our patience, not by a fault
		return nil, c.whySilent(outer, cl, namespace)
	}
	return nil, s.lost(err)
}

// whySilent says why a stream says nothing. A server that is slow or hangs is
// silent, too: so something cheap is asked that needs the same right.
func (c *Client) whySilent(ctx context.Context, cl class, namespace string) error {
	_, err := c.getIn(ctx, namespace, cl.cheap, map[string]string{"per_page": "1"}, new([]struct{}))
	r := c.rights.Load()
	switch {
	case errors.Is(err, cluster.ErrDenied):
	case err != nil:
		return err
	case cl.namespaced && namespace == api.AllNamespacesNamespace && !r.everywhere(readJob):
		// A list of all leaves out what is denied, and the stream of all is denied for it.
	default:
		return &cluster.Fault{Kind: cluster.ErrUnreachable, Text: fmt.Sprintf("nomad's event stream at %s stays silent", c.address)}
	}
	if cl.namespaced {
		c.denials.note(namespace, time.Now().Add(c.wait.denial))
	}
	return c.denied("the event stream stays silent: permission denied")
}

func (c *Client) denied(text string) error {
	return &cluster.Fault{Kind: cluster.ErrDenied, Text: "nomad: " + text, Advice: "following needs the capability read-job in the namespace, and node:read for nodes"}
}

func (s *subscription) stop() {
	s.end()
	s.dog.Stop()
	if s.close != nil {
		_ = s.close()
	}
}

// next decodes one line: a batch of events or an empty heartbeat.
func (s *subscription) next() (line eventsJSON, err error) {
	text, err := s.lines.ReadBytes('\n')
	if len(text) == 0 && err != nil { // else what came before it counts
		return line, err
	}
	return line, json.Unmarshal(text, &line)
}

// read hands on what the stream says until it breaks.
func (s *subscription) read(got func(u cluster.Update, anything bool)) error {
	defer s.stop()
	for line := s.first; ; {
		s.dog.Reset(s.client.wait.silent)
		got(s.client.update(&line), len(line.Events) > 0)
		var err error
		if line, err = s.next(); err != nil {
			return s.lost(err)
		}
	}
}

func (s *subscription) lost(err error) error {
	if s.hung.Load() {
		err = errors.New("no heartbeat")
	}
	return &cluster.Fault{Kind: cluster.ErrUnreachable, Err: err, Text: fmt.Sprintf("lost nomad's event stream at %s: %s", s.client.address, cause(err))}
}

// denials remembers which namespaces stay silent because they are denied: to
// find that out takes seconds. It is believed for a while, or until the token
// or what it may do changes.
type denials struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func (d *denials) note(namespace string, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.until == nil {
		d.until = map[string]time.Time{}
	}
	d.until[namespace] = until
}

func (d *denials) believed(namespace string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Before(d.until[namespace])
}

func (d *denials) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.until)
}
