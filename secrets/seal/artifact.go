package seal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"stoker/secrets"
)

// DefaultSegmentBytes is how much plaintext one segment holds.
const DefaultSegmentBytes = 1 << 30

// Options changes how the functions of this package work; its zero value is right
// outside of tests for all but Replace, Registered and Deep.
type Options struct {
	SegmentBytes int64 // Seal: DefaultSegmentBytes when 0
	Workers      int   // segments at a time; the number of cores when 0

	// Replace lets Seal put the new artifact in the place of an older one of
	// the same URN, and lets Open replace files of the same names and the model
	// that was opened into the folder before.
	Replace bool
	// Registered is the digest that the registry holds for this URN. Seal then
	// leaves an artifact with this digest and the same files as it is. Without
	// it, an existing artifact is only a claim of whoever can write there.
	Registered string
	// Deep makes Open and Verify also compare each segment's plaintext with its
	// SHA-256: against somebody who held the data key, for example an opener.
	Deep bool
	// Shared lets Open give the group and others the rights that the manifest
	// gives them: for a folder that is closed around, such as a task's secrets,
	// where the server may run as another user. Else the files are the opener's alone.
	Shared bool

	// Memory checks that dir is on a memory filesystem and says how many bytes
	// are free there; the real check when nil.
	Memory func(dir string) (free int64, err error)
}

// mode is what of a mode Open gives to a file or folder.
func (o Options) mode(m fs.FileMode) fs.FileMode {
	if o.Shared {
		return m
	}
	return m & 0o700
}

func (o Options) workers() int {
	if o.Workers > 0 {
		return o.Workers
	}
	return runtime.GOMAXPROCS(0)
}

// Receipt says what was sealed, opened or verified.
type Receipt struct {
	URN        secrets.URN `json:"urn"`
	Digest     string      `json:"digest"`
	Key        string      `json:"key"`
	KeyVersion int         `json:"key_version"`
	Files      int         `json:"files"`
	Bytes      int64       `json:"bytes"` // of plaintext
	// Unchanged: Seal found the same files sealed there already.
	Unchanged bool `json:"unchanged,omitempty"`
}

func (m *Manifest) receipt() Receipt {
	return Receipt{URN: m.URN, Digest: m.Digest(), Key: m.Key, KeyVersion: m.KeyVersion(), Files: len(m.Files), Bytes: m.Bytes()}
}

// sealing is one artifact being written, in a temporary folder beside its place,
// so that a half-written one has neither its name nor a manifest.
type sealing struct {
	dst, tmp string
	root     *os.Root // of tmp
	old      *Manifest
	opts     Options
	keys     keys
	free     buffers
	group    *errgroup.Group
	ctx      context.Context // of the group: it ends with the first error
	manifest Manifest
}

func begin(ctx context.Context, dst string, urn secrets.URN, key string, kw Datakeyer, opts Options) (*sealing, error) {
	if urn.IsZero() {
		return nil, errors.New("seal: no URN given")
	}
	if opts.SegmentBytes == 0 {
		opts.SegmentBytes = DefaultSegmentBytes
	}
	if opts.SegmentBytes < 0 || opts.SegmentBytes > maxSize {
		return nil, fmt.Errorf("seal %s: segments of %d bytes", urn, opts.SegmentBytes)
	}
	s := &sealing{dst: filepath.Clean(dst), opts: opts, free: newBuffers(3*opts.workers() + 1)}
	var err error
	if s.old, err = mayReplace(s.dst, urn, opts); err != nil {
		return nil, err
	}
	data, wrapped, err := kw.Datakey(ctx, key, []byte(urn.String()))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", urn, err)
	}
	if s.keys, err = newKeys(data, urn); err != nil {
		return nil, fmt.Errorf("seal %s: %w", urn, err)
	}
	s.manifest = Manifest{Format: Format, URN: urn, Key: key, Wrapped: wrapped, SegmentBytes: opts.SegmentBytes, Files: []File{}}
	if err := s.makeTemp(); err != nil {
		s.keys.wipe()
		return nil, fmt.Errorf("seal %s: %w", urn, err)
	}
	s.group, s.ctx = errgroup.WithContext(ctx)
	s.group.SetLimit(opts.workers())
	return s, nil
}

func (s *sealing) makeTemp() (err error) {
	parent, base := filepath.Split(s.dst)
	parent = filepath.Clean(parent)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	if s.tmp, err = os.MkdirTemp(parent, "."+base+".sealing-*"); err != nil {
		return err
	}
	// Sealed content is for anyone to carry; MkdirTemp is for secrets.
	if err = os.Chmod(s.tmp, 0o755); err == nil {
		s.root, err = os.OpenRoot(s.tmp)
	}
	if err != nil {
		_ = os.RemoveAll(s.tmp)
	}
	return err
}

