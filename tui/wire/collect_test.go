package wire

import (
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"stoker/cluster"
)

// told is a Feed of what is put into it.
type told chan *cluster.Snapshot

func (f told) Latest() *cluster.Snapshot                     { return nil }
func (f told) Subscribe() (<-chan *cluster.Snapshot, func()) { return f, func() {} }

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
		f := make(told)
		go c.run(f)
		for _, nodes := range []int{3, 3000} {
			f <- &cluster.Snapshot{Nodes: make([]cluster.Node, nodes)}
			synctest.Wait()
			if got, want := debug.SetMemoryLimit(-1), max(startLimit, int64(nodes)*nodeLimit); got != want {
				t.Errorf("%d nodes may take %d bytes, want %d", nodes, got, want)
			}
		}
		now(startPercent, "the lists come")
		f <- &cluster.Snapshot{Ready: true}
		synctest.Wait()
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
