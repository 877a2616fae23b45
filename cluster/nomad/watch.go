package nomad

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"stoker/cluster"
)

// watched is a list that is followed by blocking queries: the event stream does
// not tell of it, or only to a management token.
type watched struct {
	source string
	set    cluster.Set
	list   func(ctx context.Context, since uint64) (cluster.Update, error)
}

func (c *Client) watches() []watched {
	return []watched{
		{"pools", cluster.SetPools, func(ctx context.Context, since uint64) (u cluster.Update, err error) {
			u.Pools, u.Index, err = block(ctx, c, "/v1/node/pools", since, func(r *poolJSON) cluster.NodePool { return r.row(c.place) })
			return u, err
		}},
		{"namespaces", cluster.SetNamespaces, func(ctx context.Context, since uint64) (u cluster.Update, err error) {
			u.Namespaces, u.Index, err = block(ctx, c, "/v1/namespaces", since, func(r *namespaceJSON) cluster.Namespace { return r.row(c.place) })
			return u, err
		}},
		{"variables", cluster.SetVariables, func(ctx context.Context, since uint64) (u cluster.Update, err error) {
			select { // Nomad tells of locks only who may do all
			case <-c.learned:
			case <-ctx.Done():
			}
			u.Variables, u.Index, err = block(ctx, c, "/v1/vars", since, func(r *variableJSON) cluster.Variable { return r.row(c.place, c.rights.Load().unbound()) })
			return u, err
		}},
	}
}

// block lists as soon as the list is newer than since, or at the latest after
// some minutes.
func block[J, R any](ctx context.Context, c *Client, path string, since uint64, row func(*J) R) ([]R, uint64, error) {
	var params map[string]string
	if since > 0 {
		params = map[string]string{"index": strconv.FormatUint(since, 10), "wait": c.wait.block.String()}
	}
	return listWithin(ctx, c.wait.block+c.wait.ask, c, path, params, row)
}

// spaces are the names of the namespaces that may be seen.
func (c *Client) spaces(ctx context.Context, since uint64) ([]string, uint64, error) {
	return block(ctx, c, "/v1/namespaces", since, func(n *namespaceJSON) string { return n.Name })
}

