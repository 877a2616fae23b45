package seal_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"stoker/secrets/seal"
)

func tarOf(t testing.TB, m model) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.AddFS(m.fs()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestRoundTrip(t *testing.T) {
	deep := strings.Repeat("d/", 40) + "file"
	for name, m := range map[string]model{
		"no files":           {},
		"an empty file":      {"empty": {}},
		"one byte":           {"one": {42}},
		"under one package":  {"f": content(65535, 3)},
		"one package":        {"f": content(65536, 4)},
		"over one package":   {"f": content(65537, 5)},
		"under one segment":  {"f": content(seg-1, 6)},
		"one segment":        {"f": content(seg, 7)},
		"over one segment":   {"f": content(seg+1, 8)},
		"exactly three":      {"f": content(3*seg, 9)},
		"a usual model":      usual(),
		"many small files":   manyFiles(60),
		"deep and odd names": {deep: []byte("x"), "a": {1}, "a.b/c": {2}, "a-b": {3}, "ü ber/naïve name.txt": {4}, ".hidden/.x": {5}},
		"over one chunk":     {"f": content(1<<20+5, 10)},
	} {
		for how, do := range map[string]func(dst string, keys *localKeys, o seal.Options) (seal.Receipt, error){
			"folder": func(dst string, keys *localKeys, o seal.Options) (seal.Receipt, error) {
				return seal.Seal(t.Context(), m.fs(), dst, mustURN(t, "m:1"), "models", keys, o)
			},
			"tar": func(dst string, keys *localKeys, o seal.Options) (seal.Receipt, error) {
				return seal.SealTar(t.Context(), bytes.NewReader(tarOf(t, m)), dst, mustURN(t, "m:1"), "models", keys, o)
			},
		} {
			t.Run(name+" from a "+how, func(t *testing.T) {
				keys, parent, out := newLocalKeys("models"), t.TempDir(), t.TempDir()
				dst := filepath.Join(parent, "models", "m", "1")
				o := small()
				o.Deep = true
				if name == "over one chunk" {
					o.SegmentBytes = 1 << 20
				}
				sealed, err := do(dst, keys, o)
				if err != nil {
					t.Fatal(err)
				}
				if sealed.Files != len(m) || sealed.Bytes != m.bytes() || sealed.Key != "models" || sealed.KeyVersion != 1 || sealed.URN != mustURN(t, "m:1") {
					t.Errorf("receipt %+v", sealed)
				}
				if _, err := seal.Verify(t.Context(), dst, sealed.URN, sealed.Digest, keys, o); err != nil {
					t.Errorf("verify: %v", err)
				}
				opened, err := seal.Open(t.Context(), dst, out, sealed.URN, sealed.Digest, keys, o)
				if err != nil {
					t.Fatal(err)
				}
				if opened != sealed {
					t.Errorf("opened %+v, sealed %+v", opened, sealed)
				}
				sameModel(t, m, contentOf(t, out))
				if entries, _ := os.ReadDir(filepath.Dir(dst)); len(entries) != 1 {
					t.Errorf("%d entries beside the artifact", len(entries)-1)
				}
			})
		}
	}
}

func manyFiles(n int) model {
	m := model{}
	for i := range n {
		m["shard/"+strings.Repeat("x", i+1)] = content(i*37, uint64(i))
	}
	return m
}

func TestModesAreKept(t *testing.T) {
	keys, dst, out := newLocalKeys("models"), filepath.Join(t.TempDir(), "m"), t.TempDir()
	src := fstest.MapFS{
		"run.sh":     {Data: []byte("#!/bin/sh\n"), Mode: 0o755},
		"dir/secret": {Data: []byte("x"), Mode: 0o400},
		"suid":       {Data: []byte("x"), Mode: 0o755 | fs.ModeSetuid},
	}
	receipt, err := seal.Seal(t.Context(), src, dst, mustURN(t, "m:1"), "models", keys, small())
	if err != nil {
		t.Fatal(err)
	}
	for shared, mask := range map[bool]fs.FileMode{true: 0, false: 0o077} { // for its owner alone unless shared
		o := small()
		o.Shared, o.Replace = shared, true
		if _, err := seal.Open(t.Context(), dst, out, receipt.URN, receipt.Digest, keys, o); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]fs.FileMode{"run.sh": 0o755, "dir/secret": 0o400, "suid": 0o755, "dir": fs.ModeDir | 0o755} {
			info, err := os.Stat(filepath.Join(out, name))
			if err != nil || info.Mode() != want&^mask {
				t.Errorf("shared %v, %s: %v, %v, want %v", shared, name, info.Mode(), err, want&^mask)
			}
		}
	}
}

