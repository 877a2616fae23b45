package nomad

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goccy/go-json"
	"github.com/hashicorp/nomad/api"

	"stoker/cluster"
	"stoker/secrets"
)

// Config says where Nomad is and who asks.
type Config struct {
	Address   string // URL
	Region    string // empty: the server's own
	Namespace string // "*" or empty: all that the token may read
	TLS       TLS
	// Token is asked for at first use and again after a refusal; nil is anonymous.
	Token func(ctx context.Context) (secrets.Secret, error)
	// TokenOrigin is where Token takes it from, as the source of a token that ends says.
	TokenOrigin cluster.TokenOrigin
	// Dial makes all connections; nil dials directly.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// TLS holds the paths and names that the official NOMAD_* variables name.
type TLS struct {
	CACert, CAPath, ClientCert, ClientKey, ServerName string
	SkipVerify                                        bool
}

// Client talks to one region of one Nomad.
type Client struct {
	api       *api.Client
	transport *http.Transport
	place     cluster.Place
	namespace string
	origin    cluster.TokenOrigin
	address   string
	now       func() time.Time
	wait      timings
	wholes    wholes
	specs     specs
	auth      *authorise
	rights    atomic.Pointer[rights] // nil: not known
	// learned is closed when rights were asked for once.
	learned chan struct{}
	denials denials
	// renewed tells, to who follows some namespaces, that more may be read now.
	renewed chan struct{}
	early   bool
	// listed is set when everything was listed once, told when the tasks of all
	// allocations were.
	listed, told atomic.Bool
	turns        *turns
}

// Early lets the first list of allocations leave out what their tasks went
// through: somebody looks on while the rest is read. Call it before Run.
func (c *Client) Early() { c.early = true }

// Open makes a client for the place. It does not connect.
func Open(place cluster.Place, cfg Config, now func() time.Time) (*Client, error) {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12}, // ConfigureTLS fills it
		TLSHandshakeTimeout:   5 * time.Second,
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       time.Minute,
		ExpectContinueTimeout: time.Second,
	}
	if cfg.Dial != nil {
		transport.DialContext = cfg.Dial
	}
	httpClient := &http.Client{
		Transport: transport,
		// A redirect to another host would carry the token there.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	err := api.ConfigureTLS(httpClient, &api.TLSConfig{
		CACert: cfg.TLS.CACert, CAPath: cfg.TLS.CAPath, ClientCert: cfg.TLS.ClientCert,
		ClientKey: cfg.TLS.ClientKey, TLSServerName: cfg.TLS.ServerName, Insecure: cfg.TLS.SkipVerify,
	})
	if err != nil {
		return nil, fmt.Errorf("nomad TLS settings: %w", err)
	}
	auth := &authorise{next: httpClient.Transport, source: cfg.Token}
	httpClient.Transport = auth
	if u, err := url.Parse(cfg.Address); err != nil || u.Host == "" {
		return nil, fmt.Errorf("nomad address %q is no URL like https://host:4646", cfg.Address)
	}
	c, err := api.NewClient(&api.Config{Address: cfg.Address, Region: cfg.Region, HttpClient: httpClient})
	if err != nil {
		return nil, fmt.Errorf("nomad at %s: %w", cfg.Address, err)
	}
	// The library reads NOMAD_TOKEN on its own; the token source alone decides here.
	c.SetSecretID("")
	ns := cfg.Namespace
	if ns == "" {
		ns = api.AllNamespacesNamespace
	}
	return &Client{
		api: c, transport: transport, place: place, namespace: ns, address: cfg.Address, origin: cfg.TokenOrigin, now: now, wait: defaultTimings(),
		turns: newTurns(), auth: auth, learned: make(chan struct{}), renewed: make(chan struct{}, 1),
	}, nil
}

// Close lets idle connections go; whoever uses the client must have ended.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Ping asks for the leader: the cheapest question that shows whether Nomad
// answers, and that it is one.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.get(ctx, "/v1/status/leader", nil, new(string))
	return c.noNomad(err)
}

// Regions are the names of all regions that the servers know, sorted.
func (c *Client) Regions(ctx context.Context) ([]string, error) {
	var out []string
	_, err := c.get(ctx, "/v1/regions", nil, &out)
	return out, c.noNomad(err)
}

