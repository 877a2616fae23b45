package seal_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"stoker/secrets"
	"stoker/secrets/seal"
)

func TestForgeriesDoNotOpen(t *testing.T) {
	for group, cases := range map[string][]forgery{"segment": segmentForgeries(), "manifest": manifestForgeries(), "folder": folderForgeries()} {
		for _, c := range cases {
			t.Run(group+": "+c.name, func(t *testing.T) {
				s, out := sealOnce(t), t.TempDir()
				c.do(t, &s)
				_, err := seal.Open(t.Context(), s.dir, out, s.urn, s.want, s.keys, small())
				if err == nil || (!errors.Is(err, c.want) && !errors.Is(c.want, errAny)) {
					t.Errorf("open: got %v, want %v", err, c.want)
				}
				empty(t, out)
				if err := os.Remove(filepath.Join(out, "..", "config.json")); err == nil {
					t.Error("a file was written outside of the folder")
				}
				if _, err := seal.Verify(t.Context(), s.dir, s.urn, s.want, s.keys, small()); err == nil || (!errors.Is(err, c.want) && !errors.Is(c.want, errAny)) {
					t.Errorf("verify: got %v, want %v", err, c.want)
				}
			})
		}
	}
	t.Run("without a forgery", func(t *testing.T) {
		s, out := sealOnce(t), t.TempDir()
		if _, err := seal.Open(t.Context(), s.dir, out, s.urn, s.want, s.keys, small()); err != nil {
			t.Error(err)
		}
	})
}

// What is wrong in the folder itself must not cost a call to Vault.
func TestNoKeyIsAskedForAWrongFolder(t *testing.T) {
	for _, c := range []forgery{
		{"cut", func(t *testing.T, s *sealedOnce) {
			rewrite(t, segmentsOf(t, s.dir)[0], func(raw []byte) []byte { return raw[:len(raw)-1] })
		}, nil},
		{"older", func(_ *testing.T, s *sealedOnce) { s.dir = s.older }, nil},
		{"another MAC", func(t *testing.T, s *sealedOnce) { s.edit(t, func(m *seal.Manifest) { m.MAC[0]++ }) }, nil},
	} {
		s := sealOnce(t)
		c.do(t, &s)
		if _, err := seal.Open(t.Context(), s.dir, t.TempDir(), s.urn, s.want, s.keys, small()); err == nil || s.keys.unwraps != 0 {
			t.Errorf("%s: %v, %d keys unwrapped", c.name, err, s.keys.unwraps)
		}
	}
}

// A holder of the data key can forge a segment that GCM accepts; only Deep sees it.
func TestDeepSeesAForgeryWithTheDataKey(t *testing.T) {
	keys, dst := newLocalKeys("models"), filepath.Join(t.TempDir(), "m")
	stolen := &keepsKey{localKeys: keys}
	r, err := seal.Seal(t.Context(), usual().fs(), dst, mustURN(t, "m:1"), "models", stolen, small())
	must(t, err)
	evil := usual()
	evil["weights/b.safetensor"] = content(2*seg, 99)
	forged := filepath.Join(t.TempDir(), "forged")
	_, err = seal.Seal(t.Context(), evil.fs(), forged, r.URN, "models", stolen, small())
	must(t, err)
	for name, data := range contentOf(t, forged) {
		if name != seal.ManifestName {
			must(t, os.WriteFile(filepath.Join(dst, name), data, 0o600))
		}
	}
	if _, err := seal.Verify(t.Context(), dst, r.URN, r.Digest, keys, small()); err != nil {
		t.Fatalf("the forgery is not good enough for this test: %v", err)
	}
	deep := small()
	deep.Deep = true
	if _, err := seal.Verify(t.Context(), dst, r.URN, r.Digest, keys, deep); !errors.Is(err, seal.ErrTampered) {
		t.Errorf("verify: %v", err)
	}
	out := t.TempDir()
	if _, err := seal.Open(t.Context(), dst, out, r.URN, r.Digest, keys, deep); !errors.Is(err, seal.ErrTampered) {
		t.Errorf("open: %v", err)
	}
	empty(t, out)
}

// keepsKey hands out one data key again and again.
type keepsKey struct {
	*localKeys
	plain   []byte
	wrapped string
}

func (k *keepsKey) Datakey(ctx context.Context, key string, bindTo []byte) (secrets.Secret, string, error) {
	if k.plain == nil {
		s, wrapped, err := k.localKeys.Datakey(ctx, key, bindTo)
		if err != nil {
			return s, wrapped, err
		}
		k.plain, k.wrapped = slices.Clone(s.Bytes()), wrapped
	}
	return secrets.FromBytes(slices.Clone(k.plain)), k.wrapped, nil
}

