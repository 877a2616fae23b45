package seal

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"hash"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"stoker/secrets"
)

const (
	benchBytes  = 64 << 20
	packageSize = 64 << 10
)

// memoryOf gives n bytes of real pages: untouched ones are all one page of
// zeros, which sits in the cache and flatters whatever reads it.
func memoryOf(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(i * 7)
	}
	return out
}

// rawGCM is what both directions are measured against: the standard library's
// AES-256-GCM from memory to memory, in packages of the same size, on one core.
func rawGCM(b *testing.B, plain []byte, open bool) time.Duration {
	b.Helper()
	block, err := aes.NewCipher(make([]byte, keyBytes))
	if err != nil {
		b.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	nonce, sealed, out := make([]byte, 12), memoryOf(len(plain)/packageSize*(packageSize+16)), memoryOf(len(plain))
	best := time.Duration(1<<63 - 1)
	for range 5 {
		start := time.Now()
		for i := range len(plain) / packageSize {
			aead.Seal(sealed[i*(packageSize+16):][:0], nonce, plain[i*packageSize:][:packageSize], nil)
		}
		if open {
			start = time.Now()
			for i := range len(plain) / packageSize {
				if _, err := aead.Open(out[i*packageSize:][:0], nonce, sealed[i*(packageSize+16):][:packageSize+16], nil); err != nil {
					b.Fatal(err)
				}
			}
		}
		best = min(best, time.Since(start))
	}
	return best
}

// into writes to one piece of memory, over and over.
type into struct {
	memory []byte
	at     int
}

func (w *into) Write(p []byte) (int, error) {
	w.at += copy(w.memory[w.at:], p)
	return len(p), nil
}

func reportRatio(b *testing.B, raw time.Duration) {
	perOp := b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(float64(raw)/float64(perOp), "of-raw-gcm")
}

// memoryChunks hands out plain piece by piece without copying it.
func memoryChunks(plain []byte, free buffers) chunks {
	return func() ([]byte, error) {
		if len(plain) == 0 {
			return nil, io.EOF
		}
		<-free // sealSegment gives each chunk back
		chunk := plain[:min(chunkBytes, len(plain))]
		plain = plain[len(chunk):]
		return chunk, nil
	}
}

// BenchmarkSegment is one core's work on one segment, memory to memory. What
// "digest" adds is the SHA-256, which at sealing runs on another core.
func BenchmarkSegment(b *testing.B) {
	plain, key, target := memoryOf(benchBytes), make([]byte, keyBytes), memoryOf(benchBytes+benchBytes/64)
	ctx := context.Background()
	for name, digest := range map[string]func() hash.Hash{"digest": newDigest, "plain": func() hash.Hash { return nil }} {
		b.Run("seal/"+name, func(b *testing.B) {
			raw, free := rawGCM(b, plain, false), newBuffers(4)
			b.SetBytes(benchBytes)
			for b.Loop() {
				if _, err := sealSegment(&into{memory: target}, memoryChunks(plain, free), free, key, digest()); err != nil {
					b.Fatal(err)
				}
			}
			reportRatio(b, raw)
		})
		b.Run("open/"+name, func(b *testing.B) {
			var sealed bytes.Buffer
			free := newBuffers(4)
			if _, err := sealSegment(&sealed, memoryChunks(plain, free), free, key, nil); err != nil {
				b.Fatal(err)
			}
			raw, chunk := rawGCM(b, plain, true), make([]byte, chunkBytes)
			b.SetBytes(benchBytes)
			for b.Loop() {
				if err := openSegment(ctx, &into{memory: target}, bytes.NewReader(sealed.Bytes()), key, benchBytes, digest(), chunk); err != nil {
					b.Fatal(err)
				}
			}
			reportRatio(b, raw)
		})
	}
}

// fixedKey is a data key without a wrapper; benchmarks measure no Vault.
type fixedKey struct{}

func (fixedKey) Datakey(context.Context, string, []byte) (secrets.Secret, string, error) {
	return secrets.FromBytes(make([]byte, keyBytes)), "vault:v1:x", nil
}

func (fixedKey) Unwrap(context.Context, string, string, []byte) (secrets.Secret, error) {
	return secrets.FromBytes(make([]byte, keyBytes)), nil
}

// benchFolder prefers memory: a disk would be what is measured.
func benchFolder(b *testing.B) string {
	dir, err := os.MkdirTemp("/dev/shm", "stoker-bench-*")
	if err != nil {
		return b.TempDir()
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func benchModel(b *testing.B) (dir string, src *os.Root, urn secrets.URN) {
	dir = benchFolder(b)
	if err := os.Mkdir(filepath.Join(dir, "src"), 0o700); err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		if err := os.WriteFile(filepath.Join(dir, "src", name), memoryOf(benchBytes), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	src, err := os.OpenRoot(filepath.Join(dir, "src"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = src.Close() })
	if urn, err = secrets.NewURN("bench", "1"); err != nil {
		b.Fatal(err)
	}
	return dir, src, urn
}

func benchOptions(workers int) Options {
	return Options{SegmentBytes: benchBytes, Workers: workers, Replace: true, Memory: func(string) (int64, error) { return maxSize, nil }}
}

// BenchmarkSeal is a whole artifact, files to files; the ratio is to one core.
func BenchmarkSeal(b *testing.B) {
	for name, workers := range map[string]int{"one worker": 1, "a worker a core": 0} {
		b.Run(name, func(b *testing.B) {
			dir, src, urn := benchModel(b)
			raw := 4 * rawGCM(b, memoryOf(benchBytes), false)
			b.SetBytes(4 * benchBytes)
			for b.Loop() {
				if _, err := Seal(b.Context(), src.FS(), filepath.Join(dir, "m"), urn, "k", fixedKey{}, benchOptions(workers)); err != nil {
					b.Fatal(err)
				}
			}
			reportRatio(b, raw)
		})
	}
}

// BenchmarkOpen is a whole artifact, files to files; the ratio is to one core.
func BenchmarkOpen(b *testing.B) {
	for name, workers := range map[string]int{"one worker": 1, "a worker a core": 0} {
		b.Run(name, func(b *testing.B) {
			dir, src, urn := benchModel(b)
			o := benchOptions(workers)
			r, err := Seal(b.Context(), src.FS(), filepath.Join(dir, "m"), urn, "k", fixedKey{}, o)
			if err != nil {
				b.Fatal(err)
			}
			out := filepath.Join(dir, "out")
			if err := os.Mkdir(out, 0o700); err != nil {
				b.Fatal(err)
			}
			raw := 4 * rawGCM(b, memoryOf(benchBytes), true)
			b.SetBytes(4 * benchBytes)
			for b.Loop() {
				if _, err := Open(b.Context(), filepath.Join(dir, "m"), out, urn, r.Digest, fixedKey{}, o); err != nil {
					b.Fatal(err)
				}
			}
			reportRatio(b, raw)
		})
	}
}