// noNomad makes an answer that no Nomad gives to Ping one that says so.
func (c *Client) noNomad(err error) error {
	var known *cluster.Fault
	var noToken *tokenError
	if err == nil || errors.Is(err, context.Canceled) || errors.As(err, &noToken) || errors.As(err, &known) && !errors.Is(err, cluster.ErrNotFound) {
		return err
	}
	said := "no JSON"
	var answer api.UnexpectedResponseError
	if errors.As(err, &answer) && answer.HasStatusCode() {
		if answer.StatusCode() >= http.StatusInternalServerError {
			return err
		}
		said = strings.TrimSpace(fmt.Sprintf("%d %s", answer.StatusCode(), http.StatusText(answer.StatusCode())))
		if body := strings.TrimSpace(answer.Body()); body != "" {
			said += ": " + body
		}
	}
	return &cluster.Fault{
		Kind: cluster.ErrUnreachable, Err: err, Text: fmt.Sprintf("what answers at %s is no Nomad: %s", c.address, said),
		Advice: "check the address: Nomad's own port is 4646, and TLS wants https://",
	}
}

// get decodes one answer into out and returns the index it was taken at. The
// library would decode with the standard one: on a large cluster that takes
// longer than all else that is done before the first screen.
func (c *Client) get(ctx context.Context, path string, params map[string]string, out any) (uint64, error) {
	return c.getIn(ctx, c.namespace, path, params, out)
}

func (c *Client) getIn(ctx context.Context, namespace, path string, params map[string]string, out any) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, c.wait.ask)
	defer cancel()
	return c.ask(ctx, namespace, path, params, func(body io.Reader) error {
		var text bytes.Buffer
		if _, err := text.ReadFrom(body); err != nil {
			return err
		}
		return json.Unmarshal(text.Bytes(), out)
	})
}

// ask reads one answer and returns the index it was taken at.
func (c *Client) ask(ctx context.Context, namespace, path string, params map[string]string, read func(io.Reader) error) (uint64, error) {
	var index atomic.Uint64
	q := (&api.QueryOptions{Params: params, Namespace: namespace}).WithContext(context.WithValue(ctx, indexKey{}, &index))
	body, err := c.api.Raw().Response(path, q)
	if err != nil {
		return 0, c.fault(err)
	}
	defer body.Close()
	return index.Load(), c.fault(read(body))
}

// indexKey is under what a request's context holds where the index of the
// answer is to be noted: the library does not hand on the headers of one that
// it does not decode.
type indexKey struct{}

func (c *Client) query(ctx context.Context, namespace string) *api.QueryOptions {
	return (&api.QueryOptions{Namespace: namespace}).WithContext(ctx)
}

func (c *Client) write(ctx context.Context, namespace string) *api.WriteOptions {
	return (&api.WriteOptions{Namespace: namespace}).WithContext(ctx)
}

