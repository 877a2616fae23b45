package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// handshakeTimeout bounds one TLS handshake.
const handshakeTimeout = 10 * time.Second

// errSettings says that this side's own TLS settings cannot be used.
var errSettings = errors.New("TLS settings of this context")

// dialTLS opens a connection under the settings as they are at that moment, so
// that a renewed certificate is used without a restart.
func dialTLS(dial func(context.Context, string, string) (net.Conn, error), settings func() (*tls.Config, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conf := &tls.Config{MinVersion: tls.VersionTLS12}
		if settings != nil {
			c, err := settings()
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errSettings, err)
			}
			conf = c.Clone()
		}
		if conf.ServerName == "" {
			host, _, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			conf.ServerName = host
		}
		raw, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
		defer cancel()
		conn := tls.Client(raw, conf)
		if err := conn.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, err
		}
		return conn, nil
	}
}

// explainTLS says of a TLS error which setting of the context would help.
func explainTLS(err error) error {
	advise := func(advice string) error { return fmt.Errorf("%w: %s", err, advice) }
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return advise("set agents.ca_cert to the authority that signed the agents' certificates")
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return advise("set agents.tls_server_name to a name that the agents' certificates have")
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return advise("renew the agent's certificate on the node; it is read again without a restart")
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return advise("the agent does not serve TLS: start it with --tls-cert, or take TLS out of this context's agents")
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "remote error" && strings.Contains(e.Err.Error(), "certificate") {
		return advise("the agent refused this side's certificate: agents.client_cert must be signed by its --client-ca")
	}
	return err
}
