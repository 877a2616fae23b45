//go:build cgo

package nvml

import (
	"fmt"
	"time"
)

// reopen sees to it that there is a session. It gives why there is none: an
// error when that was asked for, else the words for every device.
func (r *Reader) reopen(now time.Time) (why string, err error) {
	if r.session != nil {
		return "", nil
	}
	if r.opening == nil {
		if now.Before(r.openAt) {
			return r.without(fmt.Errorf("%w until %s", ErrReleased, r.openAt.Format(time.TimeOnly)))
		}
		r.openAt = now.Add(reopenEvery)
		// In a goroutine: a driver that hangs when it is opened must not hang us.
		r.opening = make(chan opened, 1)
		go func(done chan<- opened) {
			s, err := openSession(r.lib, r.now)
			done <- opened{s, err}
		}(r.opening)
	}
	patience := time.NewTimer(r.patience)
	defer patience.Stop()
	select {
	case o := <-r.opening:
		r.opening = nil
		if o.err != nil {
			return r.without(fmt.Errorf("%w, and does not open again yet: %w", ErrReleased, o.err))
		}
		r.session, r.released = o.session, false
		return "", nil
	case <-patience.C:
		return "the driver does not answer when it is opened; restart the node", nil
	}
}

// without chooses between the two reasons for which there is no session.
func (r *Reader) without(released error) (string, error) {
	if r.released {
		return "", released
	}
	return whyUnloaded, nil
}

// renew ends a session that has become useless: the driver went away under it,
// or a device was lost, which only a new one finds again.
func (r *Reader) renew(now time.Time, answers []*reading) {
	lost := false
	for _, k := range r.known {
		lost = lost || k.lost
	}
	switch {
	case len(r.session.hung()) > 0:
		return // nothing can be closed under a call
	case unloaded(answers):
		r.openAt = now
	case !lost:
		r.look, r.lookAt = lookFirst, time.Time{}
		return
	case r.lookAt.IsZero():
		r.lookAt = now.Add(r.look)
		return
	case now.Before(r.lookAt):
		return
	default:
		r.look = min(2*r.look, lookMost)
		r.lookAt, r.openAt = now.Add(r.look), now
	}
	// What closing says of a driver that is gone is of no use to anybody.
	_ = r.session.close(r.patience)
	r.session = nil
}