// No run of 16 bytes of a model may show in its artifact, whatever is in it.
func TestNothingShows(t *testing.T) {
	const run = 16
	m := model{
		"random": content(seg+3000, 20),
		"zeros":  make([]byte, seg+70000),
		"text":   []byte(strings.Repeat("It was the best of times, it was the worst of times. ", 3000)),
		"short":  []byte("sixteen bytes ok"),
	}
	windows := map[string]bool{}
	for _, data := range m {
		for i := 0; i+run <= len(data); i++ {
			windows[string(data[i:i+run])] = true
		}
	}
	dst := filepath.Join(t.TempDir(), "m")
	receipt, err := seal.Seal(t.Context(), m.fs(), dst, mustURN(t, "m:1"), "models", newLocalKeys("models"), small())
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	for name, data := range contentOf(t, dst) {
		total += int64(len(data))
		for i := 0; i+run <= len(data); i++ {
			if windows[string(data[i:i+run])] {
				t.Fatalf("%s shows %q of the model", name, data[i:i+run])
			}
		}
	}
	if total < receipt.Bytes {
		t.Fatalf("only %d bytes were looked at", total)
	}
}

func TestSealingTwiceDiffers(t *testing.T) {
	keys, parent, m := newLocalKeys("models"), t.TempDir(), usual()
	var digests []string
	for _, name := range []string{"a", "b"} {
		r, err := seal.Seal(t.Context(), m.fs(), filepath.Join(parent, name), mustURN(t, "m:1"), "models", keys, small())
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, r.Digest)
	}
	a, b := contentOf(t, filepath.Join(parent, "a")), contentOf(t, filepath.Join(parent, "b"))
	for name := range a {
		if bytes.Equal(a[name], b[name]) {
			t.Errorf("%s is the same in two sealings", name)
		}
	}
	if digests[0] == digests[1] || len(a) != len(b) {
		t.Error("two sealings have one digest, or other segments")
	}
}

func TestExistingArtifact(t *testing.T) {
	keys := newLocalKeys("models", "other")
	urn, m, changed := mustURN(t, "m:1"), usual(), usual()
	changed["config.json"] = []byte("{}")
	for _, c := range []struct {
		name string
		src  model
		urn  string
		opts func(o *seal.Options, digest string)
		err  error
		kept bool // the first sealing is still there
	}{
		{"same files", m, "m:1", func(*seal.Options, string) {}, seal.ErrExists, true},
		{"same files, registered", m, "m:1", func(o *seal.Options, d string) { o.Registered = d }, nil, true},
		{"same files, another one registered", m, "m:1", func(o *seal.Options, _ string) { o.Registered = "sha256:00" }, seal.ErrExists, true},
		{"other files, registered", changed, "m:1", func(o *seal.Options, d string) { o.Registered = d }, seal.ErrExists, true},
		{"other files, replace", changed, "m:1", func(o *seal.Options, _ string) { o.Replace = true }, nil, false},
		{"another model, replace", m, "m:2", func(o *seal.Options, _ string) { o.Replace = true }, seal.ErrExists, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			parent, out := t.TempDir(), t.TempDir()
			dst := filepath.Join(parent, "m")
			first, err := seal.Seal(t.Context(), m.fs(), dst, urn, "models", keys, small())
			if err != nil {
				t.Fatal(err)
			}
			o := small()
			c.opts(&o, first.Digest)
			may := seal.MayWrite(dst, mustURN(t, c.urn), o)
			second, err := seal.Seal(t.Context(), c.src.fs(), dst, mustURN(t, c.urn), "models", keys, o)
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			if early := o.Registered != first.Digest; early && !errors.Is(may, c.err) { // else the files decide
				t.Errorf("beforehand: %v, want %v", may, c.err)
			}
			want, files := first.Digest, m
			if !c.kept {
				want, files = second.Digest, c.src
			}
			if err == nil && (second.Unchanged != c.kept || second.Digest != want) {
				t.Errorf("receipt %+v after %+v", second, first)
			}
			if _, err := seal.Open(t.Context(), dst, out, urn, want, keys, small()); err != nil {
				t.Error(err)
			}
			sameModel(t, files, contentOf(t, out))
			if entries, _ := os.ReadDir(parent); len(entries) != 1 {
				t.Errorf("left beside the artifact: %v", entries)
			}
		})
	}
}

