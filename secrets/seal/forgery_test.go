package seal_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"stoker/secrets"
	"stoker/secrets/seal"
)

// sealedOnce is a sealed model with all that a forger could have at hand.
type sealedOnce struct {
	keys  *localKeys
	dir   string // the artifact
	older string // an older sealing of the same files
	other string // another model's artifact, of the same files
	urn   secrets.URN
	want  string // the registered digest
}

func sealOnce(t *testing.T) sealedOnce {
	t.Helper()
	parent := t.TempDir()
	s := sealedOnce{
		keys: newLocalKeys("models"), urn: mustURN(t, "m:1"),
		dir: filepath.Join(parent, "m"), older: filepath.Join(parent, "older"), other: filepath.Join(parent, "other"),
	}
	for _, what := range []struct {
		dir, urn string
	}{{s.older, "m:1"}, {s.other, "n:1"}, {s.dir, "m:1"}} {
		r, err := seal.Seal(t.Context(), usual().fs(), what.dir, mustURN(t, what.urn), "models", s.keys, small())
		if err != nil {
			t.Fatal(err)
		}
		s.want = r.Digest
	}
	return s
}

// segmentsOf lists the segment files, the biggest first.
func segmentsOf(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.dare"))
	if err != nil || len(names) != 7 {
		t.Fatalf("segments: %v, %v", names, err)
	}
	size := func(name string) int64 {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := size(b) - size(a); d != 0 {
			return int(d)
		}
		return strings.Compare(a, b)
	})
	return names
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func rewrite(t *testing.T, name string, change func([]byte) []byte) {
	t.Helper()
	raw, err := os.ReadFile(name)
	must(t, err)
	must(t, os.WriteFile(name, change(raw), 0o600))
}

func flip(at int) func([]byte) []byte {
	return func(raw []byte) []byte {
		raw[(at+len(raw))%len(raw)] ^= 1
		return raw
	}
}

func swap(t *testing.T, a, b string) {
	t.Helper()
	must(t, os.Rename(a, a+".x"))
	must(t, os.Rename(b, a))
	must(t, os.Rename(a+".x", b))
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, raw, 0o600))
}

// edit changes the manifest as a forger with an editor would.
func (s *sealedOnce) edit(t *testing.T, change func(m *seal.Manifest)) {
	t.Helper()
	name := filepath.Join(s.dir, seal.ManifestName)
	raw, err := os.ReadFile(name)
	must(t, err)
	m := new(seal.Manifest)
	must(t, json.Unmarshal(raw, m))
	change(m)
	raw, err = json.Marshal(m)
	must(t, err)
	must(t, os.WriteFile(name, raw, 0o600))
}

// believe makes the registry believe the edited manifest: what is left to
// protect the model is the MAC and the segments.
func (s *sealedOnce) believe(t *testing.T) {
	t.Helper()
	m, err := seal.ReadManifest(s.dir)
	must(t, err)
	s.want = m.Digest()
}

func (s *sealedOnce) manifest() string { return filepath.Join(s.dir, seal.ManifestName) }

type forgery struct {
	name string
	do   func(t *testing.T, s *sealedOnce)
	want error
}

