//go:build !linux

package agent

import (
	"errors"
	"net"
)

// Identity is a user of this machine that the agent can go on as.
type Identity struct{ Name string }

// ErrNotRoot says that only root can become another user.
var ErrNotRoot = errors.New("only root can become another user")

// FindIdentity fails: giving up rights is done on Linux alone.
func FindIdentity(string) (Identity, error) {
	return Identity{}, errors.New("becoming another user works on Linux only")
}

// Held tells whether this process is that user already.
func (id Identity) Held() bool { return false }

// Become fails.
func (id Identity) Become(net.Listener, bool) error { return ErrNotRoot }

// Inherited gives no listener.
func Inherited() (net.Listener, error) { return nil, nil }
