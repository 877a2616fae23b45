package vault_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/secrets"
	"stoker/secrets/vault"
)

func healthy() *recorded {
	r := &recorded{}
	r.set("/v1/sys/health", 200, healthOpen)
	r.set("/v1/auth/token/lookup-self", 200, lookupSelf)
	r.set("/v1/transit/keys", 200, keyList)
	r.set("/v1/transit/keys/models", 200, keyModels)
	r.set("/v1/transit/keys/signing", 200, keySigning)
	return r
}

func wantState(address string) secrets.State {
	expires := time.Date(2026, 11, 23, 15, 50, 8, 325106808, time.UTC)
	return secrets.State{
		Address: address, Initialised: true, Version: "1.21.0", Cluster: "vault-cluster-9a03cc9b",
		TokenExpires: &expires, TokenKnown: true, TokenName: "token-operator", Policies: []string{"default", "models"}, At: testTime, KeysAt: testTime,
		Keys: []secrets.Key{
			{
				Name: "models", Type: "aes256-gcm96", Derived: true, Latest: 10, MinDecryption: 2,
				Versions: []secrets.KeyVersion{{Version: 1, Created: time.Unix(1795445408, 0).UTC()}, {Version: 2, Created: time.Unix(1795445500, 0).UTC()}, {Version: 10, Created: time.Unix(1795445600, 0).UTC()}},
			},
			{
				Name: "signing", Type: "ed25519", Latest: 1, MinDecryption: 1, Exportable: true, DeletionAllowed: true,
				Versions: []secrets.KeyVersion{{Version: 1, Created: time.Date(2026, 11, 23, 14, 50, 8, 1e8, time.UTC)}},
			},
		},
	}
}

type stateCase struct {
	name   string
	server func(*recorded)
	cfg    vault.Config
	want   func(*secrets.State)
}

func stateCases() []stateCase {
	return []stateCase{
		{"all allowed", func(*recorded) {}, vault.Config{}, func(*secrets.State) {}},
		{
			"sealed", func(r *recorded) { r.set("/v1/sys/health", 299, healthSealed) },
			vault.Config{},
			func(s *secrets.State) {
				*s = secrets.State{Address: s.Address, Initialised: true, Sealed: true, Standby: true, Version: "1.21.0", At: testTime}
			},
		},
		{
			"empty transit", func(r *recorded) { r.set("/v1/transit/keys", 404, nothing) },
			vault.Config{},
			func(s *secrets.State) { s.Keys = nil },
		},
		{
			"no transit", func(r *recorded) { r.set("/v1/transit/keys", 404, noRoute) },
			vault.Config{},
			func(s *secrets.State) {
				s.Keys = nil
				s.Denied = []secrets.Denied{{Path: "transit/keys", Reason: `vault has no transit/keys: no handler for route "transit/keys/". route entry not found.`}}
			},
		},
		{
			"may not list, knows one key", func(r *recorded) { r.set("/v1/transit/keys", 403, denied) },
			vault.Config{Keys: []string{"signing"}},
			func(s *secrets.State) {
				s.Keys = s.Keys[1:]
				s.Denied = []secrets.Denied{{Path: "transit/keys", Capability: "list", Reason: `vault denied transit/keys: it needs the capability "list" and the token does not have it`}}
			},
		},
		{
			"may not read one key", func(r *recorded) { r.set("/v1/transit/keys/models", 403, denied) },
			vault.Config{},
			func(s *secrets.State) {
				s.Keys = s.Keys[1:]
				s.Denied = []secrets.Denied{{Path: "transit/keys/models", Capability: "read", Reason: `vault denied transit/keys/models: it needs the capability "read" and the token does not have it`}}
			},
		},
		{
			"other mount", func(r *recorded) {
				r.set("/v1/team/transit/keys", 200, `{"data":{"keys":["models"]}}`)
				r.set("/v1/team/transit/keys/models", 200, keyModels)
			},
			vault.Config{Mount: "/team/transit/"},
			func(s *secrets.State) { s.Keys = s.Keys[:1] },
		},
	}
}

func TestState(t *testing.T) {
	for _, c := range stateCases() {
		t.Run(c.name, func(t *testing.T) {
			r := healthy()
			c.server(r)
			client := open(t, r, c.cfg)
			got, err := client.State(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := wantState(r.url)
			c.want(&want)
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestRun(t *testing.T) {
	r := healthy()
	var broken atomic.Bool
	r.on("/v1/sys/health", func(seen) reply {
		if broken.Load() {
			return reply{502, "bad gateway"}
		}
		return reply{200, healthOpen}
	})
	client := open(t, r, vault.Config{Every: 2 * time.Millisecond, Jitter: func() float64 { return 0.5 }})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := errors.New("seen enough")
	ctx, stop := context.WithCancelCause(ctx)
	var waits []time.Duration
	good := 0
	err := client.Run(ctx, func(s secrets.State) {
		want := wantState(r.url)
		want.Err, want.Hint, want.Retry = s.Err, s.Hint, s.Retry
		if d := cmp.Diff(want, s); d != "" { // the last data stays through the outage
			t.Error(d)
		}
		switch {
		case s.Err != "":
			waits = append(waits, s.Retry.Sub(testTime))
			broken.Store(len(waits) < 3)
		case !s.Retry.IsZero():
			t.Error("waiting without an error")
		default:
			good++
			broken.Store(len(waits) == 0)
			if len(waits) > 0 {
				stop(done)
			}
		}
	})
	if !errors.Is(err, context.Canceled) || !errors.Is(context.Cause(ctx), done) {
		t.Fatalf("ended by %v, %v", err, context.Cause(ctx))
	}
	if d := cmp.Diff([]time.Duration{2 * time.Millisecond, 4 * time.Millisecond, 8 * time.Millisecond}, waits); d != "" {
		t.Errorf("waits: %s", d)
	}
	if good != 2 {
		t.Errorf("%d good states", good)
	}
}

func TestRunNeverReached(t *testing.T) {
	client, err := vault.Open(vault.Config{Address: "http://127.0.0.1:1", MaxRetries: -1, Every: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got secrets.State
	if err := client.Run(ctx, func(s secrets.State) { got = s; cancel() }); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if got.Err == "" || got.Hint == "" || !got.At.IsZero() || got.Address != "http://127.0.0.1:1" {
		t.Errorf("got %+v", got)
	}
}
