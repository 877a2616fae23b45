package vault_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/secrets"
	"stoker/secrets/vault"
)

const urn = "urn:stoker:model:digits:1"

func TestTransit(t *testing.T) {
	r := &recorded{}
	r.set("/v1/transit/datakey/plaintext/models", 200, datakey)
	r.set("/v1/transit/decrypt/models", 200, datakey)
	r.set("/v1/transit/rewrap/models", 200, strings.ReplaceAll(datakey, "vault:v1:", "vault:v2:"))
	var calls []vault.Call
	c := open(t, r, vault.Config{Namespace: "team", OnCall: func(call vault.Call) { calls = append(calls, call) }})
	ctx := t.Context()

	plain, wrapped, err := c.Datakey(ctx, "models", []byte(urn))
	if err != nil || len(plain.Bytes()) != 32 || !strings.HasPrefix(wrapped, "vault:v1:") {
		t.Fatalf("datakey: %d bytes, %q, %v", len(plain.Bytes()), wrapped, err)
	}
	again, err := c.Unwrap(ctx, "models", wrapped, []byte(urn))
	if err != nil || !again.Equal(plain) {
		t.Fatalf("unwrap: %v", err)
	}
	rewrapped, err := c.Rewrap(ctx, "models", wrapped, []byte(urn))
	if err != nil || !strings.HasPrefix(rewrapped, "vault:v2:") {
		t.Fatalf("rewrap: %q, %v", rewrapped, err)
	}
	b64 := base64.StdEncoding.EncodeToString([]byte(urn))
	want := map[string]map[string]any{
		"/v1/transit/datakey/plaintext/models": {"bits": 256.0, "context": b64},
		"/v1/transit/decrypt/models":           {"ciphertext": wrapped, "context": b64},
		"/v1/transit/rewrap/models":            {"ciphertext": wrapped, "context": b64},
	}
	for path, body := range want {
		got := r.requests(path)
		if len(got) != 1 || got[0].token != "hvs.operator-token-1234567890" || got[0].namespace != "team" || got[0].method != "PUT" {
			t.Fatalf("%s: %+v", path, got)
		}
		if d := cmp.Diff(body, got[0].body); d != "" {
			t.Errorf("%s: %s", path, d)
		}
	}
	if len(calls) != 3 || calls[0].RequestID != "283bc657-c91f-09a4-8306-9c9f310fc9b2" || calls[0].Path != "transit/datakey/plaintext/models" || !calls[0].At.Equal(testTime) {
		t.Errorf("calls: %+v", calls)
	}
	for _, name := range []string{"", "../sys", "a/b", "a/rotate", "a?x", ".", "a b"} {
		if _, _, err := c.Datakey(ctx, name, nil); err == nil {
			t.Errorf("the key name %q was taken", name)
		}
	}
}

