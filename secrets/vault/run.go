package vault

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"stoker/secrets"
)

// The waits after a failed poll grow from the poll interval up to maxBackoff.
const maxBackoff = 30 * time.Second

// pollTimeout ends a poll that hangs, for example behind a firewall that drops.
const pollTimeout = 15 * time.Second

// hinter is an error that knows what to do about itself.
type hinter interface{ Hint() string }

// Run emits the state now and at every interval until ctx ends, and returns why
// it ended. While Vault does not answer it emits the last state with Err, Hint
// and Retry set, less and less often. Emit is called by one goroutine.
func (c *Client) Run(ctx context.Context, emit func(secrets.State)) error {
	last := secrets.State{Address: c.cfg.Address}
	failures := 0
	for {
		state, err := c.poll(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		wait := c.cfg.Every
		if err != nil {
			wait = backoff(c.cfg.Every, failures)
			failures++
		} else {
			failures = 0
			last = state
		}
		wait = c.spread(wait)
		if err != nil {
			state = last
			state.Err, state.Hint = err.Error(), hint(err)
			state.Retry = c.cfg.Now().Add(wait)
		}
		emit(state)
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
	}
}

func (c *Client) poll(ctx context.Context) (secrets.State, error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	return c.State(ctx)
}

func backoff(every time.Duration, failures int) time.Duration {
	wait := every
	for range failures {
		wait *= 2
		if wait >= maxBackoff {
			return max(maxBackoff, every)
		}
	}
	return wait
}

// spread changes a wait by up to a fifth, so that many screens opened by one
// outage do not all come back at one moment.
func (c *Client) spread(wait time.Duration) time.Duration {
	jitter := rand.Float64
	if c.cfg.Jitter != nil {
		jitter = c.cfg.Jitter
	}
	return wait + time.Duration((jitter()-0.5)*0.4*float64(wait))
}

func hint(err error) string {
	var h hinter
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
