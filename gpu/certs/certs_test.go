package certs_test

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stoker/gpu/certs"
	"stoker/gpu/certs/certtest"
)

func open(t *testing.T, f certs.Files, warn func(error)) *certs.Store {
	t.Helper()
	s, err := certs.New(f, warn)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shake lets two ends meet and returns the serial number of the server's
// certificate as the client saw it, how many chains vouch for the client, and
// what each end says.
func shake(t *testing.T, server, client *tls.Config) (serial string, chains int, serverErr, clientErr error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") // a pipe without buffers would hold an alert up
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	near := make(chan *tls.Conn, 1)
	refused := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			refused <- err
			near <- nil
			return
		}
		s := tls.Server(conn, server)
		refused <- s.Handshake()
		near <- s
	}()
	far, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(far, client)
	clientErr = c.Handshake()
	if clientErr == nil {
		serial = c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	} else {
		far.Close()
	}
	serverErr = <-refused
	if s := <-near; s != nil {
		chains = len(s.ConnectionState().VerifiedChains)
		s.Close()
	}
	c.Close()
	return serial, chains, serverErr, clientErr
}

func client(t *testing.T, f certs.Files) *tls.Config {
	t.Helper()
	c, err := open(t, f, nil).Client("gpu-1")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A renewed certificate is served at the next handshake; one that is half
// written, broken or gone leaves the old one in place.
func TestRenewal(t *testing.T) {
	ca := certtest.New(t)
	pair := ca.Issue(t, time.Hour, "gpu-1")
	var warned []string
	s := open(t, certs.Files{Cert: pair.Cert, Key: pair.Key}, func(err error) { warned = append(warned, err.Error()) })
	server, err := s.Server()
	if err != nil {
		t.Fatal(err)
	}
	meet := func() string {
		t.Helper()
		serial, _, _, err := shake(t, server, client(t, certs.Files{CA: ca.File}))
		if err != nil {
			t.Fatal(err)
		}
		return serial
	}
	first := meet()
	if again := meet(); again != first || len(warned) != 0 {
		t.Fatalf("unchanged files: %s then %s, %v", first, again, warned)
	}

	renewed := ca.Issue(t, 3*time.Hour, "gpu-1")
	if err := os.Rename(renewed.Cert, pair.Cert); err != nil { // the key comes a moment later
		t.Fatal(err)
	}
	for range 3 {
		if got := meet(); got != first {
			t.Errorf("a certificate without its key is served")
		}
	}
	if len(warned) != 1 || !strings.Contains(warned[0], pair.Cert) {
		t.Errorf("told %d times, want once: %v", len(warned), warned)
	}
	if err := os.Rename(renewed.Key, pair.Key); err != nil {
		t.Fatal(err)
	}
	second := meet()
	if second == first {
		t.Error("the renewed certificate is not served")
	}
	if at, ok := s.Expires(); !ok || time.Until(at) < 2*time.Hour {
		t.Errorf("expires %v, %v: want the renewed one's end", at, ok)
	}
	if err := os.Remove(pair.Key); err != nil {
		t.Fatal(err)
	}
	if got := meet(); got != second || len(warned) != 2 {
		t.Errorf("without its key: %s, want %s; %v", got, second, warned)
	}
}

func TestClientCertificates(t *testing.T) {
	ca, stranger := certtest.New(t), certtest.New(t)
	own := ca.Issue(t, time.Hour, "gpu-1")
	s := open(t, certs.Files{Cert: own.Cert, Key: own.Key, CA: ca.File}, nil)
	server, err := s.Server()
	if err != nil || !s.Mutual() {
		t.Fatal(err, s.Mutual())
	}
	for name, tc := range map[string]struct {
		by      *certtest.Authority
		lasts   time.Duration
		chains  int
		refused bool
	}{
		"none":     {nil, 0, 0, false},
		"good":     {ca, time.Hour, 1, false},
		"stranger": {stranger, time.Hour, 0, true},
		"expired":  {ca, -time.Minute, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := certs.Files{CA: ca.File}
			if tc.by != nil {
				p := tc.by.Issue(t, tc.lasts)
				f.Cert, f.Key = p.Cert, p.Key
			}
			conf := client(t, f)
			conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if len(conf.Certificates) == 0 {
					return &tls.Certificate{}, nil
				}
				return &conf.Certificates[0], nil // also one that the server did not ask for
			}
			_, chains, err, _ := shake(t, server, conf)
			if (err != nil) != tc.refused || chains != tc.chains {
				t.Errorf("%d chains, %v; want %d, refused %v", chains, err, tc.chains, tc.refused)
			}
		})
	}
}

func TestOldProtocolsAreRefused(t *testing.T) {
	ca := certtest.New(t)
	own := ca.Issue(t, time.Hour, "gpu-1")
	server, err := open(t, certs.Files{Cert: own.Cert, Key: own.Key}, nil).Server()
	if err != nil {
		t.Fatal(err)
	}
	for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conf := client(t, certs.Files{CA: ca.File})
		conf.MinVersion, conf.MaxVersion = tls.VersionTLS10, version
		if _, _, _, err := shake(t, server, conf); (err == nil) != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
}

func TestRefusals(t *testing.T) {
	ca := certtest.New(t)
	own, other := ca.Issue(t, time.Hour), ca.Issue(t, time.Hour)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := certs.New(certs.Files{Cert: own.Cert}, nil); !errors.Is(err, certs.ErrHalf) {
		t.Errorf("a certificate without a key: %v", err)
	}
	for name, tc := range map[string]struct {
		files certs.Files
		says  []string
	}{
		"another's key": {certs.Files{Cert: own.Cert, Key: other.Key}, []string{own.Cert, "private key"}},
		"no authority":  {certs.Files{Cert: own.Cert, Key: own.Key, CA: empty}, []string{empty}},
		"not there":     {certs.Files{Cert: own.Cert, Key: "/nope/key.pem"}, []string{"/nope/key.pem"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, tc.files, nil)
			_, err := s.Server()
			if err == nil || slices.ContainsFunc(tc.says, func(w string) bool { return !strings.Contains(err.Error(), w) }) {
				t.Errorf("got %v, want it to say %q", err, tc.says)
			}
			if _, err := s.Client(""); err == nil {
				t.Error("a client may connect")
			}
		})
	}
}
