package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"stoker/secrets"
)

// Seal seals the folder src into the artifact dst, a folder that must not exist
// unless opts say so. Only regular files are sealed; empty folders are not kept,
// and a link or a device is refused. The data key comes from kw, under the named
// key. Files must not change meanwhile; a changed size or time is an error.
func Seal(ctx context.Context, src fs.FS, dst string, urn secrets.URN, key string, kw Datakeyer, opts Options) (Receipt, error) {
	files, err := list(src)
	if err != nil {
		return Receipt{}, fmt.Errorf("seal %s: %w", urn, err)
	}
	s, err := begin(ctx, dst, urn, key, kw, opts)
	if err != nil {
		return Receipt{}, err
	}
	defer s.end()
	for _, f := range files {
		s.add(src, f)
	}
	receipt, err := s.commit(func() error { return unchanged(src, files) })
	if err != nil {
		return Receipt{}, fmt.Errorf("seal %s: %w", urn, err)
	}
	return receipt, nil
}

// source is one file as it was when the folder was listed.
type source struct {
	path string
	info fs.FileInfo
}

func list(src fs.FS) ([]source, error) {
	var files []source
	err := fs.WalkDir(src, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == listing { // of the model that Open put here
			return err
		}
		if !d.Type().IsRegular() {
			return unfit("%s is not a regular file (%s)", path, d.Type())
		}
		if err := checkPath(path); err != nil {
			return unfit("%v", err)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Size() > maxSize {
			return unfit("%s has %d bytes", path, info.Size())
		}
		files = append(files, source{path, info})
		return nil
	})
	return files, err
}

func unfit(format string, args ...any) error {
	return &Error{kind: ErrUnfit, text: fmt.Sprintf(format, args...), hint: "seal a plain folder of files: cp -rL resolves links"}
}

// add starts the segments of one file; their sums land in the manifest.
func (s *sealing) add(src fs.FS, f source) {
	size, step := f.info.Size(), s.opts.SegmentBytes
	sums := make([]Segment, segments(size, step))
	s.manifest.Files = append(s.manifest.Files, File{
		Path: f.path, Mode: Mode(f.info.Mode().Perm()), Size: size, Segments: sums,
	})
	for i := range sums {
		s.group.Go(func() error {
			var err error
			sums[i], err = s.fromFile(src, f, i, segmentLength(size, step, i))
			if err != nil {
				return fmt.Errorf("%s: %w", f.path, err)
			}
			return nil
		})
	}
}

func (s *sealing) fromFile(src fs.FS, f source, index int, length int64) (Segment, error) {
	file, err := src.Open(f.path)
	if err != nil {
		return Segment{}, err
	}
	defer func() { _ = file.Close() }()
	at, ok := file.(io.ReaderAt)
	if !ok {
		return Segment{}, errors.New("cannot be read at random")
	}
	section := io.NewSectionReader(at, int64(index)*s.opts.SegmentBytes, length)
	out, err := s.segment(f.path, index, readChunks(s.ctx, section, s.free))
	if err == nil && out.Length != length {
		err = unfit("it became shorter while it was sealed")
	}
	return out, err
}

// unchanged looks again after everything was read.
func unchanged(src fs.FS, files []source) error {
	for _, f := range files {
		now, err := fs.Stat(src, f.path)
		if err != nil {
			return err
		}
		if now.Size() != f.info.Size() || !now.ModTime().Equal(f.info.ModTime()) {
			return unfit("%s changed while it was sealed", f.path)
		}
	}
	return nil
}