func segmentForgeries() []forgery {
	change := func(name string, do func([]byte) []byte) forgery {
		return forgery{name, func(t *testing.T, s *sealedOnce) { rewrite(t, segmentsOf(t, s.dir)[0], do) }, seal.ErrTampered}
	}
	return []forgery{
		change("version byte", flip(0)),
		change("cipher byte", flip(1)),
		change("length bytes", flip(2)),
		change("nonce", flip(6)),
		change("first byte of ciphertext", flip(16)),
		change("tag of the first package", flip(16+65536)),
		change("second package", flip(65568+16+100)),
		change("last byte", flip(-1)),
		change("final flag", flip(2*65568+4)),
		change("one package less", func(raw []byte) []byte { return raw[:65568] }),
		change("one byte less", func(raw []byte) []byte { return raw[:len(raw)-1] }),
		change("one byte more", func(raw []byte) []byte { return append(raw, 0) }),
		change("two packages swapped", func(raw []byte) []byte {
			return slices.Concat(raw[65568:2*65568], raw[:65568], raw[2*65568:])
		}),
		change("a package twice", func(raw []byte) []byte { return slices.Concat(raw[:65568], raw[:65568], raw[2*65568:]) }),
		change("nothing in it", func([]byte) []byte { return nil }),
		{"missing", func(t *testing.T, s *sealedOnce) { must(t, os.Remove(segmentsOf(t, s.dir)[0])) }, seal.ErrTampered},
		{"two swapped", func(t *testing.T, s *sealedOnce) {
			names := segmentsOf(t, s.dir)
			for i := range 4 { // the whole ones, across both files
				for j := range i {
					swap(t, names[i], names[j])
				}
			}
		}, seal.ErrTampered},
		{"of an older sealing", func(t *testing.T, s *sealedOnce) {
			copyFile(t, segmentsOf(t, s.older)[0], segmentsOf(t, s.dir)[0])
		}, seal.ErrTampered},
		{"of another model", func(t *testing.T, s *sealedOnce) {
			copyFile(t, segmentsOf(t, s.other)[0], segmentsOf(t, s.dir)[0])
		}, seal.ErrTampered},
		{"a link", func(t *testing.T, s *sealedOnce) {
			name := segmentsOf(t, s.dir)[0]
			must(t, os.Rename(name, name+".x"))
			must(t, os.Symlink(filepath.Base(name)+".x", name))
		}, seal.ErrTampered},
		{"a pipe", func(t *testing.T, s *sealedOnce) {
			name := segmentsOf(t, s.dir)[0]
			must(t, os.Remove(name))
			must(t, syscall.Mkfifo(name, 0o600))
		}, seal.ErrTampered},
		{"a folder", func(t *testing.T, s *sealedOnce) {
			name := segmentsOf(t, s.dir)[0]
			must(t, os.Remove(name))
			must(t, os.Mkdir(name, 0o700))
		}, seal.ErrTampered},
	}
}

func manifestForgeries() []forgery {
	var all []forgery
	for _, c := range []struct {
		name     string
		change   func(m *seal.Manifest)
		believed error // when the registry believes the edited manifest
	}{
		{"another mode", func(m *seal.Manifest) { m.Files[0].Mode = 0o777 }, seal.ErrTampered},
		{"a renamed file", func(m *seal.Manifest) { m.Files[1].Path = "fmpty" }, seal.ErrTampered},
		{"a dropped file", func(m *seal.Manifest) { m.Files = m.Files[1:] }, seal.ErrTampered},
		{"another digest of plaintext", func(m *seal.Manifest) { m.Files[0].Segments[0].SHA256[3]++ }, seal.ErrTampered},
		{"another MAC", func(m *seal.Manifest) { m.MAC[0]++ }, seal.ErrTampered},
		{"a path upwards", func(m *seal.Manifest) { m.Files[0].Path = "../config.json" }, seal.ErrMalformed},
		{"a path upwards inside", func(m *seal.Manifest) { m.Files[0].Path = "a/../../config.json" }, seal.ErrMalformed},
		{"an absolute path", func(m *seal.Manifest) { m.Files[0].Path = "/config.json" }, seal.ErrMalformed},
		{"the staging folder", func(m *seal.Manifest) { m.Files[0].Path = ".stoker-opening/x" }, seal.ErrMalformed},
		{"a NUL in a path", func(m *seal.Manifest) { m.Files[0].Path = "a\x00b" }, seal.ErrMalformed},
		{"one file twice", func(m *seal.Manifest) { m.Files[1] = m.Files[0] }, seal.ErrMalformed},
		{"a file inside a file", func(m *seal.Manifest) { m.Files[1].Path = m.Files[0].Path + "/x" }, seal.ErrMalformed},
		{"a shorter file", func(m *seal.Manifest) { m.Files[2].Size-- }, seal.ErrMalformed},
		{"a cut file", func(m *seal.Manifest) {
			f := &m.Files[2]
			f.Size, f.Segments = seg, f.Segments[:1]
		}, seal.ErrTampered},
		{"a negative size", func(m *seal.Manifest) { m.Files[0].Size = -1 }, seal.ErrMalformed},
		{"a huge size", func(m *seal.Manifest) { m.Files[0].Size = 1<<63 - 1 }, seal.ErrMalformed},
		{"no segment size", func(m *seal.Manifest) { m.SegmentBytes = 0 }, seal.ErrMalformed},
		{"another format", func(m *seal.Manifest) { m.Format = "stoker-sealed/2" }, seal.ErrMalformed},
		{"no URN", func(m *seal.Manifest) { m.URN = secrets.URN{} }, seal.ErrMalformed},
	} {
		edit := func(t *testing.T, s *sealedOnce) { s.edit(t, c.change) }
		alone := seal.ErrOther
		if errors.Is(c.believed, seal.ErrMalformed) {
			alone = seal.ErrMalformed
		} else {
			all = append(all, forgery{c.name + ", believed", func(t *testing.T, s *sealedOnce) { edit(t, s); s.believe(t) }, c.believed})
		}
		all = append(all, forgery{c.name, edit, alone})
	}
	return all
}