func TestErrors(t *testing.T) {
	caps := func(list string) string { return `{"data":{"transit/decrypt/models":[` + list + `]}}` }
	for _, c := range []struct {
		name       string
		code       int
		body, caps string
		token      string
		is         error
		text, hint string
	}{
		{
			"no right", 403, denied, caps(`"deny"`), "t", vault.ErrDenied,
			`vault denied transit/decrypt/models: it needs the capability "update" and the token has no right there`,
			`path "transit/decrypt/models" { capabilities = ["update"] }`,
		},
		{"other rights", 403, denied, caps(`"read","list"`), "t", vault.ErrDenied, `the token has only read, list`, `capabilities = ["update"]`},
		{"may not ask", 403, denied, "", "t", vault.ErrDenied, `"update" and the token does not have it`, `capabilities = ["update"]`},
		{"allowed path, other reason", 403, `{"errors":["parameter not allowed"]}`, caps(`"update"`), "t", vault.ErrDenied, "parameter not allowed", ""},
		{"bad token", 403, invalidToken, "", "t", vault.ErrDenied, "the Vault token is not valid, or it has expired", "vault login"},
		{"no token", 403, denied, "", "", vault.ErrDenied, "there is no Vault token", "VAULT_TOKEN"},
		{"sealed", 503, isSealed, "", "t", vault.ErrSealed, "is sealed", "vault operator unseal"},
		{"no key", 400, noKey, "", "t", vault.ErrNotFound, "encryption key not found", "derived=true"},
		{"not mounted", 404, noRoute, "", "t", vault.ErrNotFound, "no handler for route", "vault secrets enable transit"},
		{"wrong context", 400, badContext, "", "t", nil, "message authentication failed", "another model"},
		{"retired", 400, `{"errors":["ciphertext or signature version is disallowed by policy (too old)"]}`, "", "t", nil, "too old", "min_decryption_version"},
		{"no leader", 500, `{"errors":["local node not active but active cluster node not found"]}`, "", "t", vault.ErrUnreachable, "answered 500", ""},
		{"a proxy's page", 502, `<html>bad gateway</html>`, "", "t", vault.ErrUnreachable, "answered 502", ""},
		{"no key in the answer", 200, `{"data":{"plaintext":"!!!"}}`, "", "t", nil, "holds no key", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &recorded{}
			r.set("/v1/transit/decrypt/models", c.code, c.body)
			if c.caps != "" {
				r.set("/v1/sys/capabilities-self", 200, c.caps)
			}
			client := open(t, r, vault.Config{Token: token(c.token)})
			_, err := client.Unwrap(t.Context(), "models", "vault:v1:x", []byte(urn))
			if err == nil {
				t.Fatal("no error")
			}
			for _, kind := range []error{vault.ErrDenied, vault.ErrNotFound, vault.ErrSealed, vault.ErrUnreachable} {
				if errors.Is(err, kind) != (kind == c.is) {
					t.Errorf("errors.Is(%q, %q) is %t", err, kind, kind != c.is)
				}
			}
			if !strings.Contains(err.Error(), c.text) || !strings.HasPrefix(err.Error(), "unwrap a data key under models: ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("text: %q, want %q in it", err, c.text)
			}
			var hinted interface{ Hint() string }
			if errors.As(err, &hinted) {
				if !strings.Contains(hinted.Hint(), c.hint) || (c.hint == "" && hinted.Hint() != "") {
					t.Errorf("hint: %q, want %q in it", hinted.Hint(), c.hint)
				}
			} else if c.hint != "" {
				t.Error("no hint")
			}
		})
	}
}

