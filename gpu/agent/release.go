package agent

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Releaser is a Sampler that can let the driver go. An open NVML handle keeps
// the driver's module busy, so that it can be neither unloaded nor replaced.
//
// Release closes the library if no call to it is under way, else it returns an
// error and changes nothing. Until the hold time has passed Read returns an
// error and does not touch the driver; after that it looks once a second
// whether the driver answers again. Release may be called while Read runs.
type Releaser interface {
	Release(hold time.Duration) error
}

const (
	defaultHold = time.Minute
	mostHold    = time.Hour
	// releaseWait is how long an answer may take: a reading that hangs would
	// hold it up for ever.
	releaseWait = 5 * time.Second
)

// released is a release that was granted; zero for none.
type released struct{ at, until time.Time }

func (r released) words(now time.Time) string {
	if now.Before(r.until) {
		return "released until " + r.until.UTC().Format(time.RFC3339) + ": the driver may be unloaded"
	}
	return "released: waiting for the driver to answer since " + r.until.UTC().Format(time.RFC3339)
}

// reopened forgets a release once a reading was begun after it.
func (a *Agent) reopened(at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at.After(a.released.at) {
		a.released = released{}
	}
}

// serveRelease closes the driver's library for a while: POST /release?for=90s.
func (a *Agent) serveRelease(w http.ResponseWriter, r *http.Request) {
	hold := defaultHold
	if text := r.URL.Query().Get("for"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < time.Second || d > mostHold {
			refuse(w, http.StatusBadRequest, "for: give a time from 1s to 1h, such as 90s")
			return
		}
		hold = d
	}
	rel, ok := a.cfg.Sampler.(Releaser)
	if !ok {
		refuse(w, http.StatusNotImplemented, "this agent's sampler cannot let the driver go")
		return
	}
	if !a.releasing.TryLock() {
		refuse(w, http.StatusConflict, "a release is under way")
		return
	}
	done := make(chan error, 1)
	go func() {
		defer a.releasing.Unlock()
		done <- a.release(rel, hold, r.RemoteAddr)
	}()
	wait := time.NewTimer(releaseWait)
	defer wait.Stop()
	select {
	case err := <-done:
		if err != nil {
			refuse(w, http.StatusConflict, err.Error())
			return
		}
	case <-wait.C:
		refuse(w, http.StatusServiceUnavailable, "a reading hangs: the driver is let go when it comes back, if it does")
		return
	}
	a.mu.Lock()
	until := a.released.until
	a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "released", "until": until})
}

func (a *Agent) release(rel Releaser, hold time.Duration, who string) error {
	if err := rel.Release(hold); err != nil {
		a.cfg.Log.Warn("the driver was not let go", "client", who, "err", err)
		return fmt.Errorf("not released: %w", err)
	}
	now := a.cfg.Now()
	a.mu.Lock()
	a.released = released{at: now, until: now.Add(hold)}
	a.mu.Unlock()
	a.cfg.Log.Info("the driver is let go", "client", who, "for", hold)
	return nil
}
