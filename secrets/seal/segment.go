package seal

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/minio/sio"
)

// chunkBytes is how much is read, hashed and encrypted at a time: sixteen
// packages, enough to make handing over between goroutines cheap.
const chunkBytes = 1 << 20

// dare pins what sio would else choose by CPU or accept for old data.
func dare(key []byte) sio.Config {
	return sio.Config{
		MinVersion: sio.Version20, MaxVersion: sio.Version20,
		CipherSuites: []byte{sio.AES_256_GCM}, Key: key,
	}
}

// sealedLength is the length of a DARE stream over that much plaintext.
func sealedLength(plain int64) (int64, error) {
	n, err := sio.EncryptedSize(uint64(plain))
	return int64(n), err
}

// buffers is a fixed set of chunks, shared by all segments of one sealing: it
// bounds the memory, however fast the source is.
type buffers chan []byte

func newBuffers(n int) buffers {
	b := make(buffers, n)
	for range n {
		b <- nil // made at first use: a small model needs few
	}
	return b
}

func (b buffers) take(ctx context.Context) ([]byte, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case chunk := <-b:
		if chunk == nil {
			chunk = make([]byte, chunkBytes)
		}
		return chunk[:chunkBytes], nil
	}
}

func (b buffers) give(chunk []byte) { b <- chunk }

// chunks gives the plaintext of a segment piece by piece, each in a chunk of
// the buffers, then io.EOF.
type chunks func() ([]byte, error)

// readChunks cuts what r gives.
func readChunks(ctx context.Context, r io.Reader, free buffers) chunks {
	return func() ([]byte, error) {
		chunk, err := free.take(ctx)
		if err != nil {
			return nil, err
		}
		// Not io.ReadFull: it would report the end of r and an archive that
		// broke off (tar's own ErrUnexpectedEOF) as the same thing.
		n := 0
		for n < len(chunk) && err == nil {
			var more int
			more, err = r.Read(chunk[n:])
			n += more
		}
		if n > 0 && (err == nil || errors.Is(err, io.EOF)) {
			return chunk[:n], nil
		}
		free.give(chunk)
		return nil, err
	}
}

// sealSegment encrypts one segment into dst. With a digest, the plaintext is
// hashed by another goroutine meanwhile: hashing costs more than encrypting.
func sealSegment(dst io.Writer, next chunks, free buffers, key []byte, digest hash.Hash) (Segment, error) {
	// Wrapped, since sio would close a file that the caller has yet to sync.
	enc, err := sio.EncryptWriter(struct{ io.Writer }{dst}, dare(key))
	if err != nil {
		return Segment{}, err
	}
	// Done with a chunk only after encrypting: whoever takes it next overwrites it.
	done, hashed := free.give, func() {}
	if digest != nil {
		done, hashed = hashing(digest, free)
	}
	var out Segment
	for err == nil {
		var chunk []byte
		if chunk, err = next(); err != nil {
			break
		}
		_, err = enc.Write(chunk)
		out.Length += int64(len(chunk))
		done(chunk)
	}
	hashed()
	if !errors.Is(err, io.EOF) {
		return Segment{}, err
	}
	if err := enc.Close(); err != nil {
		return Segment{}, err
	}
	if digest != nil {
		digest.Sum(out.SHA256[:0])
	}
	return out, nil
}

// hashing starts a goroutine that hashes chunks in their order and gives them
// back; wait ends it when all are hashed.
func hashing(digest hash.Hash, free buffers) (add func([]byte), wait func()) {
	work, end := make(chan []byte, cap(free)), make(chan struct{})
	go func() {
		defer close(end)
		for chunk := range work {
			digest.Write(chunk)
			free.give(chunk)
		}
	}()
	return func(chunk []byte) { work <- chunk }, func() { close(work); <-end }
}

// openSegment decrypts one segment into dst, and reports an error unless it
// opens to exactly length bytes. With a digest it hashes them too.
func openSegment(ctx context.Context, dst io.Writer, src io.Reader, key []byte, length int64, digest hash.Hash, chunk []byte) error {
	dec, err := sio.DecryptReader(src, dare(key))
	if err != nil {
		return err
	}
	var done int64
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := dec.Read(chunk)
		if n > 0 {
			if done += int64(n); done > length {
				return fmt.Errorf("opens to more than %d bytes", length)
			}
			if digest != nil {
				digest.Write(chunk[:n])
			}
			if _, err := dst.Write(chunk[:n]); err != nil {
				return &writeError{err}
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if done != length {
		return fmt.Errorf("opens to %d bytes instead of %d", done, length)
	}
	return nil
}

// writeError tells a full folder from a tampered segment.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

func newDigest() hash.Hash { return sha256.New() }