// watch follows one list for ever.
func (c *Client) watch(ctx context.Context, w watched, emit func(cluster.Update), status func(cluster.SourceStatus)) error {
	say := c.sayer(w.source, status)
	wait, since := c.wait.firstRetry, uint64(0)
	c.turns.nodes.wait(ctx)
	for {
		u, err := w.list(ctx, since)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		pause := c.wait.again // a list that changes all the time is not asked for all the time
		switch {
		case errors.Is(err, cluster.ErrNotFound): // this Nomad does not know it
			status(cluster.SourceStatus{Name: w.source, State: cluster.SourceOff})
			return nil
		case err != nil:
			if errors.Is(err, cluster.ErrDenied) {
				emit(cluster.Update{Refused: w.set})
			}
			pause = c.failed(say, err, &wait)
			since = 0
		default:
			wait = c.wait.firstRetry
			if u.Index < since {
				since = 0 // the servers began anew
			} else {
				since = u.Index
			}
			u.Lists = w.set
			emit(u)
			say(cluster.SourceLive, nil, time.Time{})
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// tokenLife reads the token again and again, tells when it ends, as long as it
// does, and learns what it may do. What is not answered leaves what was known: of
// a token that ended, that it did.
func (c *Client) tokenLife(ctx context.Context, status func(cluster.SourceStatus)) error {
	st := cluster.SourceStatus{Name: "nomad/token", State: cluster.SourceOff}
	for first := true; ; first = false {
		fresh := c.auth.reread(ctx)
		now, kind, err := c.self(ctx)
		if err == nil {
			st = now
			may, err := c.may(ctx, kind)
			if !errors.Is(err, cluster.ErrUnreachable) {
				fresh = !reflect.DeepEqual(may, c.rights.Swap(may)) || fresh
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil || first {
			status(st)
		}
		switch {
		case first:
			close(c.learned)
		case fresh:
			c.denials.forget()
			select {
			case c.renewed <- struct{}{}:
			default:
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.wait.token):
		}
	}
}

// self asks when the token ends, and of which kind it is.
func (c *Client) self(ctx context.Context) (st cluster.SourceStatus, kind string, err error) {
	st = cluster.SourceStatus{Name: "nomad/token", State: cluster.SourceOff}
	var self struct {
		Type           string
		ExpirationTime *time.Time
	}
	_, err = c.get(ctx, "/v1/acl/token/self", nil, &self)
	if withoutACLs(err) {
		return st, management, nil // everybody may do all
	}
	if err == nil && self.ExpirationTime != nil {
		st.State, st.AsOf, st.Expires, st.Token = cluster.SourceLive, c.now(), *self.ExpirationTime, c.origin
	}
	return st, self.Type, err
}

// withoutACLs says that Nomad refused a question about them because it has none.
func withoutACLs(err error) bool {
	var answer api.UnexpectedResponseError
	return errors.As(err, &answer) && answer.HasStatusCode() && strings.Contains(answer.Body(), "ACL support disabled")
}

// spacesChanged ends with errSpaces when the namespaces that may be seen are no
// longer those named.
func (c *Client) spacesChanged(ctx context.Context, since uint64, names []string) error {
	slices.Sort(names)
	for {
		pause := c.wait.again
		now, index, err := c.spaces(ctx, since)
		slices.Sort(now)
		switch {
		case err != nil: // it is no reason to look no more
			index, pause = 0, c.wait.lastRetry
		case !slices.Equal(now, names):
			return errSpaces
		}
		since = index
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// mayChanged ends with errSpaces when the token is another or may do other things.
func (c *Client) mayChanged(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.renewed:
		return errSpaces
	}
}

// details reads the whole of nodes of which only the list told. Nothing that is
// on the first screen needs it: on a large fleet it begins when that is drawn.
func (c *Client) details(ctx context.Context, emit func(cluster.Update)) {
	todo := c.wholes.missing()
	if len(todo) > detailBatch {
		select {
		case <-ctx.Done():
			return
		case <-time.After(c.wait.detail):
		}
	}
	for batch := range slices.Chunk(todo, detailBatch) {
		if found := c.wholeNodes(ctx, batch); len(found) > 0 {
			emit(cluster.Update{Details: found})
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// wholeNodes reads some nodes; those that cannot be read are left for another time.
func (c *Client) wholeNodes(ctx context.Context, ids []cluster.NodeID) map[cluster.NodeID]*cluster.NodeDetail {
	var mu sync.Mutex
	found := map[cluster.NodeID]*cluster.NodeDetail{}
	var g errgroup.Group
	g.SetLimit(detailFetches)
	for _, id := range ids {
		g.Go(func() error {
			var whole nodeJSON
			if _, err := c.get(ctx, "/v1/node/"+pathEscape(string(id)), nil, &whole); err != nil || whole.Attributes == nil {
				return nil
			}
			c.wholes.seen(id, whole.ModifyIndex)
			mu.Lock()
			defer mu.Unlock()
			found[id] = whole.detail()
			return nil
		})
	}
	_ = g.Wait() // none fails
	return found
}

// detailBatch is how many details are told at once.
const detailBatch = 64

// wholes remembers of which nodes all is known, as of which index.
type wholes struct {
	mu     sync.Mutex
	listed map[cluster.NodeID]uint64
	known  map[cluster.NodeID]uint64
}

func (w *wholes) list(rows []cluster.Node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listed = make(map[cluster.NodeID]uint64, len(rows))
	for i := range rows {
		w.listed[rows[i].ID] = rows[i].ModifyIndex
	}
	maps.DeleteFunc(w.known, func(id cluster.NodeID, _ uint64) bool { return w.listed[id] == 0 })
}

func (w *wholes) seen(id cluster.NodeID, index uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.known == nil {
		w.known = map[cluster.NodeID]uint64{}
	}
	w.known[id] = max(w.known[id], index)
}

// missing are the listed nodes that changed since all of them was known.
func (w *wholes) missing() (ids []cluster.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, index := range w.listed {
		if w.known[id] < index {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
