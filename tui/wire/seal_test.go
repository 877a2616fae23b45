package wire

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stoker/cluster"
	"stoker/secrets/seal"
	"stoker/tui/cli"
)

func TestWhileUnreachable(t *testing.T) {
	away := &cluster.Fault{Kind: cluster.ErrUnreachable, Text: "no leader"}
	denied := &cluster.Fault{Kind: cluster.ErrDenied, Text: "permission denied"}
	for _, tt := range []struct {
		name  string
		tries func(n int, began time.Time) error
		want  error
		least time.Duration
	}{
		{"at once", func(int, time.Time) error { return nil }, nil, 0},
		{"a new leader", func(_ int, began time.Time) error {
			if time.Since(began) < 20*time.Second {
				return away
			}
			return nil
		}, nil, 20 * time.Second},
		{"denied", func(int, time.Time) error { return denied }, cluster.ErrDenied, 0},
		{"for ever", func(int, time.Time) error { return away }, cluster.ErrUnreachable, registerFor / 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, n := time.Now(), 0
				err := whileUnreachable(t.Context(), registerFor, func() error { n++; return tt.tries(n, began) })
				if !errors.Is(err, tt.want) || err != nil && tt.want == nil {
					t.Errorf("error %v", err)
				}
				if took := time.Since(began); took < tt.least || took > registerFor {
					t.Errorf("took %s", took)
				}
			})
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := whileUnreachable(ctx, registerFor, func() error { return away }); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

func TestTakeBack(t *testing.T) {
	cause := errors.New("no right")
	for _, replaced := range []bool{false, true} {
		t.Run(fmt.Sprint(replaced), func(t *testing.T) {
			dst := filepath.Join(t.TempDir(), "v1")
			if err := os.MkdirAll(filepath.Join(dst, "segments"), 0o755); err != nil {
				t.Fatal(err)
			}
			err := takeBack(dst, replaced, cause)
			if !errors.Is(err, cause) {
				t.Error(err)
			}
			if _, serr := os.Stat(dst); os.IsNotExist(serr) == replaced || strings.Contains(err.Error(), "--replace") != replaced {
				t.Errorf("%v, still there: %v", err, serr)
			}
		})
	}
}

func TestOwnSecrets(t *testing.T) {
	inside, outside := &sealKit{task: task{secrets: "/alloc/server/secrets"}}, &sealKit{}
	for dir, want := range map[string]bool{"/alloc/server/secrets/model": true, "/alloc/server/secrets": true, "/dev/shm/x": false, "/alloc/server/secrets2": false, "/alloc/server/secrets/../x": false} {
		if inside.ownSecrets(dir) != want || outside.ownSecrets(dir) {
			t.Errorf("%s: inside %v, want %v; outside %v", dir, !want, want, outside.ownSecrets(dir))
		}
	}
}

func TestWipeOfAPersonAndOfATask(t *testing.T) {
	for name, tt := range map[string]struct {
		secrets string
		want    error
		left    int
	}{"a person": {"", seal.ErrNotOpened, 1}, "a task": {"/secrets", nil, 0}} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("/dev/shm", "stoker-test-*")
			if err != nil {
				t.Skipf("no /dev/shm to write to: %v", err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			if err := os.WriteFile(filepath.Join(dir, "checkpoint"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			var said strings.Builder
			k := &sealKit{app: &cli.App{Err: &said}, task: task{secrets: tt.secrets}}
			err = k.wipe(dir)
			if errors.Is(err, seal.ErrNotMemory) {
				t.Skip("/dev/shm is not a memory filesystem here")
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v", err)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != tt.left {
				t.Errorf("%d names left, %v", len(entries), err)
			}
			if err := k.wipe(filepath.Join(dir, "none")); err != nil || !strings.Contains(said.String(), "there is no folder") {
				t.Errorf("a folder that is not there: %v, %q", err, said.String())
			}
		})
	}
}