// fault gives an error of the library its kind and advice.
func (c *Client) fault(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	var noToken *tokenError
	if errors.As(err, &noToken) { // the library wraps it as if Nomad could not be reached
		return noToken
	}
	var answer api.UnexpectedResponseError
	if errors.As(err, &answer) && answer.HasStatusCode() {
		body := strings.TrimSpace(answer.Body())
		f := &cluster.Fault{Text: "nomad: " + body, Err: err}
		switch code := answer.StatusCode(); {
		case code == http.StatusForbidden || code == http.StatusUnauthorized || strings.Contains(body, "Permission denied"):
			f.Kind, f.Text = cluster.ErrDenied, "nomad: permission denied"
			f.Advice = "the token lacks a capability, or none was given: see NOMAD_TOKEN and nomad acl token self"
		case code == http.StatusNotFound:
			f.Kind = cluster.ErrNotFound
		case code == http.StatusConflict || strings.Contains(body, "Enforcing job modify index"):
			f.Kind, f.Advice = cluster.ErrConflict, "somebody changed the job after the plan: plan again"
		case code == http.StatusInternalServerError && strings.Contains(body, "No cluster leader"):
			f.Kind, f.Advice = cluster.ErrUnreachable, "the servers have no leader at the moment"
		case strings.Contains(body, "No path to region"):
			f.Kind, f.Text = cluster.ErrUnreachable, fmt.Sprintf("nomad at %s knows no way to the region %q", c.address, c.place.Region)
			f.Advice = "set NOMAD_REGION, or region in the context: nomad server members lists them"
		case code == http.StatusBadGateway || code == http.StatusServiceUnavailable || code == http.StatusGatewayTimeout:
			f.Kind, f.Text = cluster.ErrUnreachable, fmt.Sprintf("cannot reach nomad at %s: %s", c.address, answer.StatusText())
			f.Advice = "a proxy answers in its place"
		default:
			return &answerError{fmt.Sprintf("nomad: %s (%d)", body, code), err}
		}
		return f
	}
	var netErr net.Error
	var opErr *net.OpError
	if errors.As(err, &opErr) || errors.As(err, &netErr) || errors.Is(err, context.DeadlineExceeded) {
		return &cluster.Fault{
			Kind: cluster.ErrUnreachable, Err: err,
			Text:   fmt.Sprintf("cannot reach nomad at %s: %s", c.address, cause(err)),
			Advice: "check the address, and that Nomad runs there: nomad server members",
		}
	}
	return fmt.Errorf("nomad: %w", err)
}

// answerError is a refusal of no kind, without the library's wrapping.
type answerError struct {
	text string
	err  error
}

func (e *answerError) Error() string { return e.text }
func (e *answerError) Unwrap() error { return e.err }

// cause is the innermost reason: "connection refused" rather than the whole chain.
func cause(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// tokenError says that there is no token to ask with.
type tokenError struct{ err error }

func (e *tokenError) Error() string { return "nomad token: " + e.err.Error() }
func (e *tokenError) Unwrap() error { return e.err }

// authorise adds the token to each request and, when Nomad refuses it, asks
// the source once more: the token may have been renewed.
type authorise struct {
	next   http.RoundTripper
	source func(ctx context.Context) (secrets.Secret, error)

	mu    sync.Mutex
	token secrets.Secret
	known bool
}

func (a *authorise) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := a.current(req.Context(), false)
	if err != nil {
		return nil, err
	}
	resp, err := a.send(req, token)
	if err != nil || resp.StatusCode != http.StatusForbidden || a.source == nil {
		return resp, err
	}
	fresh, ferr := a.current(req.Context(), true)
	if ferr != nil || fresh.Reveal() == token.Reveal() || req.Body != nil && req.GetBody == nil {
		return resp, nil
	}
	_ = resp.Body.Close()
	if req.GetBody != nil {
		if req.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
	return a.send(req, fresh)
}

func (a *authorise) send(req *http.Request, token secrets.Secret) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Del("X-Nomad-Token")
	if t := token.Reveal(); t != "" {
		req.Header.Set("X-Nomad-Token", t)
	}
	if ip := net.ParseIP(req.URL.Hostname()); ip.IsLoopback() {
		req.Header.Set("Accept-Encoding", "identity") // packing takes longer than the way is
	}
	resp, err := a.next.RoundTrip(req)
	if index, asked := req.Context().Value(indexKey{}).(*atomic.Uint64); asked && err == nil {
		n, _ := strconv.ParseUint(resp.Header.Get("X-Nomad-Index"), 10, 64) // 0 where it does not say
		index.Store(n)
	}
	return resp, err
}

func (a *authorise) current(ctx context.Context, again bool) (secrets.Secret, error) {
	if a.source == nil {
		return secrets.Secret{}, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known && !again {
		return a.token, nil
	}
	token, err := a.source(ctx)
	if err != nil {
		return secrets.Secret{}, &tokenError{err}
	}
	a.token, a.known = token, true
	return token, nil
}

// reread asks the source for the token, whether Nomad refuses the one that is
// known or not, and says that it is another. Without a token to replace it the
// known one stays.
func (a *authorise) reread(ctx context.Context) (fresh bool) {
	a.mu.Lock()
	was, known := a.token, a.known
	a.mu.Unlock()
	now, err := a.current(ctx, true)
	return err == nil && known && now.Reveal() != was.Reveal()
}
