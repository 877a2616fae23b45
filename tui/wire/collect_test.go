package wire

import (
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"stoker/cluster"
)

// once is a Feed that has told all there is.
type once chan *cluster.Snapshot

func (o once) Latest() *cluster.Snapshot                     { return nil }
func (o once) Subscribe() (<-chan *cluster.Snapshot, func()) { return o, func() {} }
func newOnce(ready ...bool) once {
	o := make(once, len(ready))
	for _, r := range ready {
		o <- &cluster.Snapshot{Ready: r}
	}
	close(o)
	return o
}

// TestCollecting: much may gather until the lists are there and while somebody is
// at the keys, and little for the rest of the day.
func TestCollecting(t *testing.T) {
	was := debug.SetGCPercent(100)
	limit := debug.SetMemoryLimit(-1)
	defer func() {
		debug.SetGCPercent(was)
		debug.SetMemoryLimit(limit)
	}()
	synctest.Test(t, func(t *testing.T) {
		now := func(want int, when string) {
			t.Helper()
			p := debug.SetGCPercent(-1)
			debug.SetGCPercent(p)
			if p != want {
				t.Errorf("%s: %d %%, want %d", when, p, want)
			}
		}
		c := &collector{}
		debug.SetGCPercent(startPercent)
		c.touched()
		now(startPercent, "a key before the lists")
		time.Sleep(2 * handLasts)
		c.run(newOnce(false, true))
		now(restPercent, "the lists are there")
		if got := debug.SetMemoryLimit(-1); got != limit {
			t.Errorf("the limit stays at %d", got)
		}
		c.touched()
		time.Sleep(handLasts / 2)
		c.touched()
		time.Sleep(handLasts - time.Millisecond)
		synctest.Wait()
		now(handPercent, "somebody is at the keys")
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		now(restPercent, "nobody is")
	})
}
