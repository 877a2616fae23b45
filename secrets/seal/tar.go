package seal

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"stoker/secrets"
)

const (
	tarBlock = 512
	// maxPadding is how much may follow the end of an archive: tar pads to its
	// record size, 10 KiB unless told otherwise.
	maxPadding = 1 << 20
)

// SealTar seals what the tar stream r holds, to its end, as Seal does with a
// folder. The plaintext is never on disk, and at most a few MiB of it are in
// memory at a time. Segments seal in parallel as far as r is ahead of them, so
// one big file goes at the speed of one core.
func SealTar(ctx context.Context, r io.Reader, dst string, urn secrets.URN, key string, kw Datakeyer, opts Options) (Receipt, error) {
	s, err := begin(ctx, dst, urn, key, kw, opts)
	if err != nil {
		return Receipt{}, err
	}
	defer s.end()
	err = s.readTar(&counter{r: r})
	if err != nil {
		// A segment that failed ends the reading too, and is the better reason.
		if failed := s.group.Wait(); failed != nil && !errors.Is(failed, errAbandoned) {
			err = failed
		}
		return Receipt{}, fmt.Errorf("seal %s: %w", urn, err)
	}
	receipt, err := s.commit(func() error { return nil })
	if err != nil {
		return Receipt{}, fmt.Errorf("seal %s: %w", urn, err)
	}
	return receipt, nil
}

// errAbandoned ends a segment whose source broke off.
var errAbandoned = errors.New("the source ended early")

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (s *sealing) readTar(in *counter) error {
	archive := tar.NewReader(in)
	seen := map[string]bool{}
	for {
		before := in.n
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			// A sender that dies between two files looks like the end to
			// archive/tar, but for the missing block of zeros.
			if in.n-before < tarBlock {
				return &Error{kind: ErrUnfit, text: "the archive ends before its end mark", cause: io.ErrUnexpectedEOF}
			}
			return drain(in)
		}
		if err != nil {
			return &Error{kind: ErrUnfit, text: "read the archive", cause: err}
		}
		if header.Typeflag == tar.TypeDir || header.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		name, err := entryName(header)
		if err != nil {
			return err
		}
		if seen[name] {
			return unfit("%s is in the archive twice", name)
		}
		seen[name] = true
		if err := s.fromTar(archive, name, header); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}

func entryName(header *tar.Header) (string, error) {
	if header.Typeflag != tar.TypeReg {
		return "", unfit("%s is not a regular file (tar type %q)", header.Name, header.Typeflag)
	}
	if header.Size > maxSize {
		return "", unfit("%s has %d bytes", header.Name, header.Size)
	}
	name := strings.TrimPrefix(header.Name, "./") // as tar -C folder . writes it
	if err := checkPath(name); err != nil {
		return "", unfit("archive entry %v", err)
	}
	return name, nil
}

// drain reads the padding, so that the sender can finish writing.
func drain(in io.Reader) error {
	n, err := io.Copy(io.Discard, io.LimitReader(in, maxPadding+1))
	if err == nil && n > maxPadding {
		return unfit("something follows the archive")
	}
	return err
}

func (s *sealing) fromTar(archive io.Reader, name string, header *tar.Header) error {
	size, step := header.Size, s.opts.SegmentBytes
	sums := make([]Segment, segments(size, step))
	mode := Mode(fs.FileMode(header.Mode).Perm())
	s.manifest.Files = append(s.manifest.Files, File{Path: name, Mode: mode, Size: size, Segments: sums})
	for i := range sums {
		if err := s.feed(archive, name, i, segmentLength(size, step, i), &sums[i]); err != nil {
			return err
		}
	}
	return nil
}

// feed reads one segment from the archive for a goroutine that seals it. It
// returns when all is read, not when all is sealed.
func (s *sealing) feed(archive io.Reader, name string, index int, length int64, out *Segment) error {
	pipe := make(chan []byte, cap(s.free))
	complete := make(chan struct{}) // closed before pipe when the segment is whole
	next := func() ([]byte, error) {
		select {
		case <-s.ctx.Done():
			return nil, s.ctx.Err()
		case chunk, ok := <-pipe:
			if ok {
				return chunk, nil
			}
		}
		select {
		case <-complete:
			return nil, io.EOF
		default:
			return nil, errAbandoned
		}
	}
	s.group.Go(func() (err error) {
		if *out, err = s.segment(name, index, next); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	defer close(pipe)
	read := readChunks(s.ctx, io.LimitReader(archive, length), s.free)
	var done int64
	for {
		chunk, err := read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		done += int64(len(chunk))
		pipe <- chunk // never blocks: it holds every chunk that there is
	}
	if done != length {
		return io.ErrUnexpectedEOF
	}
	close(complete)
	return nil
}