func TestAnotherFolderIsNotReplaced(t *testing.T) {
	dst := t.TempDir()
	if err := os.WriteFile(filepath.Join(dst, "precious"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := small()
	o.Replace = true
	if _, err := seal.Seal(t.Context(), usual().fs(), dst, mustURN(t, "m:1"), "models", newLocalKeys("models"), o); !errors.Is(err, seal.ErrExists) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dst, "precious")); err != nil {
		t.Error(err)
	}
}

// brokenAt is a reader that fails after n bytes.
type brokenAt struct {
	r   io.Reader
	err error
}

func (b *brokenAt) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if errors.Is(err, io.EOF) {
		err = b.err
	}
	return n, err
}

func tarLink(t *testing.T, typ byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := errors.Join(w.WriteHeader(&tar.Header{Typeflag: typ, Name: "x", Linkname: "/etc/passwd"}), w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func tarNamed(t *testing.T, names ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 1, Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestABrokenSourceLeavesNothing(t *testing.T) {
	whole := tarOf(t, usual())
	lost := errors.New("connection lost")
	reader := func(b []byte) io.Reader { return bytes.NewReader(b) }
	for name, c := range map[string]struct {
		r    io.Reader
		want error
	}{
		"nothing at all":           {reader(nil), seal.ErrUnfit},
		"cut inside a file":        {reader(whole[:len(whole)/2]), io.ErrUnexpectedEOF},
		"cut between two files":    {reader(tarNamed(t, "a", "b")[:1024]), seal.ErrUnfit},
		"cut before the end mark":  {reader(tarNamed(t, "a", "b")[:2048]), seal.ErrUnfit},
		"cut in a header":          {reader(tarNamed(t, "a", "b")[:1024+100]), seal.ErrUnfit},
		"connection lost":          {&brokenAt{reader(whole[:len(whole)/3]), lost}, lost},
		"not a tar":                {reader(content(4096, 1)), seal.ErrUnfit},
		"a symbolic link":          {reader(tarLink(t, tar.TypeSymlink)), seal.ErrUnfit},
		"a hard link":              {reader(tarLink(t, tar.TypeLink)), seal.ErrUnfit},
		"a device":                 {reader(tarLink(t, tar.TypeChar)), seal.ErrUnfit},
		"a path upwards":           {reader(tarNamed(t, "../x")), seal.ErrUnfit},
		"a path upwards within":    {reader(tarNamed(t, "a/../x")), seal.ErrUnfit},
		"an absolute path":         {reader(tarNamed(t, "/etc/x")), seal.ErrUnfit},
		"the staging folder":       {reader(tarNamed(t, ".stoker-opening/x")), seal.ErrUnfit},
		"a line break in a name":   {reader(tarNamed(t, "a\nb")), seal.ErrUnfit},
		"one name twice":           {reader(tarNamed(t, "x", "./x")), seal.ErrUnfit},
		"a file and a folder":      {reader(tarNamed(t, "x", "x/y")), seal.ErrUnfit},
		"more after the archive":   {io.MultiReader(reader(whole), reader(content(2<<20, 1))), seal.ErrUnfit},
		"an archive and its twin":  {io.MultiReader(reader(tarNamed(t, "a")), reader(make([]byte, 2<<20))), seal.ErrUnfit},
		"an unreadable entry name": {reader(tarNamed(t, "a\\b")), seal.ErrUnfit},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			_, err := seal.SealTar(t.Context(), c.r, filepath.Join(parent, "m"), mustURN(t, "m:1"), "models", newLocalKeys("models"), small())
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			empty(t, parent)
		})
	}
}

func TestHowSealingEnds(t *testing.T) {
	whole := tarOf(t, usual())
	t.Run("padding is fine", func(t *testing.T) {
		r := io.MultiReader(bytes.NewReader(whole), bytes.NewReader(make([]byte, 10<<10)))
		if _, err := seal.SealTar(t.Context(), r, filepath.Join(t.TempDir(), "m"), mustURN(t, "m:1"), "models", newLocalKeys("models"), small()); err != nil {
			t.Error(err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		parent := t.TempDir()
		_, err := seal.Seal(ctx, usual().fs(), filepath.Join(parent, "m"), mustURN(t, "m:1"), "models", newLocalKeys("models"), small())
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		empty(t, parent)
	})
	t.Run("no such key", func(t *testing.T) {
		parent := t.TempDir()
		if _, err := seal.Seal(t.Context(), usual().fs(), filepath.Join(parent, "m"), mustURN(t, "m:1"), "nokey", newLocalKeys("models"), small()); err == nil {
			t.Error("sealed")
		}
		empty(t, parent)
	})
}

// touched changes a file's time once it was read.
type touched struct{ fstest.MapFS }

func (f touched) Open(name string) (fs.File, error) {
	file, err := f.MapFS.Open(name)
	if name == "b" {
		old := f.MapFS["b"]
		f.MapFS["b"] = &fstest.MapFile{Data: old.Data, Mode: old.Mode, ModTime: old.ModTime.Add(time.Second)}
	}
	return file, err
}

func TestUnfitFolders(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "real"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	for name, src := range map[string]fs.FS{
		"a link":         os.DirFS(dir),
		"a changed file": touched{fstest.MapFS{"a": {Data: []byte("x")}, "b": {Data: []byte("y")}}},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			o := small()
			o.Workers = 1
			_, err := seal.Seal(t.Context(), src, filepath.Join(parent, "m"), mustURN(t, "m:1"), "models", newLocalKeys("models"), o)
			if !errors.Is(err, seal.ErrUnfit) {
				t.Errorf("got %v", err)
			}
			empty(t, parent)
		})
	}
}

func TestRewrap(t *testing.T) {
	keys, dst, out := newLocalKeys("models"), filepath.Join(t.TempDir(), "m"), t.TempDir()
	sealed, err := seal.Seal(t.Context(), usual().fs(), dst, mustURN(t, "m:1"), "models", keys, small())
	if err != nil {
		t.Fatal(err)
	}
	before := contentOf(t, dst)
	keys.rotate("models")
	got, err := seal.Rewrap(t.Context(), dst, sealed.URN, sealed.Digest, keys)
	if err != nil {
		t.Fatal(err)
	}
	want := sealed
	want.KeyVersion = 2
	if got != want || keys.unwraps != 0 {
		t.Errorf("receipt %+v after %+v, %d keys unwrapped", got, sealed, keys.unwraps)
	}
	after := contentOf(t, dst)
	for name := range after {
		if same := bytes.Equal(before[name], after[name]); same == (name == seal.ManifestName) {
			t.Errorf("%s: unchanged is %t", name, same)
		}
	}
	if len(before) != len(after) {
		t.Errorf("%d files became %d", len(before), len(after))
	}
	keys.versions["models"][0] = random(32) // the first version is gone
	if _, err := seal.Open(t.Context(), dst, out, sealed.URN, sealed.Digest, keys, small()); err != nil {
		t.Error(err)
	}
	sameModel(t, usual(), contentOf(t, out))

	if _, err := seal.Rewrap(t.Context(), dst, mustURN(t, "m:2"), "", keys); !errors.Is(err, seal.ErrOther) {
		t.Errorf("another URN: %v", err)
	}
	if _, err := seal.Rewrap(t.Context(), dst, sealed.URN, "sha256:00", keys); !errors.Is(err, seal.ErrOther) {
		t.Errorf("another digest: %v", err)
	}
}