func TestOpenRefuses(t *testing.T) {
	s := sealOnce(t)
	for _, c := range []struct {
		name   string
		digest string
		opts   func(o *seal.Options)
		before func(t *testing.T, out string)
		want   error
	}{
		{"no digest", "", func(*seal.Options) {}, nil, errAny},
		{"another kind of digest", "md5:00", func(*seal.Options) {}, nil, errAny},
		{"too little memory", s.want, func(o *seal.Options) { o.Memory = roomFor(usual().bytes() - 1) }, nil, seal.ErrNoSpace},
		{"a file in the way", s.want, func(*seal.Options) {}, func(t *testing.T, out string) {
			must(t, os.WriteFile(filepath.Join(out, "config.json"), nil, 0o600))
		}, seal.ErrExists},
		{"a link in the way", s.want, func(*seal.Options) {}, func(t *testing.T, out string) {
			must(t, os.Symlink(t.TempDir(), filepath.Join(out, "weights")))
		}, seal.ErrExists},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, o := t.TempDir(), small()
			c.opts(&o)
			if c.before != nil {
				c.before(t, out)
			}
			before := len(contentOfNames(t, out))
			_, err := seal.Open(t.Context(), s.dir, out, s.urn, c.digest, s.keys, o)
			if err == nil || (!errors.Is(err, c.want) && !errors.Is(c.want, errAny)) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if after := contentOfNames(t, out); len(after) != before {
				t.Errorf("left %v", after)
			}
		})
	}
	t.Run("a folder on disk", func(t *testing.T) {
		dir := map[string]string{"linux": "/proc"}[runtime.GOOS]
		if dir == "" {
			dir = t.TempDir()
		}
		_, err := seal.Open(t.Context(), s.dir, dir, s.urn, s.want, s.keys, seal.Options{})
		var hinted interface{ Hint() string }
		if !errors.Is(err, seal.ErrNotMemory) || !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), "tmpfs") {
			t.Errorf("got %v", err)
		}
		if _, err := seal.Wipe(dir, seal.Options{}); !errors.Is(err, seal.ErrNotMemory) {
			t.Errorf("wipe: %v", err)
		}
		if err := seal.Empty(dir, seal.Options{}); !errors.Is(err, seal.ErrNotMemory) {
			t.Errorf("empty: %v", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		out := t.TempDir()
		if _, err := seal.Open(ctx, s.dir, out, s.urn, s.want, s.keys, small()); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		empty(t, out)
	})
}

func contentOfNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestOpenAgain(t *testing.T) {
	s, out := sealOnce(t), t.TempDir()
	must(t, os.WriteFile(filepath.Join(out, "vault_token"), []byte("x"), 0o600)) // a task's own
	must(t, os.MkdirAll(filepath.Join(out, ".stoker-opening", "half"), 0o700))   // of a killed Open
	must(t, os.MkdirAll(filepath.Join(out, "weights", "stale"), 0o700))
	o := small()
	o.Replace = true
	for range 2 {
		if _, err := seal.Open(t.Context(), s.dir, out, s.urn, s.want, s.keys, o); err != nil {
			t.Fatal(err)
		}
		got := contentOf(t, out)
		delete(got, "vault_token")
		sameModel(t, usual(), got)
	}
	must(t, seal.Empty(out, o))
	empty(t, out)
}

// Another model in the same folder leaves nothing of the one before.
func TestOpenAnotherInItsPlace(t *testing.T) {
	keys, out, o := newLocalKeys("models"), t.TempDir(), small()
	o.Replace = true
	for i, m := range []model{usual(), {"other.txt": []byte("x")}} {
		dst := filepath.Join(t.TempDir(), "m")
		r, err := seal.Seal(t.Context(), m.fs(), dst, mustURN(t, fmt.Sprintf("m:%d", i)), "models", keys, small())
		must(t, err)
		_, err = seal.Open(t.Context(), dst, out, r.URN, r.Digest, keys, o)
		must(t, err)
		sameModel(t, m, contentOf(t, out))
	}
	wiped(t, out)
	empty(t, out)
}

func wiped(t *testing.T, dir string, stay ...string) {
	t.Helper()
	left, err := seal.Wipe(dir, small())
	must(t, err)
	if !slices.Equal(left, stay) {
		t.Errorf("wipe says that %q stay, want %q", left, stay)
	}
}

