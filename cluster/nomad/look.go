package nomad

import (
	"context"

	"golang.org/x/sync/errgroup"

	"stoker/cluster"
)

// look is a list that is read while it is subscribed: the first picture waits for it.
type look struct {
	done  chan struct{}
	index uint64
	err   error
}

// look begins one where a class can tell later whether it stands; nil where not.
func (c *Client) look(ctx context.Context, g *errgroup.Group, cl class, emit func(cluster.Update)) *look {
	if cl.index == nil {
		return nil
	}
	l := &look{done: make(chan struct{})}
	g.Go(func() error {
		defer close(l.done)
		l.err = c.lists(ctx, cl, func(u cluster.Update) {
			l.index = u.Index
			emit(u)
		})
		return nil
	})
	return l
}

// orElse waits for the list; without one it makes one.
func (l *look) orElse(list func() error) error {
	if l == nil {
		return list()
	}
	<-l.done
	return l.err
}

// stands says, once it is subscribed, that nothing has changed since the list: it
// is as good as one that is made now.
func (l *look) stands(ctx context.Context, cl class) bool {
	if l == nil {
		return false
	}
	<-l.done
	if l.err != nil {
		return false
	}
	now, err := cl.index(ctx)
	return err == nil && now == l.index
}
