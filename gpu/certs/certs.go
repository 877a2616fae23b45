package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Files names PEM files. Any may be empty, but Cert and Key go together.
type Files struct {
	Cert string // who this end is: its certificate, with any intermediate ones behind it
	Key  string
	// CA holds the authorities that may vouch for the other end. Without it a
	// reader trusts those of the system, and an agent asks for no certificate.
	CA string
}

// ErrHalf says that one of a certificate and its key is missing.
var ErrHalf = errors.New("a certificate and its key go together")

// Store gives TLS settings from files, as these are now. Its methods may be
// called from any goroutine.
type Store struct {
	files Files
	warn  func(error)

	mu     sync.Mutex
	last   *material
	seen   [3]stamp
	warned string
}

// material is what the files held.
type material struct {
	pair *tls.Certificate // nil without one
	pool *x509.CertPool   // nil without authorities
}

// stamp tells one state of a file from another without reading it.
type stamp struct {
	size int64
	at   int64 // nanoseconds
}

// New returns a Store that has read nothing yet. warn is told once of each
// trouble with files that were good before; nil tells nobody.
func New(f Files, warn func(error)) (*Store, error) {
	if (f.Cert == "") != (f.Key == "") {
		return nil, ErrHalf
	}
	if warn == nil {
		warn = func(error) {}
	}
	return &Store{files: f, warn: warn}, nil
}

// Mutual tells whether the other end must have a certificate of the Store's
// authorities, where this end is the agent.
func (s *Store) Mutual() bool { return s.files.CA != "" }

// Server returns settings under which each handshake uses the files as they
// are then. A client may come without a certificate, but not with one that the
// authorities did not sign: who needs one asks for tls.ConnectionState.VerifiedChains,
// so that a health check that has none still gets its answer.
func (s *Store) Server() (*tls.Config, error) {
	if s.files.Cert == "" {
		return nil, errors.New("no TLS certificate to serve with")
	}
	if _, err := s.current(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			m, err := s.current()
			if err != nil {
				return nil, err
			}
			c := &tls.Config{
				MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*m.pair}, NextProtos: []string{"http/1.1"},
				// A resumed session would outlive the authority that let it in.
				SessionTicketsDisabled: true,
			}
			if m.pool != nil {
				c.ClientCAs, c.ClientAuth = m.pool, tls.VerifyClientCertIfGiven
			}
			return c, nil
		},
	}, nil
}

// Client returns settings for one connection, from the files as they are now.
// An empty server name means the host that is dialled.
func (s *Store) Client(serverName string) (*tls.Config, error) {
	m, err := s.current()
	if err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: serverName, RootCAs: m.pool}
	if m.pair != nil {
		c.Certificates = []tls.Certificate{*m.pair}
	}
	return c, nil
}

// Expires is when the certificate ends; false without one.
func (s *Store) Expires() (time.Time, bool) {
	m, err := s.current()
	if err != nil || m.pair == nil || m.pair.Leaf == nil {
		return time.Time{}, false
	}
	return m.pair.Leaf.NotAfter, true
}

// current reads the files again if they changed. The stamps are taken before
// the reading, so that a change in between is seen the next time.
func (s *Store) current() (*material, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, err := s.files.stamps()
	if err == nil && s.last != nil && now == s.seen {
		return s.last, nil
	}
	var m *material
	if err == nil {
		m, err = s.files.read()
	}
	if err == nil {
		s.last, s.seen, s.warned = m, now, ""
		return m, nil
	}
	if s.last == nil {
		return nil, err
	}
	if s.warned != err.Error() {
		s.warned = err.Error()
		s.warn(err)
	}
	return s.last, nil
}

func (f Files) stamps() (out [3]stamp, err error) {
	for i, name := range []string{f.Cert, f.Key, f.CA} {
		if name == "" {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return out, fmt.Errorf("TLS file: %w", err)
		}
		out[i] = stamp{info.Size(), info.ModTime().UnixNano()}
	}
	return out, nil
}

func (f Files) read() (*material, error) {
	m := &material{}
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return nil, fmt.Errorf("TLS certificate %s with key %s: %w", f.Cert, f.Key, err)
		}
		m.pair = &pair
	}
	if f.CA != "" {
		raw, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, fmt.Errorf("TLS authorities: %w", err)
		}
		m.pool = x509.NewCertPool()
		if !m.pool.AppendCertsFromPEM(raw) {
			return nil, fmt.Errorf("TLS authorities: no certificate in %s", f.CA)
		}
	}
	return m, nil
}
