package lab

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// StopNode ends a Nomad client in good order. Its tasks go on.
func (l *Lab) StopNode(ctx context.Context, name string) error {
	return l.onNode(ctx, name, func(se *session, _ int) error {
		return se.proc(name).stop(ctx, agentGrace)
	})
}

// KillNode kills a Nomad client at once, as when its machine loses the network:
// its tasks go on, and the servers see it down within 12 seconds.
func (l *Lab) KillNode(ctx context.Context, name string) error {
	return l.onNode(ctx, name, func(se *session, _ int) error {
		return se.proc(name).kill(ctx)
	})
}

// CrashNode kills a Nomad client and all its tasks but those in containers, as
// when its machine loses power.
func (l *Lab) CrashNode(ctx context.Context, name string) error {
	return l.onNode(ctx, name, func(se *session, i int) error {
		if err := se.proc(name).kill(ctx); err != nil {
			return err
		}
		allocs := map[string]bool{}
		for _, id := range se.paths.allocIDs(i) {
			allocs[id] = true
		}
		dirs := cgroupDirs(allocs)
		return killAll(ctx, func() []proc {
			procs := taskProcs(dirs)
			for p, part := range owned(se.state.Mark) {
				if part == name {
					procs = append(procs, p)
				}
			}
			return procs
		})
	})
}

// StartNode starts a node that was stopped or killed, and waits until it is ready.
func (l *Lab) StartNode(ctx context.Context, name string) error {
	return l.onNode(ctx, name, func(se *session, i int) error { return se.clientUp(ctx, i) })
}

func (l *Lab) onNode(ctx context.Context, name string, do func(*session, int) error) error {
	se, err := l.begin(ctx)
	if err != nil {
		return err
	}
	defer se.unlock()
	i, err := se.state.nodeIndex(name)
	if err != nil {
		return err
	}
	return do(se, i)
}

// StopServer kills the i-th Nomad server, counted from 0.
func (l *Lab) StopServer(ctx context.Context, i int) error {
	return l.onServer(ctx, i, func(se *session) error { return se.proc(serverName(i)).kill(ctx) })
}

// Leader tells which Nomad server leads, counted from 0.
func (l *Lab) Leader(ctx context.Context) (int, error) {
	s, err := loadState(l.paths.dir)
	if err != nil {
		return 0, err
	}
	lay := s.layout()
	for _, at := range lay.Servers {
		n := newNomad(at.url(), "")
		var addr string
		err = n.get(ctx, "/v1/status/leader", &addr)
		n.close()
		if err == nil && addr == "" {
			err = errors.New("none elected")
		}
		for i, other := range lay.Servers {
			if err == nil && addr == other.addr(other.RPC) {
				return i, nil
			}
		}
	}
	return 0, fmt.Errorf("no nomad server of lab %s knows a leader: %w", l.name, err)
}

// StartServer starts the i-th Nomad server again and waits until it knows a leader.
func (l *Lab) StartServer(ctx context.Context, i int) error {
	return l.onServer(ctx, i, func(se *session) error { return se.serverBack(ctx, i) })
}

func (se *session) serverBack(ctx context.Context, i int) error {
	if err := se.serverUp(ctx, i); err != nil {
		return err
	}
	n := newNomad(se.state.layout().Servers[i].url(), "")
	defer n.close()
	return n.leader(ctx, se.gone(serverName(i)))
}

func (l *Lab) onServer(ctx context.Context, i int, do func(*session) error) error {
	se, err := l.begin(ctx)
	if err != nil {
		return err
	}
	defer se.unlock()
	if i < 0 || i >= se.state.Servers {
		return fmt.Errorf("lab %s has %d nomad servers, there is no number %d", l.name, se.state.Servers, i)
	}
	return do(se)
}

// SealVault seals Vault: no key can be used until UnsealVault or Up.
func (l *Lab) SealVault(ctx context.Context) error {
	return l.onVault(ctx, func(se *session, v vaultAPI) error {
		if err := v.put(ctx, "/v1/sys/seal", nil, nil); err != nil {
			return fmt.Errorf("seal vault: %w", err)
		}
		return until(ctx, "vault to be sealed", 10*time.Second, se.gone("vault"), func(ctx context.Context) error {
			h, err := v.health(ctx)
			if err == nil && !h.Sealed {
				err = fmt.Errorf("still open")
			}
			return err
		})
	})
}

// UnsealVault unseals Vault with the key in the lab's folder.
func (l *Lab) UnsealVault(ctx context.Context) error {
	return l.onVault(ctx, func(se *session, v vaultAPI) error { return v.ready(ctx, se.paths, se.gone("vault")) })
}

func (l *Lab) onVault(ctx context.Context, do func(*session, vaultAPI) error) error {
	se, err := l.begin(ctx)
	if err != nil {
		return err
	}
	defer se.unlock()
	v := se.vault()
	defer v.close()
	return do(se, v)
}
