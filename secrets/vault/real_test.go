package vault_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"stoker/secrets/vault"
)

// realVault is a development server, which keeps all in memory.
type realVault struct {
	binary, address string
	env             []string
}

func startVault(t *testing.T) realVault {
	t.Helper()
	binary := os.Getenv("STOKER_TEST_VAULT")
	if binary == "" {
		t.Skip("STOKER_TEST_VAULT does not name a vault binary")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	v := realVault{binary: binary, address: "http://" + addr}
	v.env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "VAULT_ADDR=" + v.address, "VAULT_TOKEN=root"}
	cmd := exec.Command(binary, "server", "-dev", "-dev-no-store-token", "-dev-root-token-id=root", "-dev-listen-address="+addr)
	cmd.Env = v.env
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	client := v.client(t, "root")
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		state, err := client.State(t.Context())
		if err == nil && !state.Sealed && state.TokenKnown {
			return v
		}
		if time.Now().After(deadline) {
			t.Fatalf("vault did not come up: %v", err)
		}
	}
}

func (v realVault) client(t *testing.T, text string) *vault.Client {
	t.Helper()
	c, err := vault.Open(vault.Config{Address: v.address, MaxRetries: -1, Token: token(text)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (v realVault) cli(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command(v.binary, args...)
	cmd.Env = v.env
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("vault %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestRealVault(t *testing.T) {
	v := startVault(t)
	root, ctx := v.client(t, "root"), t.Context()

	t.Run("no transit yet", func(t *testing.T) {
		state, err := root.State(ctx)
		if err != nil || len(state.Denied) != 1 || state.Denied[0].Path != "transit/keys" {
			t.Fatalf("%+v, %v", state, err)
		}
		if err := root.CreateKey(ctx, "models"); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("created a key: %v", err)
		}
	})
	v.cli(t, "", "secrets", "enable", "transit")
	t.Run("no keys yet", func(t *testing.T) {
		state, err := root.State(ctx)
		if err != nil || len(state.Denied) != 0 || len(state.Keys) != 0 {
			t.Fatalf("%+v, %v", state, err)
		}
	})
	t.Run("data keys", func(t *testing.T) { realDataKeys(t, root) })
	t.Run("state", func(t *testing.T) { realState(t, root) })
	t.Run("rights", func(t *testing.T) { realRights(t, v) })
	t.Run("sealed", func(t *testing.T) { // the last: a development server stays sealed
		v.cli(t, "", "operator", "seal")
		state, err := root.State(ctx)
		if err != nil || !state.Sealed || !state.Initialised {
			t.Errorf("%+v, %v", state, err)
		}
		if _, _, err := root.Datakey(ctx, "models", []byte(urn)); !errors.Is(err, vault.ErrSealed) {
			t.Errorf("datakey: %v", err)
		}
	})
}

func realDataKeys(t *testing.T, c *vault.Client) {
	ctx := t.Context()
	for range 2 { // the second time it is there already
		if err := c.CreateKey(ctx, "models"); err != nil {
			t.Fatal(err)
		}
	}
	plain, wrapped, err := c.Datakey(ctx, "models", []byte(urn))
	if err != nil || !strings.HasPrefix(wrapped, "vault:v1:") {
		t.Fatalf("%q, %v", wrapped, err)
	}
	if err := c.RotateKey(ctx, "models"); err != nil {
		t.Fatal(err)
	}
	rewrapped, err := c.Rewrap(ctx, "models", wrapped, []byte(urn))
	if err != nil || !strings.HasPrefix(rewrapped, "vault:v2:") {
		t.Fatalf("%q, %v", rewrapped, err)
	}
	for _, w := range []string{wrapped, rewrapped} {
		if got, err := c.Unwrap(ctx, "models", w, []byte(urn)); err != nil || !got.Equal(plain) {
			t.Errorf("unwrap %.9s: %v", w, err)
		}
		_, err := c.Unwrap(ctx, "models", w, []byte(urn+"2"))
		var e *vault.Error
		if !errors.As(err, &e) || !strings.Contains(e.Hint(), "another model") {
			t.Errorf("unwrap with a wrong context: %v", err)
		}
	}
	if _, err := c.Rewrap(ctx, "models", wrapped, []byte(urn+"2")); err == nil {
		t.Error("rewrapped with a wrong context")
	}
	if _, _, err := c.Datakey(ctx, "nokey", []byte(urn)); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("no such key: %v", err)
	}
	if _, _, err := c.Datakey(ctx, "models", nil); err == nil {
		t.Error("a derived key worked without a context")
	}
}

func realState(t *testing.T, c *vault.Client) {
	state, err := c.State(t.Context())
	if err != nil || len(state.Keys) != 1 {
		t.Fatalf("%+v, %v", state, err)
	}
	key := state.Keys[0]
	if key.Name != "models" || key.Type != "aes256-gcm96" || !key.Derived || key.Latest != 2 || key.MinDecryption != 1 || len(key.Versions) != 2 || key.Exportable {
		t.Errorf("key %+v", key)
	}
	if age := time.Since(key.Versions[1].Created); age < -time.Minute || age > time.Hour {
		t.Errorf("made %s ago", age)
	}
	if !state.TokenKnown || state.TokenExpires != nil || state.Version == "" || len(state.Policies) != 1 || state.Policies[0] != "root" {
		t.Errorf("state %+v", state)
	}
}

func realRights(t *testing.T, v realVault) {
	ctx := t.Context()
	v.cli(t, `path "transit/datakey/plaintext/models" { capabilities = ["update"] }
path "transit/decrypt/models" { capabilities = ["read"] }`, "policy", "write", "seal-models", "-")
	sealer := v.client(t, v.cli(t, "", "token", "create", "-policy=seal-models", "-ttl=1h", "-field=token"))
	_, wrapped, err := sealer.Datakey(ctx, "models", []byte(urn))
	if err != nil {
		t.Fatal(err)
	}
	var e *vault.Error
	_, err = sealer.Unwrap(ctx, "models", wrapped, []byte(urn))
	want := `unwrap a data key under models: vault denied transit/decrypt/models: it needs the capability "update" and the token has only read`
	if !errors.Is(err, vault.ErrDenied) || !errors.As(err, &e) || err.Error() != want || !strings.Contains(e.Hint(), `path "transit/decrypt/models" { capabilities = ["update"] }`) {
		t.Errorf("got %v", err)
	}
	_, err = sealer.Rewrap(ctx, "models", wrapped, []byte(urn))
	if err == nil || !strings.HasSuffix(err.Error(), "the token has no right there") {
		t.Errorf("got %v", err)
	}
	state, err := sealer.State(ctx)
	if err != nil || len(state.Denied) != 1 || state.Denied[0].Capability != "list" || state.TokenExpires == nil {
		t.Errorf("%+v, %v", state, err)
	}
	_, err = v.client(t, "hvs.not-a-token").Rewrap(ctx, "models", wrapped, []byte(urn))
	if !errors.Is(err, vault.ErrDenied) || !strings.Contains(err.Error(), "not valid") {
		t.Errorf("got %v", err)
	}

	// A token file that was renewed meanwhile.
	live := v.cli(t, "", "token", "create", "-policy=seal-models", "-ttl=1h", "-field=token")
	c, err := vault.Open(vault.Config{Address: v.address, MaxRetries: -1, Token: token("hvs.expired-long-ago", live)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Datakey(ctx, "models", []byte(urn)); err != nil {
		t.Errorf("with a renewed token: %v", err)
	}
}