func TestWipeRemovesWhatOpenPutThere(t *testing.T) {
	s := sealOnce(t)
	open := func(t *testing.T) string {
		out := t.TempDir()
		_, err := seal.Open(t.Context(), s.dir, out, s.urn, s.want, s.keys, small())
		must(t, err)
		return out
	}
	t.Run("and nothing else", func(t *testing.T) {
		out := open(t)
		must(t, os.WriteFile(filepath.Join(out, "mine"), nil, 0o600))
		wiped(t, out, "mine")
		if names := contentOfNames(t, out); !slices.Equal(names, []string{"mine"}) {
			t.Errorf("left %v", names)
		}
	})
	t.Run("of an open that was killed", func(t *testing.T) {
		out := open(t)
		must(t, os.Mkdir(filepath.Join(out, ".stoker-opening"), 0o700))
		must(t, os.Rename(filepath.Join(out, "weights"), filepath.Join(out, ".stoker-opening", "weights")))
		wiped(t, out)
		empty(t, out)
	})
	t.Run("of an open that was killed early", func(t *testing.T) {
		out := t.TempDir()
		must(t, os.MkdirAll(filepath.Join(out, ".stoker-opening", "half"), 0o700))
		wiped(t, out)
		empty(t, out)
	})
	t.Run("twice", func(t *testing.T) {
		out := open(t)
		wiped(t, out)
		wiped(t, out)
	})
	for name, listing := range map[string]string{"a foreign folder": "", "a forged listing": "../x\n"} {
		t.Run(name, func(t *testing.T) {
			out := t.TempDir()
			must(t, os.WriteFile(filepath.Join(out, "mine"), nil, 0o600))
			want := seal.ErrNotOpened
			if listing != "" {
				must(t, os.WriteFile(filepath.Join(out, ".stoker-opened"), []byte(listing), 0o600))
				want = seal.ErrMalformed
			}
			before := contentOfNames(t, out)
			if _, err := seal.Wipe(out, small()); !errors.Is(err, want) {
				t.Errorf("got %v", err)
			}
			if names := contentOfNames(t, out); !slices.Equal(names, before) {
				t.Errorf("left %v of %v", names, before)
			}
		})
	}
}

// An opened folder that is sealed again is the model, without Open's own file.
func TestSealAnOpenedFolder(t *testing.T) {
	s, out, again := sealOnce(t), t.TempDir(), filepath.Join(t.TempDir(), "m")
	_, err := seal.Open(t.Context(), s.dir, out, s.urn, s.want, s.keys, small())
	must(t, err)
	r, err := seal.Seal(t.Context(), os.DirFS(out), again, s.urn, "models", s.keys, small())
	must(t, err)
	if r.Files != len(usual()) {
		t.Errorf("%d files of %d", r.Files, len(usual()))
	}
}

// The one test that wants a real memory filesystem.
func TestOpenIntoMemory(t *testing.T) {
	out, err := os.MkdirTemp("/dev/shm", "stoker-test-*")
	if err != nil {
		t.Skipf("no /dev/shm to write to: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(out) })
	s := sealOnce(t)
	_, err = seal.Open(t.Context(), s.dir, out, s.urn, s.want, s.keys, seal.Options{})
	if errors.Is(err, seal.ErrNotMemory) {
		t.Skip("/dev/shm is not a memory filesystem here")
	}
	must(t, err)
	sameModel(t, usual(), contentOf(t, out))
	_, err = seal.Wipe(out, seal.Options{})
	must(t, err)
	empty(t, out)
}

func TestVerify(t *testing.T) {
	s := sealOnce(t)
	deep := small()
	deep.Deep = true
	for _, o := range []seal.Options{small(), deep} {
		if r, err := seal.Verify(t.Context(), s.dir, s.urn, "", s.keys, o); err != nil || r.Digest != s.want {
			t.Errorf("%+v, %v", r, err)
		}
	}
	before := s.keys.unwraps
	if r, err := seal.Verify(t.Context(), s.dir, s.urn, s.want, nil, small()); err != nil || r.Bytes != usual().bytes() {
		t.Errorf("without a key: %+v, %v", r, err)
	}
	if s.keys.unwraps != before {
		t.Error("a key was unwrapped")
	}
	if _, err := seal.Verify(t.Context(), s.dir, s.urn, s.want, nil, deep); err == nil {
		t.Error("deep without a key")
	}
	rewrite(t, segmentsOf(t, s.dir)[0], flip(100))
	if _, err := seal.Verify(t.Context(), s.dir, s.urn, s.want, nil, small()); err != nil {
		t.Errorf("without a key, only lengths can be seen: %v", err)
	}
}
