package seal_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stoker/secrets"
	"stoker/secrets/seal"
	"stoker/secrets/vault"
)

// startVault runs a development server, which keeps all in memory, and returns a
// client with its root token. The same few lines are in vault's own tests: a
// shared test package would be an export for two callers.
func startVault(t *testing.T) *vault.Client {
	t.Helper()
	binary := os.Getenv("STOKER_TEST_VAULT")
	if binary == "" {
		t.Skip("STOKER_TEST_VAULT does not name a vault binary")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	addr := l.Addr().String()
	must(t, l.Close())
	cmd := exec.Command(binary, "server", "-dev", "-dev-no-store-token", "-dev-root-token-id=root", "-dev-listen-address="+addr)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	must(t, cmd.Start())
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	client, err := vault.Open(vault.Config{
		Address: "http://" + addr, MaxRetries: -1,
		Token: func(context.Context) (secrets.Secret, error) { return secrets.New("root"), nil },
	})
	must(t, err)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		state, err := client.State(t.Context())
		if err == nil && state.Initialised && !state.Sealed && state.TokenKnown {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("vault did not come up: %v", err)
		}
	}
	mount := exec.Command(binary, "secrets", "enable", "transit")
	mount.Env = append(cmd.Env, "VAULT_ADDR=http://"+addr, "VAULT_TOKEN=root")
	if out, err := mount.CombinedOutput(); err != nil {
		t.Fatalf("enable transit: %v: %s", err, out)
	}
	return client
}

func TestWithVault(t *testing.T) {
	client := startVault(t)
	ctx := t.Context()
	must(t, client.CreateKey(ctx, "models"))
	dst, out := filepath.Join(t.TempDir(), "m"), t.TempDir()
	sealed, err := seal.Seal(ctx, usual().fs(), dst, mustURN(t, "m:1"), "models", client, small())
	must(t, err)
	_, err = seal.Open(ctx, dst, out, sealed.URN, sealed.Digest, client, small())
	must(t, err)
	sameModel(t, usual(), contentOf(t, out))

	must(t, client.RotateKey(ctx, "models"))
	rewrapped, err := seal.Rewrap(ctx, dst, sealed.URN, sealed.Digest, client)
	must(t, err)
	if sealed.KeyVersion != 1 || rewrapped.KeyVersion != 2 || rewrapped.Digest != sealed.Digest {
		t.Errorf("sealed %+v, rewrapped %+v", sealed, rewrapped)
	}
	again := t.TempDir()
	_, err = seal.Open(ctx, dst, again, sealed.URN, sealed.Digest, client, small())
	must(t, err)
	sameModel(t, usual(), contentOf(t, again))

	// The wrapped key of one model, in the folder of another: Vault refuses it.
	other := filepath.Join(t.TempDir(), "n")
	n, err := seal.Seal(ctx, usual().fs(), other, mustURN(t, "n:1"), "models", client, small())
	must(t, err)
	mine, err := seal.ReadManifest(dst)
	must(t, err)
	s := sealedOnce{dir: other}
	s.edit(t, func(m *seal.Manifest) { m.Wrapped = mine.Wrapped })
	_, err = seal.Open(ctx, other, t.TempDir(), n.URN, n.Digest, client, small())
	var hinted interface{ Hint() string }
	if err == nil || !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), "another model") {
		t.Errorf("a foreign wrapped key: %v", err)
	}
}
