package seal_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io/fs"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/secrets"
	"stoker/secrets/seal"
)

// localKeys wraps data keys as Transit does, by AES-256-GCM bound to a context,
// under versions of named keys, without a server.
type localKeys struct {
	mu       sync.Mutex
	versions map[string][][]byte
	unwraps  int
}

func newLocalKeys(names ...string) *localKeys {
	k := &localKeys{versions: map[string][][]byte{}}
	for _, name := range names {
		k.rotate(name)
	}
	return k
}

func (k *localKeys) rotate(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.versions[name] = append(k.versions[name], random(32))
}

func (k *localKeys) aead(key string, version int) (cipher.AEAD, error) {
	if version < 1 || version > len(k.versions[key]) {
		return nil, fmt.Errorf("no version %d of the key %s", version, key)
	}
	block, err := aes.NewCipher(k.versions[key][version-1])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (k *localKeys) wrap(key string, plain, bindTo []byte) (string, error) {
	latest := len(k.versions[key])
	aead, err := k.aead(key, latest)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("vault:v%d:%s", latest, base64.StdEncoding.EncodeToString(aead.Seal(nil, nil, plain, bindTo))), nil
}

func (k *localKeys) unwrap(key, wrapped string, bindTo []byte) ([]byte, error) {
	var version int
	var text string
	if _, err := fmt.Sscanf(strings.ReplaceAll(wrapped, ":", " "), "vault v%d %s", &version, &text); err != nil {
		return nil, fmt.Errorf("wrapped key: %w", err)
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	aead, err := k.aead(key, version)
	if err != nil {
		return nil, err
	}
	return aead.Open(nil, nil, raw, bindTo)
}

func (k *localKeys) Datakey(_ context.Context, key string, bindTo []byte) (secrets.Secret, string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	plain := random(32)
	wrapped, err := k.wrap(key, plain, bindTo)
	return secrets.FromBytes(plain), wrapped, err
}

func (k *localKeys) Unwrap(_ context.Context, key, wrapped string, bindTo []byte) (secrets.Secret, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.unwraps++
	plain, err := k.unwrap(key, wrapped, bindTo)
	return secrets.FromBytes(plain), err
}

func (k *localKeys) Rewrap(_ context.Context, key, wrapped string, bindTo []byte) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	plain, err := k.unwrap(key, wrapped, bindTo)
	if err != nil {
		return "", err
	}
	return k.wrap(key, plain, bindTo)
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// content is n bytes that differ from seed to seed but not from run to run.
func content(n int, seed uint64) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	b := make([]byte, n)
	_, _ = mrand.NewChaCha8(key).Read(b)
	return b
}

// seg is a segment size for tests: two DARE packages and a bit.
const seg = 2*65536 + 1000

// small are the options of most tests: small segments, and any folder counts as
// memory, since not every machine that runs tests has a tmpfs to write to.
func small() seal.Options {
	return seal.Options{SegmentBytes: seg, Workers: 3, Memory: roomFor(1 << 40)}
}

func roomFor(free int64) func(string) (int64, error) {
	return func(string) (int64, error) { return free, nil }
}

func mustURN(t testing.TB, s string) secrets.URN {
	t.Helper()
	u, err := secrets.ParseURN("urn:stoker:model:" + s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

type model map[string][]byte

func (m model) fs() fstest.MapFS {
	out := fstest.MapFS{}
	for name, data := range m {
		out[name] = &fstest.MapFile{Data: data, Mode: 0o640, ModTime: time.Unix(1700000000, 0)}
	}
	return out
}

func (m model) bytes() (n int64) {
	for _, data := range m {
		n += int64(len(data))
	}
	return n
}

// contentOf reads a folder back.
func contentOf(t testing.TB, dir string) model {
	t.Helper()
	out := model{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == ".stoker-opened" {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		out[filepath.ToSlash(name)] = data
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sameModel(t testing.TB, want, got model) {
	t.Helper()
	if d := cmp.Diff(want.sizes(), got.sizes()); d != "" {
		t.Fatalf("files: %s", d)
	}
	for name := range want {
		if !bytes.Equal(want[name], got[name]) {
			t.Errorf("%s came back changed", name)
		}
	}
}

func (m model) sizes() map[string]int {
	out := map[string]int{}
	for name, data := range m {
		out[name] = len(data)
	}
	return out
}

// empty fails unless nothing at all is in dir.
func empty(t testing.TB, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%s was left in the folder", e.Name())
	}
}

func usual() model {
	return model{
		"config.json":          []byte(`{"hidden_size": 4096, "architectures": ["LlamaForCausalLM"]}`),
		"weights/a.safetensor": content(3*seg+17, 1),
		"weights/b.safetensor": content(2*seg, 2),
		"empty":                {},
	}
}
