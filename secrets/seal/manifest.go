package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"unicode"

	"stoker/secrets"
)

const (
	// Format is the only format that this package writes and reads.
	Format = "stoker-sealed/1"
	// ManifestName is the manifest's file name in an artifact's folder.
	ManifestName = "manifest.json"

	digestPrefix = "sha256:"
	maxManifest  = 64 << 20 // bytes; a manifest of a million files is below
	maxPath      = 1024     // bytes
	maxSize      = 1 << 50  // bytes of one file, and of one segment: far from overflow
)

// Sum is a SHA-256; as text it is hexadecimal.
type Sum [sha256.Size]byte

// MarshalText gives lower-case hexadecimal.
func (s Sum) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(s[:])), nil }

// UnmarshalText wants exactly 64 hexadecimal digits.
func (s *Sum) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(s)) {
		return fmt.Errorf("a SHA-256 has %d hexadecimal digits, not %d", hex.EncodedLen(len(s)), len(text))
	}
	_, err := hex.Decode(s[:], text)
	return err
}

// Mode is a file's permission bits; as text it is octal, such as 0644.
type Mode uint32

// MarshalText gives four octal digits.
func (m Mode) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%04o", uint32(m)), nil }

// UnmarshalText wants four octal digits, permission bits only.
func (m *Mode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 32)
	if err != nil || len(text) != 4 || n > 0o777 {
		return fmt.Errorf("mode %q: want permission bits such as 0644", text)
	}
	*m = Mode(n)
	return nil
}

// Manifest describes an artifact. Nothing in it is authentic until Open or
// Verify has compared digest and MAC.
type Manifest struct {
	Format       string      `json:"format"`
	URN          secrets.URN `json:"urn"`
	Key          string      `json:"key"`           // the Transit key that wraps the data key
	Wrapped      string      `json:"wrapped"`       // the data key, wrapped; outside of MAC and digest
	SegmentBytes int64       `json:"segment_bytes"` // of plaintext, all but each file's last segment
	Files        []File      `json:"files"`         // in rising order of path
	MAC          Sum         `json:"mac"`
}

// File is one file of the model. A file of size 0 has no segments.
type File struct {
	Path     string    `json:"path"` // relative, slashes
	Mode     Mode      `json:"mode"`
	Size     int64     `json:"size"`
	Segments []Segment `json:"segments"`
}

// Segment is one DARE stream; both fields are of its plaintext.
type Segment struct {
	Length int64 `json:"length"`
	SHA256 Sum   `json:"sha256"`
}

// Digest names this sealing: "sha256:" and 64 digits. Rewrap does not change it.
func (m *Manifest) Digest() string {
	sum := sha256.Sum256(append(m.canonical(), m.MAC[:]...))
	return digestPrefix + hex.EncodeToString(sum[:])
}