// end removes what a sealing that did not finish has written.
func (s *sealing) end() {
	s.keys.wipe()
	_ = s.root.Close()
	_ = os.RemoveAll(s.tmp) // gone already when it was renamed
}

// segment seals one segment into its file, by the caller's goroutine.
func (s *sealing) segment(path string, index int, next chunks) (Segment, error) {
	key, err := s.keys.segment(path, index)
	if err != nil {
		return Segment{}, err
	}
	defer clear(key)
	f, err := s.root.OpenFile(segmentName(path, index), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return Segment{}, err
	}
	out, err := sealSegment(f, next, s.free, key, newDigest())
	if err == nil {
		err = f.Sync() // a network filesystem may report a full disk only here
	}
	return out, errors.Join(err, f.Close())
}

// commit waits for the segments, has the source looked at once more, and puts
// the artifact in its place.
func (s *sealing) commit(unchanged func() error) (Receipt, error) {
	if err := s.group.Wait(); err != nil {
		return Receipt{}, err
	}
	if err := unchanged(); err != nil {
		return Receipt{}, err
	}
	m := &s.manifest
	slices.SortFunc(m.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	if err := m.check(); err != nil {
		return Receipt{}, &Error{kind: ErrUnfit, text: "the model's files", cause: err}
	}
	if s.old != nil && !s.opts.Replace {
		if !sameFiles(s.old, m) {
			return Receipt{}, exists(s.dst, "holds other files of "+m.URN.String())
		}
		receipt := s.old.receipt()
		receipt.Unchanged = true
		return receipt, nil
	}
	if err := s.writeManifest(); err != nil {
		return Receipt{}, err
	}
	return m.receipt(), s.moveIn()
}

func (s *sealing) writeManifest() (err error) {
	if s.manifest.MAC, err = s.keys.mac(&s.manifest); err != nil {
		return err
	}
	raw, err := s.manifest.encode()
	if err != nil {
		return err
	}
	if err := writeSynced(s.root, ManifestName, raw); err != nil {
		return err
	}
	return syncFolder(s.tmp)
}

// moveIn renames the finished folder into place. A crash between the two renames
// of a replacement leaves the older artifact under a hidden name beside it.
func (s *sealing) moveIn() error {
	parent, base := filepath.Split(s.dst)
	parent = filepath.Clean(parent)
	aside := ""
	if s.old != nil {
		aside = filepath.Join(parent, strings.Replace(filepath.Base(s.tmp), ".sealing-", ".replaced-", 1))
		if err := os.Rename(s.dst, aside); err != nil {
			return err
		}
	}
	if err := os.Rename(s.tmp, s.dst); err != nil {
		if aside != "" {
			err = errors.Join(err, os.Rename(aside, s.dst))
		}
		if errors.Is(err, fs.ErrExist) {
			return exists(filepath.Join(parent, base), "appeared while sealing")
		}
		return err
	}
	if aside != "" {
		_ = os.RemoveAll(aside) // ciphertext; it only costs room
	}
	return syncFolder(parent)
}

// MayWrite says beforehand whether Seal would be refused because of what is at
// dst: who trains for hours should know it at the start.
func MayWrite(dst string, urn secrets.URN, opts Options) error {
	_, err := mayReplace(dst, urn, opts)
	return err
}

// mayReplace looks at what is at dst before anything is read or encrypted. It
// returns the artifact there that is to be replaced or compared with, if any.
func mayReplace(dst string, urn secrets.URN, opts Options) (*Manifest, error) {
	entries, err := os.ReadDir(dst)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && len(entries) == 0) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", urn, err)
	}
	old, err := ReadManifest(dst)
	switch {
	case err != nil:
		return nil, &Error{kind: ErrExists, text: fmt.Sprintf("%s exists and is not a sealed artifact", dst), cause: err, hint: "choose another place, or remove it yourself"}
	case old.URN != urn:
		return nil, exists(dst, "holds "+old.URN.String())
	case opts.Replace, opts.Registered != "" && old.Digest() == opts.Registered:
		return old, nil
	}
	return nil, exists(dst, "holds a sealing of "+urn.String())
}

func exists(dst, what string) error {
	return &Error{kind: ErrExists, text: dst + " " + what, hint: "give the model a new version, or ask to replace it"}
}

// sameFiles compares contents by the digests of the plaintext.
func sameFiles(a, b *Manifest) bool {
	return a.Key == b.Key && a.SegmentBytes == b.SegmentBytes && slices.EqualFunc(a.Files, b.Files, func(x, y File) bool {
		return x.Path == y.Path && x.Mode == y.Mode && x.Size == y.Size && slices.Equal(x.Segments, y.Segments)
	})
}

func writeSynced(root *os.Root, name string, raw []byte) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
