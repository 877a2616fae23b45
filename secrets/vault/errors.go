package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"
)

// The kinds of failure that a caller treats differently; find them by errors.Is.
var (
	ErrUnreachable = errors.New("vault cannot be reached")
	ErrSealed      = errors.New("vault is sealed")
	ErrDenied      = errors.New("vault denied it")
	ErrNotFound    = errors.New("vault does not have it")
)

// Error is a failed call. Capability is what a policy would have to grant, for
// ErrDenied, and empty where the token itself is not good; Has is what the token may do there, when it was allowed to ask.
type Error struct {
	Op         string
	Path       string
	Status     int // of HTTP; 0 when there was no answer
	Capability string
	Has        []string

	kind   error // one of the sentinels, or nil
	detail string
	hint   string
	cause  error
}

// Error is one line without the address, which the caller's context names.
func (e *Error) Error() string { return e.Op + ": " + e.detail }

// Hint says what to do about it, empty when there is nothing sure to say.
func (e *Error) Hint() string { return e.hint }

// Unwrap gives the sentinel and what the library reported.
func (e *Error) Unwrap() []error {
	var all []error
	for _, err := range []error{e.kind, e.cause} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

// explain makes an Error of what the API module returned.
func (c *Client) explain(ctx context.Context, r request, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", r.op, err)
	}
	e := &Error{Op: r.op, Path: r.path, cause: err}
	var answer *api.ResponseError
	if !errors.As(err, &answer) {
		c.explainUnreachable(e, err)
		return e
	}
	e.Status = answer.StatusCode
	said := saidBy(err)
	switch {
	case answer.StatusCode == http.StatusForbidden:
		c.explainDenied(ctx, r, e, said)
	case answer.StatusCode == http.StatusServiceUnavailable && strings.Contains(said, "sealed"):
		e.kind, e.detail = ErrSealed, fmt.Sprintf("vault at %s is sealed", c.cfg.Address)
		e.hint = "unseal it: vault operator unseal"
	case answer.StatusCode == http.StatusNotFound, strings.Contains(said, "key not found"):
		e.kind, e.detail = ErrNotFound, fmt.Sprintf("vault has no %s", r.path)
		if said != "" {
			e.detail += ": " + oneLine(said)
		}
		e.hint = notFoundHint(said)
	case answer.StatusCode >= 500:
		e.kind, e.detail = ErrUnreachable, fmt.Sprintf("vault at %s answered %d: %s", c.cfg.Address, answer.StatusCode, oneLine(said))
	default:
		e.detail = fmt.Sprintf("vault answered %d on %s: %s", answer.StatusCode, r.path, oneLine(said))
		e.hint = badRequestHint(said)
	}
	return e
}

func (c *Client) explainUnreachable(e *Error, err error) {
	e.kind = ErrUnreachable
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err // the method and the URL are said below, once
	}
	e.detail = fmt.Sprintf("cannot reach vault at %s: %v", c.cfg.Address, err)
	var unknownCA x509.UnknownAuthorityError
	var notTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &unknownCA):
		e.hint = "give the authority that signed its certificate: VAULT_CACERT"
	case errors.As(err, &notTLS), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		e.hint = "it does not speak TLS there: use an http:// address"
	case strings.Contains(err.Error(), "HTTP request to an HTTPS server"):
		e.hint = "it speaks TLS there: use an https:// address"
	default:
		e.hint = "check the address, and that Vault runs there: vault status"
	}
}

func (c *Client) explainDenied(ctx context.Context, r request, e *Error, said string) {
	e.kind = ErrDenied
	used, _ := c.ready(ctx)
	switch { // without a good token, no capability would help
	case used.Empty():
		e.detail = "there is no Vault token"
		e.hint = "log in first: vault login, or set VAULT_TOKEN"
		return
	case strings.Contains(said, "invalid token"), strings.Contains(said, "bad token"):
		e.detail = "the Vault token is not valid, or it has expired"
		e.hint = "log in again: vault login"
		return
	}
	e.Capability = r.capability
	e.Has = c.capabilities(ctx, r.path)
	has := "the token"
	switch {
	case e.Has == nil:
		has += " does not have it"
	case slices.Contains(e.Has, "deny"):
		has += " has no right there"
	default:
		has += " has only " + strings.Join(e.Has, ", ")
	}
	e.detail = fmt.Sprintf("vault denied %s: it needs the capability %q and %s", r.path, r.capability, has)
	e.hint = fmt.Sprintf("a policy would have to say: path %q { capabilities = [%q] }", r.path, r.capability)
	if slices.Contains(e.Has, r.capability) || slices.Contains(e.Has, "root") {
		// The path is allowed, so a parameter, a namespace or a quota refused.
		e.detail = fmt.Sprintf("vault denied %s: %s", r.path, oneLine(said))
		e.hint = ""
	}
}

func notFoundHint(said string) string {
	if strings.Contains(said, "no handler for route") {
		return "nothing is mounted there: vault secrets enable transit, or set the mount"
	}
	if strings.Contains(said, "key not found") {
		return "create the key: vault write -f transit/keys/NAME derived=true"
	}
	return ""
}

func badRequestHint(said string) string {
	switch {
	case strings.Contains(said, "message authentication failed"):
		return "the wrapped key was altered, or made for another model: its context must be the same URN"
	case strings.Contains(said, "disallowed by policy (too old)"):
		return "the key's min_decryption_version retired the version that wrapped it: lower it, rewrap, raise it again"
	case strings.Contains(said, "version is too new"):
		return "this Vault does not hold that key version: is it the right Vault, or one restored from an older snapshot?"
	}
	return ""
}

// saidBy is the reason that Vault gave.
func saidBy(err error) string {
	var answer *api.ResponseError
	if errors.As(err, &answer) {
		return strings.Join(answer.Errors, "; ")
	}
	return ""
}

// oneLine folds Vault's lists of errors, which span lines, into one.
func oneLine(said string) string {
	said = strings.ReplaceAll(said, "error occurred:", "error:")
	text := strings.Join(strings.Fields(strings.ReplaceAll(said, "*", " ")), " ")
	if text == "" {
		return "no reason given"
	}
	return text
}