// Bytes is the size of the plaintext.
func (m *Manifest) Bytes() int64 {
	var n int64
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// KeyVersion is the version of the Transit key that wraps the data key, 0 when
// the wrapped key does not tell.
func (m *Manifest) KeyVersion() int { return keyVersion(m.Wrapped) }

// keyVersion reads vault:v<N>:….
func keyVersion(wrapped string) int {
	rest, ok := strings.CutPrefix(wrapped, "vault:v")
	digits, _, found := strings.Cut(rest, ":")
	n, err := strconv.Atoi(digits)
	if !ok || !found || err != nil || n < 1 {
		return 0
	}
	return n
}

// canonical is what MAC and digest cover: every field but wrapped key and MAC,
// in this order, numbers as 8 bytes big-endian, text as its length and its
// bytes, lists as their length and their members. JSON has many spellings of
// one manifest; this has one.
func (m *Manifest) canonical() []byte {
	var b []byte
	number := func(n int64) { b = binary.BigEndian.AppendUint64(b, uint64(n)) }
	text := func(s string) { number(int64(len(s))); b = append(b, s...) }
	text(m.Format)
	text(m.URN.String())
	text(m.Key)
	number(m.SegmentBytes)
	number(int64(len(m.Files)))
	for _, f := range m.Files {
		text(f.Path)
		number(int64(f.Mode))
		number(f.Size)
		number(int64(len(f.Segments)))
		for _, s := range f.Segments {
			number(s.Length)
			b = append(b, s.SHA256[:]...)
		}
	}
	return b
}

// encode writes the manifest for people and jq to read.
func (m *Manifest) encode() ([]byte, error) {
	raw, err := json.MarshalIndent(m, "", "  ")
	return append(raw, '\n'), err
}

// ParseManifest reads and checks a manifest: its form, not its authenticity.
func ParseManifest(r io.Reader) (*Manifest, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	if len(raw) > maxManifest {
		return nil, malformed(fmt.Errorf("longer than %d bytes", maxManifest))
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	m := new(Manifest)
	if err := dec.Decode(m); err != nil {
		return nil, malformed(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, malformed(errors.New("something follows the manifest"))
	}
	if err := m.check(); err != nil {
		return nil, malformed(err)
	}
	return m, nil
}

func malformed(err error) error {
	return &Error{kind: ErrMalformed, text: "malformed manifest", cause: err, hint: "seal the model again, or use the version of stoker that sealed it"}
}

func (m *Manifest) check() error {
	switch {
	case m.Format != Format:
		return fmt.Errorf("format %q, want %q", m.Format, Format)
	case m.URN.IsZero():
		return errors.New("no URN")
	case m.Key == "" || m.Wrapped == "":
		return errors.New("no key or no wrapped key")
	case m.SegmentBytes < 1 || m.SegmentBytes > maxSize:
		return fmt.Errorf("segments of %d bytes", m.SegmentBytes)
	}
	files := make(map[string]bool, len(m.Files))
	for i, f := range m.Files {
		if err := checkPath(f.Path); err != nil {
			return err
		}
		if i > 0 && m.Files[i-1].Path >= f.Path {
			return fmt.Errorf("%q is out of order or there twice", f.Path)
		}
		files[f.Path] = true
		// Rising order puts a file before whatever claims to be inside of it.
		for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
			if files[dir] {
				return fmt.Errorf("%q is both a file and a folder", dir)
			}
		}
		if err := f.check(m.SegmentBytes); err != nil {
			return fmt.Errorf("%q: %w", f.Path, err)
		}
	}
	return nil
}

func (f *File) check(segmentBytes int64) error {
	if f.Size < 0 || f.Size > maxSize || f.Mode > 0o777 {
		return fmt.Errorf("size %d, mode %o", f.Size, f.Mode)
	}
	if want := segments(f.Size, segmentBytes); int64(len(f.Segments)) != want {
		return fmt.Errorf("%d segments, want %d", len(f.Segments), want)
	}
	for i, s := range f.Segments {
		if want := segmentLength(f.Size, segmentBytes, i); s.Length != want {
			return fmt.Errorf("segment %d has %d bytes, want %d", i, s.Length, want)
		}
	}
	return nil
}

// segments is how many segments a file of that size has.
func segments(size, segmentBytes int64) int64 {
	return (size + segmentBytes - 1) / segmentBytes
}

func segmentLength(size, segmentBytes int64, index int) int64 {
	return min(segmentBytes, size-int64(index)*segmentBytes)
}

// checkPath refuses what could leave the folder or surprise somebody later.
// (What Open itself puts into its folder is no model file either.)
func checkPath(p string) error {
	if len(p) > maxPath || p == "." || !fs.ValidPath(p) || strings.ContainsRune(p, '\\') {
		return fmt.Errorf("path %q: want a relative path without .. and at most %d bytes", p, maxPath)
	}
	if strings.ContainsFunc(p, unicode.IsControl) {
		return fmt.Errorf("path %q: control characters", p)
	}
	for part := range strings.SplitSeq(p, "/") {
		if len(part) > 255 {
			return fmt.Errorf("path %q: a name of more than 255 bytes", p)
		}
		if part == staging || part == listing {
			return fmt.Errorf("path %q: the name %s is reserved", p, part)
		}
	}
	return nil
}

// segmentName is computed, never read from the manifest, so that a manifest
// cannot point elsewhere; and hashed, so that any path makes a plain name.
func segmentName(filePath string, index int) string {
	sum := sha256.Sum256([]byte(filePath))
	return fmt.Sprintf("%x.%06d.dare", sum[:16], index)
}