func TestTokenIsReadAgainAtARefusal(t *testing.T) {
	const path = "/v1/transit/decrypt/models"
	serve := func(r *recorded) {
		r.on(path, func(s seen) reply {
			if s.token == "new" {
				return reply{200, datakey}
			}
			return reply{403, invalidToken}
		})
	}
	for _, c := range []struct {
		name   string
		tokens []string
		used   []string
		ok     bool
	}{
		{"renewed", []string{"old", "new"}, []string{"old", "new"}, true},
		{"the same again", []string{"old", "old", "new"}, []string{"old"}, false},
		{"once only", []string{"old", "older", "new"}, []string{"old", "older"}, false},
		{"gone", []string{"old", ""}, []string{"old"}, false},
		{"good at once", []string{"new"}, []string{"new"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &recorded{}
			serve(r)
			client := open(t, r, vault.Config{Token: token(c.tokens...)})
			_, err := client.Unwrap(t.Context(), "models", "vault:v1:x", []byte(urn))
			if (err == nil) != c.ok {
				t.Fatalf("err %v", err)
			}
			var used []string
			for _, s := range r.requests(path) {
				used = append(used, s.token)
			}
			if d := cmp.Diff(c.used, used); d != "" {
				t.Errorf("tokens used: %s", d)
			}
		})
	}
	r := &recorded{}
	broken := errors.New("token file is a folder")
	client := open(t, r, vault.Config{Token: func(context.Context) (secrets.Secret, error) { return secrets.Secret{}, broken }})
	if _, err := client.Rewrap(t.Context(), "models", "vault:v1:x", nil); !errors.Is(err, broken) {
		t.Errorf("a broken source: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	_ = l.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	tlsServer := httptest.NewTLSServer(http.NotFoundHandler())
	tlsServer.Config.ErrorLog = nil
	defer tlsServer.Close()

	for _, c := range []struct{ name, address, text, hint string }{
		{"refused", closed, "connection refused", "vault status"},
		{"no TLS there", strings.Replace(plain.URL, "http:", "https:", 1), "HTTP response to HTTPS client", "http://"},
		{"unknown authority", tlsServer.URL, "certificate", "VAULT_CACERT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, err := vault.Open(vault.Config{Address: c.address, MaxRetries: -1})
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.State(t.Context())
			var e *vault.Error
			if !errors.As(err, &e) || !errors.Is(err, vault.ErrUnreachable) {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(err.Error(), "cannot reach vault at "+c.address+": ") || !strings.Contains(err.Error(), c.text) || !strings.Contains(e.Hint(), c.hint) {
				t.Errorf("%v\nhint: %s", err, e.Hint())
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		client, err := vault.Open(vault.Config{Address: closed, MaxRetries: -1})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err = client.State(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, vault.ErrUnreachable) {
			t.Errorf("got %v", err)
		}
	})
}

func TestTheEnvironmentDoesNotDecide(t *testing.T) {
	t.Setenv("VAULT_TOKEN", "hvs.from-the-environment")
	t.Setenv("VAULT_NAMESPACE", "from-the-environment")
	t.Setenv("VAULT_ADDR", "http://127.0.0.1:1")
	r := &recorded{}
	r.set("/v1/transit/decrypt/models", 200, datakey)
	r.set("/v1/sys/health", 200, healthSealed)
	client := open(t, r, vault.Config{})
	if _, err := client.Unwrap(t.Context(), "models", "vault:v1:x", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := client.State(t.Context()); err != nil {
		t.Fatal(err)
	}
	for path, token := range map[string]string{"/v1/transit/decrypt/models": "hvs.operator-token-1234567890", "/v1/sys/health": ""} {
		for _, s := range r.requests(path) {
			if s.token != token || s.namespace != "" {
				t.Errorf("%s was sent with token %q and namespace %q", path, s.token, s.namespace)
			}
		}
	}
}

// TestOutageIsSaidAtOnce holds that the question whether Vault answers is put
// once: who shows the answer asks again anyway.
func TestOutageIsSaidAtOnce(t *testing.T) {
	dials := 0
	client, err := vault.Open(vault.Config{Address: "http://vault.example:8200", Dial: func(context.Context, string, string) (net.Conn, error) {
		dials++
		return nil, errors.New("refused")
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.State(t.Context()); !errors.Is(err, vault.ErrUnreachable) || dials != 1 {
		t.Errorf("%v after %d dials", err, dials)
	}
}

func TestDialerIsUsed(t *testing.T) {
	r := &recorded{}
	r.set("/v1/sys/health", 200, healthSealed)
	server := httptest.NewServer(r)
	defer server.Close()
	var dialled []string
	client, err := vault.Open(vault.Config{
		Address: "http://vault.example:8200", MaxRetries: -1,
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dialled = append(dialled, addr)
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if state, err := client.State(t.Context()); err != nil || !state.Sealed {
		t.Fatalf("%+v, %v", state, err)
	}
	if d := cmp.Diff([]string{"vault.example:8200"}, dialled); d != "" {
		t.Error(d)
	}
}

func TestNothingSecretIsPrinted(t *testing.T) {
	r := &recorded{}
	client := open(t, r, vault.Config{})
	_, err := client.Unwrap(t.Context(), "models", "vault:v1:x", nil)
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %+v %#v", err, err, err, client, client)
	if strings.Contains(out.String(), "operator-token") {
		// The API module keeps the token as a plain string in an unexported
		// field; %#v of a pointer inside ours must not reach it.
		t.Errorf("the token is in %s", out.String())
	}
}
