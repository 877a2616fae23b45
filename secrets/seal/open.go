package seal

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"stoker/secrets"
)

// staging is the folder inside of Open's target that holds the files until all
// have opened. It is on the same memory, so moving out of it copies nothing.
const staging = ".stoker-opening"

// listing is the file inside of Open's target that names, one a line, what Open
// put there: Wipe removes that and nothing else. It is written before the first
// file and removed after the last.
const listing = ".stoker-opened"

// ReadManifest reads the manifest of the artifact in dir. What it says is only a
// claim until Open or Verify has checked it.
func ReadManifest(dir string) (*Manifest, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	return readManifest(root)
}

func readManifest(root *os.Root) (*Manifest, error) {
	f, err := openRegular(root, ManifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{kind: ErrMalformed, text: root.Name() + " holds no " + ManifestName, cause: err}
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return ParseManifest(f)
}

// openRegular opens a file that is what its name says: no link, and no pipe that
// would block.
func openRegular(root *os.Root, name string) (*os.File, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{kind: ErrTampered, text: fmt.Sprintf("%s is not a regular file (%s)", name, info.Mode().Type())}
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	opened, err := f.Stat()
	if err == nil && !os.SameFile(info, opened) {
		err = &Error{kind: ErrTampered, text: name + " was swapped while it was opened"}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// artifact is a sealed artifact being read.
type artifact struct {
	root *os.Root
	*Manifest
	keys keys
}

// find checks all that can be checked without a key: URN, digest, lengths.
func find(src string, urn secrets.URN, want string) (*artifact, error) {
	if urn.IsZero() {
		return nil, errors.New("no URN given: it comes from the registry, not from the folder")
	}
	root, err := os.OpenRoot(src)
	if err != nil {
		return nil, err
	}
	a := &artifact{root: root}
	if a.Manifest, err = readManifest(root); err == nil {
		err = a.is(urn, want)
	}
	if err == nil {
		err = a.complete()
	}
	if err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *artifact) close() {
	a.keys.wipe()
	_ = a.root.Close()
}

func (a *artifact) is(urn secrets.URN, want string) error {
	if a.URN != urn {
		return &Error{kind: ErrOther, text: fmt.Sprintf("the folder holds %s", a.URN), hint: "check the path of the artifact in the registry"}
	}
	if got := a.Digest(); want != "" && got != want {
		return &Error{
			kind: ErrOther, text: fmt.Sprintf("the manifest's digest is %s, not %s", got, want),
			hint: "it was sealed again, or edited: compare with the registry before trusting it",
		}
	}
	return nil
}

// complete sees missing, cut and foreign segments before a key is asked for.
func (a *artifact) complete() error {
	for _, f := range a.Files {
		for i, s := range f.Segments {
			info, err := a.root.Lstat(segmentName(f.Path, i))
			if err != nil {
				return tampered(f.Path, i, err)
			}
			want, err := sealedLength(s.Length)
			if err != nil {
				return tampered(f.Path, i, err)
			}
			if !info.Mode().IsRegular() || info.Size() != want {
				return tampered(f.Path, i, fmt.Errorf("%s of %d bytes instead of a file of %d", info.Mode().Type(), info.Size(), want))
			}
		}
	}
	return nil
}

func tampered(path string, segment int, err error) error {
	return &Error{
		kind: ErrTampered, text: fmt.Sprintf("segment %d of %s does not open", segment, path), cause: err,
		hint: "copy the artifact again from where it was sealed, or seal the model again",
	}
}

// unlock has the data key unwrapped and checks the MAC.
func (a *artifact) unlock(ctx context.Context, kw Unwrapper) error {
	data, err := kw.Unwrap(ctx, a.Key, a.Wrapped, []byte(a.URN.String()))
	if err != nil {
		return err
	}
	if a.keys, err = newKeys(data, a.URN); err != nil {
		return &Error{kind: ErrTampered, text: "wrong data key", cause: err}
	}
	mac, err := a.keys.mac(a.Manifest)
	if err != nil {
		return err
	}
	if !hmac.Equal(mac[:], a.MAC[:]) {
		return &Error{kind: ErrTampered, text: "the manifest's MAC does not fit its data key"}
	}
	return nil
}

// each runs do for every segment, in parallel; a chunk comes with each call.
func (a *artifact) each(ctx context.Context, opts Options, do func(ctx context.Context, f *File, index int, chunk []byte) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(opts.workers())
	chunks := newBuffers(opts.workers())
	for i := range a.Files {
		f := &a.Files[i]
		for index := range f.Segments {
			group.Go(func() error {
				chunk, err := chunks.take(ctx)
				if err != nil {
					return err
				}
				defer chunks.give(chunk)
				return do(ctx, f, index, chunk)
			})
		}
	}
	return group.Wait()
}

// segment opens one segment into dst.
func (a *artifact) segment(ctx context.Context, dst io.Writer, f *File, index int, chunk []byte, deep bool) error {
	key, err := a.keys.segment(f.Path, index)
	if err != nil {
		return err
	}
	defer clear(key)
	src, err := openRegular(a.root, segmentName(f.Path, index))
	if err != nil {
		return tampered(f.Path, index, err)
	}
	defer func() { _ = src.Close() }()
	var digest hash.Hash
	if deep {
		digest = newDigest()
	}
	want := f.Segments[index]
	err = openSegment(ctx, dst, src, key, want.Length, digest, chunk)
	if err == nil && deep && Sum(digest.Sum(nil)) != want.SHA256 {
		err = errors.New("its plaintext has another SHA-256 than the manifest")
	}
	var notWritten *writeError
	switch {
	case errors.As(err, &notWritten) && errors.Is(err, syscall.ENOSPC):
		return &Error{kind: ErrNoSpace, text: "write " + f.Path, cause: err, hint: spaceHint}
	case errors.As(err, &notWritten) || ctx.Err() != nil:
		return err
	case err != nil:
		return tampered(f.Path, index, err)
	}
	return nil
}

const spaceHint = "a task's secrets folder has 1 MB unless resources.secrets says more: give it the artifact's size and 5 %"

func notMemory(dir string) error {
	return &Error{kind: ErrNotMemory, text: dir + " is not on a memory filesystem", hint: "open into a tmpfs, such as a task's secrets folder (Nomad clients that run as root mount one)"}
}

// Open opens the artifact src into the folder dst, which must exist and be on a
// memory filesystem. URN and digest say which artifact: they come from the
// registry. All files appear at once, when the last segment has opened; on any
// failure, nothing stays. One folder takes one Open at a time.
func Open(ctx context.Context, src, dst string, urn secrets.URN, wantDigest string, kw Unwrapper, opts Options) (Receipt, error) {
	opened, err := open(ctx, src, dst, urn, wantDigest, kw, opts)
	if err != nil {
		return Receipt{}, fmt.Errorf("open %s: %w", urn, err)
	}
	return opened, nil
}

func open(ctx context.Context, src, dst string, urn secrets.URN, want string, kw Unwrapper, opts Options) (Receipt, error) {
	if !strings.HasPrefix(want, digestPrefix) {
		return Receipt{}, fmt.Errorf("the wanted digest %q is none: it comes from the registry, not from the folder", want)
	}
	if opts.Memory == nil {
		opts.Memory = memory
	}
	free, err := opts.Memory(dst)
	if err != nil {
		return Receipt{}, err
	}
	a, err := find(src, urn, want)
	if err != nil {
		return Receipt{}, err
	}
	defer a.close()
	if err := a.unlock(ctx, kw); err != nil {
		return Receipt{}, err
	}
	target, err := os.OpenRoot(dst)
	if err != nil {
		return Receipt{}, err
	}
	defer func() { _ = target.Close() }()
	if err := makeRoom(target, a.Manifest, opts); err != nil {
		return Receipt{}, err
	}
	if opts.Replace { // removing may have made room
		if free, err = opts.Memory(dst); err != nil {
			return Receipt{}, err
		}
	}
	if need := a.Bytes(); need > free {
		return Receipt{}, &Error{kind: ErrNoSpace, text: fmt.Sprintf("%s has %d bytes free, %d are needed", dst, free, need), hint: spaceHint}
	}
	if err := a.fill(ctx, target, opts); err != nil {
		return Receipt{}, errors.Join(err, target.RemoveAll(staging), target.RemoveAll(listing))
	}
	return a.receipt(), nil
}

// tops are the names that an artifact makes in its folder itself.
func (m *Manifest) tops() []string {
	var names []string
	for _, f := range m.Files {
		top, _, _ := strings.Cut(f.Path, "/")
		names = append(names, top)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// makeRoom removes what a killed Open left, and with Replace what is in the way:
// files of the same names and all of a model that was opened here before.
func makeRoom(target *os.Root, m *Manifest, opts Options) error {
	if err := target.RemoveAll(staging); err != nil {
		return err
	}
	before, _, err := listed(target)
	if err != nil {
		return err
	}
	for _, name := range slices.Concat(before, m.tops()) {
		_, err := target.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case opts.Replace:
			if err := target.RemoveAll(name); err != nil {
				return err
			}
		default:
			return &Error{kind: ErrExists, text: fmt.Sprintf("%s is in %s already", name, target.Name()), hint: "open into an empty folder, or ask to replace"}
		}
	}
	return target.RemoveAll(listing)
}

// listed reads the listing: the names that Open made in the folder, and whether
// it was here at all. A killed Open may have left its staging folder alone.
func listed(target *os.Root) (names []string, here bool, err error) {
	raw, err := target.ReadFile(listing)
	if errors.Is(err, fs.ErrNotExist) {
		_, err := target.Lstat(staging)
		return nil, err == nil, nil
	}
	if err != nil {
		return nil, false, err
	}
	for name := range strings.Lines(string(raw)) {
		name = strings.TrimSuffix(name, "\n")
		if err := checkPath(name); err != nil {
			return nil, false, &Error{kind: ErrMalformed, text: listing, cause: err}
		}
		names = append(names, name)
	}
	return names, true, nil
}

// fill opens every segment into the staging folder and then moves the files out.
func (a *artifact) fill(ctx context.Context, target *os.Root, opts Options) error {
	if err := target.WriteFile(listing, []byte(strings.Join(a.tops(), "\n")+"\n"), 0o600); err != nil {
		return err
	}
	if err := target.Mkdir(staging, 0o700); err != nil {
		return err
	}
	root, err := target.OpenRoot(staging)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for _, f := range a.Files {
		if err := create(root, f.Path, opts.mode(0o755)); err != nil {
			return err
		}
	}
	err = a.each(ctx, opts, func(ctx context.Context, f *File, index int, chunk []byte) error {
		file, err := root.OpenFile(f.Path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		to := io.NewOffsetWriter(file, int64(index)*a.SegmentBytes)
		return errors.Join(a.segment(ctx, to, f, index, chunk, opts.Deep), file.Close())
	})
	if err != nil {
		return err
	}
	for _, f := range a.Files {
		if err := root.Chmod(f.Path, opts.mode(fs.FileMode(f.Mode))); err != nil {
			return err
		}
	}
	return a.moveOut(target)
}

// create makes an empty file and its folders, with their modes whatever the umask.
func create(root *os.Root, name string, dirMode fs.FileMode) error {
	var dirs []string
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		dirs = append(dirs, dir)
	}
	for _, dir := range slices.Backward(dirs) {
		err := root.Mkdir(dir, dirMode)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			err = root.Chmod(dir, dirMode)
		}
		if err != nil {
			return err
		}
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func (a *artifact) moveOut(target *os.Root) error {
	var moved []string
	for _, name := range a.tops() {
		if err := target.Rename(path.Join(staging, name), name); err != nil {
			for _, done := range moved {
				err = errors.Join(err, target.RemoveAll(done))
			}
			return err
		}
		moved = append(moved, name)
	}
	return target.RemoveAll(staging)
}

// Wipe removes from dir what Open put there, also when Open was killed half way,
// and says what else stays. It refuses a folder into which nothing was opened,
// since a mistaken path must not cost data.
func Wipe(dir string, opts Options) (stays []string, err error) {
	err = wipe(dir, opts, func(root *os.Root, names []string) error {
		ours, here, err := listed(root)
		if err != nil {
			return err
		}
		if !here && len(names) > 0 {
			return &Error{kind: ErrNotOpened, text: "stoker opened no model here: nothing was removed", hint: "give the folder that was given to stoker open"}
		}
		// The listing goes last: who is killed here can be run again.
		for _, name := range append(ours, staging, listing) {
			if err := root.RemoveAll(name); err != nil {
				return err
			}
		}
		for _, name := range names {
			if name != staging && name != listing && !slices.Contains(ours, name) {
				stays = append(stays, name)
			}
		}
		return nil
	})
	return stays, err
}

// Empty removes everything in dir: for a folder that a job keeps for its model,
// with what its server or trainer wrote beside it.
func Empty(dir string, opts Options) error {
	return wipe(dir, opts, func(root *os.Root, names []string) error {
		var err error
		for _, name := range names {
			err = errors.Join(err, root.RemoveAll(name))
		}
		return err
	})
}

// wipe has the names in dir removed, which must be on a memory filesystem: pages
// of a removed file go back to the kernel, which clears them before it gives them
// to anybody, so there is nothing to overwrite.
func wipe(dir string, opts Options, remove func(root *os.Root, names []string) error) error {
	if opts.Memory == nil {
		opts.Memory = memory
	}
	if _, err := opts.Memory(dir); err != nil {
		return fmt.Errorf("wipe: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("wipe: %w", err)
	}
	defer func() { _ = root.Close() }()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err == nil {
		var names []string
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		err = remove(root, names)
	}
	if err != nil {
		return fmt.Errorf("wipe %s: %w", dir, err)
	}
	return nil
}