func folderForgeries() []forgery {
	text := func(name string, change func(string) string, want error) forgery {
		return forgery{name, func(t *testing.T, s *sealedOnce) {
			rewrite(t, s.manifest(), func(raw []byte) []byte { return []byte(change(string(raw))) })
		}, want}
	}
	return []forgery{
		{"the older sealing", func(_ *testing.T, s *sealedOnce) { s.dir = s.older }, seal.ErrOther},
		{"another model", func(_ *testing.T, s *sealedOnce) { s.dir = s.other }, seal.ErrOther},
		{"the older manifest", func(t *testing.T, s *sealedOnce) {
			copyFile(t, filepath.Join(s.older, seal.ManifestName), s.manifest())
		}, seal.ErrOther},
		{"the older manifest, believed", func(t *testing.T, s *sealedOnce) {
			copyFile(t, filepath.Join(s.older, seal.ManifestName), s.manifest())
			s.believe(t)
		}, seal.ErrTampered},
		{"the older wrapped key", func(t *testing.T, s *sealedOnce) {
			old, err := seal.ReadManifest(s.older)
			must(t, err)
			s.edit(t, func(m *seal.Manifest) { m.Wrapped = old.Wrapped })
		}, seal.ErrTampered},
		{"another model renamed, believed", func(t *testing.T, s *sealedOnce) {
			s.dir = s.other
			s.edit(t, func(m *seal.Manifest) { m.URN = s.urn })
			s.believe(t)
		}, errAny}, // Vault refuses the context
		{"the wrapped key of another model", func(t *testing.T, s *sealedOnce) {
			other, err := seal.ReadManifest(s.other)
			must(t, err)
			s.edit(t, func(m *seal.Manifest) { m.Wrapped = other.Wrapped })
		}, errAny},
		{"a changed wrapped key", func(t *testing.T, s *sealedOnce) {
			s.edit(t, func(m *seal.Manifest) { m.Wrapped = m.Wrapped[:20] + "AAAA" + m.Wrapped[24:] })
		}, errAny},
		{"another key's name, believed", func(t *testing.T, s *sealedOnce) {
			s.edit(t, func(m *seal.Manifest) { m.Key = "nokey" })
			s.believe(t)
		}, errAny},
		{"no manifest", func(t *testing.T, s *sealedOnce) { must(t, os.Remove(s.manifest())) }, seal.ErrMalformed},
		{"a linked manifest", func(t *testing.T, s *sealedOnce) {
			must(t, os.Rename(s.manifest(), s.manifest()+".x"))
			must(t, os.Symlink(seal.ManifestName+".x", s.manifest()))
		}, seal.ErrTampered},
		text("an unknown field", func(raw string) string { return `{"x":1,` + raw[1:] }, seal.ErrMalformed),
		text("a second manifest", func(raw string) string { return raw + raw }, seal.ErrMalformed),
		text("half a manifest", func(raw string) string { return raw[:len(raw)/2] }, seal.ErrMalformed),
		text("an empty manifest", func(string) string { return "" }, seal.ErrMalformed),
	}
}

// errAny stands for an error of the key wrapper.
var errAny = errors.New("any")
