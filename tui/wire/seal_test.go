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
