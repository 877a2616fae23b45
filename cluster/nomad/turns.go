package nomad

import (
	"context"
	"sync"
	"time"
)

// turns lets the first lists of a large cluster come one after another, the most
// wanted first: asked for together, each would be there as late as the last one.
type turns struct{ nodes, allocs turn }

func newTurns() *turns { return &turns{newTurn(), newTurn()} }

// turn is over once something was listed, or could not be.
type turn struct {
	over chan struct{}
	end  *sync.Once
}

func newTurn() turn { return turn{make(chan struct{}), new(sync.Once)} }

func (t turn) done() { t.end.Do(func() { close(t.over) }) }

// mostTurn bounds how long one list makes the next one wait: a server that is slow
// with one may be quick with another.
const mostTurn = time.Second

func (t turn) wait(ctx context.Context) {
	timer := time.NewTimer(mostTurn)
	defer timer.Stop()
	select {
	case <-t.over:
	case <-ctx.Done():
	case <-timer.C:
	}
}
