package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"stoker/secrets"
)

// Verify checks the artifact src without writing plaintext anywhere. Without kw
// it checks URN, digest and lengths, which needs no rights in Vault; with kw the
// MAC and that every package of every segment is authentic; with opts.Deep also
// the SHA-256 of the plaintext. An empty wantDigest is not compared.
func Verify(ctx context.Context, src string, urn secrets.URN, wantDigest string, kw Unwrapper, opts Options) (Receipt, error) {
	receipt, err := verify(ctx, src, urn, wantDigest, kw, opts)
	if err != nil {
		return Receipt{}, fmt.Errorf("verify %s: %w", urn, err)
	}
	return receipt, nil
}

func verify(ctx context.Context, src string, urn secrets.URN, want string, kw Unwrapper, opts Options) (Receipt, error) {
	a, err := find(src, urn, want)
	if err != nil {
		return Receipt{}, err
	}
	defer a.close()
	if kw == nil {
		if opts.Deep {
			return Receipt{}, errors.New("a deep check needs the right to unwrap the data key")
		}
		return a.receipt(), nil
	}
	if err := a.unlock(ctx, kw); err != nil {
		return Receipt{}, err
	}
	err = a.each(ctx, opts, func(ctx context.Context, f *File, index int, chunk []byte) error {
		return a.segment(ctx, io.Discard, f, index, chunk, opts.Deep)
	})
	if err != nil {
		return Receipt{}, err
	}
	return a.receipt(), nil
}

// Rewrap wraps the data key of the artifact src under the latest version of its
// Transit key. It sees no plaintext key, reads no segment, and changes neither
// MAC nor digest, so it suits a job with few rights. An empty wantDigest is not
// compared; the URN always is.
func Rewrap(ctx context.Context, src string, urn secrets.URN, wantDigest string, kw Rewrapper) (Receipt, error) {
	receipt, err := rewrap(ctx, src, urn, wantDigest, kw)
	if err != nil {
		return Receipt{}, fmt.Errorf("rewrap %s: %w", urn, err)
	}
	return receipt, nil
}

func rewrap(ctx context.Context, src string, urn secrets.URN, want string, kw Rewrapper) (Receipt, error) {
	root, err := os.OpenRoot(src)
	if err != nil {
		return Receipt{}, err
	}
	defer func() { _ = root.Close() }()
	a := &artifact{root: root}
	if a.Manifest, err = readManifest(root); err != nil {
		return Receipt{}, err
	}
	if err := a.is(urn, want); err != nil {
		return Receipt{}, err
	}
	if a.Wrapped, err = kw.Rewrap(ctx, a.Key, a.Wrapped, []byte(urn.String())); err != nil {
		return Receipt{}, err
	}
	raw, err := a.encode()
	if err != nil {
		return Receipt{}, err
	}
	// A new file under the old name, so that a reader sees one or the other.
	const next = ManifestName + ".new"
	if err := root.RemoveAll(next); err != nil {
		return Receipt{}, err
	}
	if err := writeSynced(root, next, raw); err != nil {
		return Receipt{}, errors.Join(err, root.RemoveAll(next))
	}
	if err := root.Rename(next, ManifestName); err != nil {
		return Receipt{}, errors.Join(err, root.RemoveAll(next))
	}
	return a.receipt(), syncFolder(src)
}
