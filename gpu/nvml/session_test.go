//go:build cgo

package nvml

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestGather: a machine that stood still has all answers a moment after the time
// for them has run out. None of the devices hangs.
func TestGather(t *testing.T) {
	const patience = time.Second
	for after, want := range map[time.Duration]bool{
		patience / 2: true, patience + patience/10: true, patience + patience/4: false,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &session{slots: []*slot{{pending: make(chan reading, 1)}, {pending: make(chan reading, 1)}}}
			for _, sl := range s.slots {
				time.AfterFunc(after, func() { sl.pending <- reading{} })
			}
			for i, a := range s.gather(patience) {
				if got := a != nil; got != want || s.slots[i].late == want {
					t.Errorf("after %s: device %d answered in time: %v, want %v", after, i, got, want)
				}
			}
			time.Sleep(2 * patience)
		})
	}
}
