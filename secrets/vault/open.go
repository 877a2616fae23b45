package vault

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"stoker/secrets"
)

// Defaults of Config; the address, timeout and retries are Vault's own.
const (
	DefaultAddress = "https://127.0.0.1:8200"
	DefaultMount   = "transit"
	DefaultTimeout = 60 * time.Second
	DefaultRetries = 2
	DefaultEvery   = 5 * time.Second
)

// TokenSource gives the token to use now. An empty Secret means that there is none.
type TokenSource func(ctx context.Context) (secrets.Secret, error)

// Call is one answered request, for the audit line. Vault gives an ID only with
// success: its refusals carry none.
type Call struct {
	At        time.Time
	Path      string
	RequestID string
}

// Config says which Vault, how to reach it and as whom. Each field means what
// the official variable named beside it means; an empty one is its default.
type Config struct {
	Address       string        // VAULT_ADDR; also unix:///path
	Namespace     string        // VAULT_NAMESPACE
	CACert        string        // VAULT_CACERT, a file
	CACertPEM     []byte        // VAULT_CACERT_BYTES
	CAPath        string        // VAULT_CAPATH, a folder
	ClientCert    string        // VAULT_CLIENT_CERT, a file
	ClientKey     string        // VAULT_CLIENT_KEY, a file
	TLSServerName string        // VAULT_TLS_SERVER_NAME
	Insecure      bool          // VAULT_SKIP_VERIFY
	Proxy         string        // VAULT_PROXY_ADDR
	Timeout       time.Duration // VAULT_CLIENT_TIMEOUT
	MaxRetries    int           // VAULT_MAX_RETRIES; 0 is DefaultRetries, negative is none

	Mount string   // where Transit is mounted; DefaultMount when empty
	Keys  []string // Transit keys to show even where listing keys is denied

	Token TokenSource // nil: no token, State shows only what needs none
	// Dial replaces the dialer, except for a unix:// address.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// OnCall is told of each answered request; it must not block.
	OnCall func(Call)

	Every  time.Duration    // between the polls of Run; DefaultEvery when 0
	Now    func() time.Time // time.Now when nil
	Jitter func() float64   // 0 to 1, spreads the polls of Run; random when nil
}

// Client is a connection to one Vault.
type Client struct {
	cfg  Config
	api  *api.Client // carries the token
	anon *api.Client // never carries one: health

	transport *http.Transport

	mu    sync.Mutex // guards the fields below and the order of SetToken
	token secrets.Secret
	asked bool // the source was asked at least once
}

// Open checks cfg and makes a Client; it does not connect.
func Open(cfg Config) (*Client, error) {
	cfg = withDefaults(cfg)
	transport, err := newTransport(cfg)
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, transport: transport}
	if c.api, err = newAPI(cfg, transport); err != nil {
		return nil, err
	}
	cfg.MaxRetries = 0 // whether Vault answers is asked again by Run, and said at once
	if c.anon, err = newAPI(cfg, transport); err != nil {
		return nil, err
	}
	return c, nil
}

// Close lets idle connections go; whoever uses the client must have ended.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

func withDefaults(cfg Config) Config {
	if cfg.Address == "" {
		cfg.Address = DefaultAddress
	}
	if cfg.Mount == "" {
		cfg.Mount = DefaultMount
	}
	cfg.Mount = strings.Trim(cfg.Mount, "/")
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	switch {
	case cfg.MaxRetries == 0:
		cfg.MaxRetries = DefaultRetries
	case cfg.MaxRetries < 0:
		cfg.MaxRetries = 0
	}
	if cfg.Every <= 0 {
		cfg.Every = DefaultEvery
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Token == nil {
		cfg.Token = func(context.Context) (secrets.Secret, error) { return secrets.Secret{}, nil }
	}
	return cfg
}

func newTransport(cfg Config) (*http.Transport, error) {
	base, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("open vault: the default HTTP transport was replaced by another type")
	}
	transport := base.Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.Dial != nil {
		transport.DialContext = cfg.Dial
	}
	if cfg.Proxy != "" {
		proxy, err := url.Parse(cfg.Proxy)
		if err != nil {
			return nil, fmt.Errorf("open vault: proxy address %q: %w", cfg.Proxy, err)
		}
		transport.Proxy = http.ProxyURL(proxy)
	}
	return transport, nil
}

func newAPI(cfg Config, transport *http.Transport) (*api.Client, error) {
	conf := &api.Config{
		Address:      cfg.Address,
		Timeout:      cfg.Timeout,
		MaxRetries:   cfg.MaxRetries,
		MinRetryWait: 500 * time.Millisecond,
		MaxRetryWait: 1500 * time.Millisecond,
		HttpClient: &http.Client{
			Transport: transport,
			// The API module follows one redirect, from a standby, by itself.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	err := conf.ConfigureTLS(&api.TLSConfig{
		CACert: cfg.CACert, CACertBytes: cfg.CACertPEM, CAPath: cfg.CAPath,
		ClientCert: cfg.ClientCert, ClientKey: cfg.ClientKey, TLSServerName: cfg.TLSServerName, Insecure: cfg.Insecure,
	})
	if err != nil {
		return nil, fmt.Errorf("open vault: TLS settings: %w", err)
	}
	client, err := api.NewClient(conf)
	if err != nil {
		return nil, fmt.Errorf("open vault at %s: %w", cfg.Address, err)
	}
	// The API module took these from the environment; cfg alone decides.
	client.ClearToken()
	client.ClearNamespace()
	if cfg.Namespace != "" {
		client.SetNamespace(cfg.Namespace)
	}
	return client, nil
}

// ready sees to it that the token source was asked, and returns the token in use.
func (c *Client) ready(ctx context.Context) (secrets.Secret, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked {
		return c.token, nil
	}
	return c.ask(ctx)
}

// renewed asks the source again after used was refused, and reports whether
// there is another token now; a concurrent caller may have fetched it already.
func (c *Client) renewed(ctx context.Context, used secrets.Secret) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.token.Equal(used) {
		return true
	}
	token, err := c.ask(ctx)
	return err == nil && !token.Empty() && !token.Equal(used)
}

func (c *Client) ask(ctx context.Context) (secrets.Secret, error) {
	token, err := c.cfg.Token(ctx)
	if err != nil {
		return secrets.Secret{}, fmt.Errorf("read the vault token: %w", err)
	}
	c.token, c.asked = token, true
	c.api.SetToken(token.Reveal())
	return token, nil
}
