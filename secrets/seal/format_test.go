package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/secrets"
)

func fixture(t testing.TB) (*Manifest, keys) {
	t.Helper()
	urn, err := secrets.ParseURN("urn:stoker:model:digits:1")
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 32)
	for i := range data {
		data[i] = byte(i)
	}
	k, err := newKeys(secrets.FromBytes(data), urn)
	if err != nil {
		t.Fatal(err)
	}
	sum := Sum(sha256.Sum256([]byte("hello")))
	return &Manifest{
		Format: Format, URN: urn, Key: "models", Wrapped: "vault:v3:x", SegmentBytes: 4,
		Files: []File{
			{Path: "empty", Mode: 0o600, Segments: []Segment{}},
			{Path: "weights/a.bin", Mode: 0o644, Size: 5, Segments: []Segment{{4, sum}, {1, sum}}},
		},
	}, k
}

// The format must not change by accident: artifacts live longer than programs.
// The wanted values come from another implementation of what doc.go says.
func TestFormat(t *testing.T) {
	m, k := fixture(t)
	var err error
	if m.MAC, err = k.mac(m); err != nil {
		t.Fatal(err)
	}
	key, err := k.segment("weights/a.bin", 1)
	if err != nil {
		t.Fatal(err)
	}
	for what, pair := range map[string][2]string{
		"segment key": {hex.EncodeToString(key), "bcc33ae2f3107b0699c0dd1e620308f6f517ce9b71fa152c5ca0b38ac796e99d"},
		"MAC":         {hex.EncodeToString(m.MAC[:]), "f1f7f722df855eb36ec717ec7752e192ca5ecb551bdd60b83b18a621e96f20cc"},
		"digest":      {m.Digest(), "sha256:cef8ef409c6db0aeb6c9a7a2643d3c701321e23d9d3449efa5c5fa5394c4bc40"},
		"file name":   {segmentName("weights/a.bin", 1), "b18fea434a3b160fb3e893c43caa8591.000001.dare"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %s, want %s", what, pair[0], pair[1])
		}
	}
	if m.KeyVersion() != 3 {
		t.Errorf("key version %d", m.KeyVersion())
	}
	raw, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseManifest(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, again); d != "" {
		t.Error(d)
	}
	k.wipe()
	if _, err := k.segment("weights/a.bin", 1); err == nil {
		t.Error("a wiped key still derives")
	}
}

// Every field but the wrapped key must move the digest; a new field that somebody
// forgets to cover makes the count differ.
func TestEverythingIsCovered(t *testing.T) {
	base, _ := fixture(t)
	other, err := secrets.ParseURN("urn:stoker:model:digits:2")
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string]func(m *Manifest){
		"Format":       func(m *Manifest) { m.Format += "x" },
		"URN":          func(m *Manifest) { m.URN = other },
		"Key":          func(m *Manifest) { m.Key += "x" },
		"SegmentBytes": func(m *Manifest) { m.SegmentBytes++ },
		"MAC":          func(m *Manifest) { m.MAC[31]++ },
		"Files":        func(m *Manifest) { m.Files = m.Files[:1] },
		"Path":         func(m *Manifest) { m.Files[1].Path += "x" },
		"Mode":         func(m *Manifest) { m.Files[1].Mode++ },
		"Size":         func(m *Manifest) { m.Files[1].Size++ },
		"Segments":     func(m *Manifest) { m.Files[1].Segments = m.Files[1].Segments[:1] },
		"Length":       func(m *Manifest) { m.Files[1].Segments[1].Length++ },
		"SHA256":       func(m *Manifest) { m.Files[1].Segments[1].SHA256[31]++ },
	}
	fields := reflect.TypeFor[Manifest]().NumField() + reflect.TypeFor[File]().NumField() + reflect.TypeFor[Segment]().NumField()
	if len(changes) != fields-1 {
		t.Errorf("%d fields, %d are tried", fields-1, len(changes))
	}
	for name, change := range changes {
		m, _ := fixture(t)
		change(m)
		if m.Digest() == base.Digest() {
			t.Errorf("%s is not in the digest", name)
		}
		if covered := !bytes.Equal(m.canonical(), base.canonical()); covered != (name != "MAC") {
			t.Errorf("%s: in the MAC is %t", name, covered)
		}
	}
	m, _ := fixture(t)
	m.Wrapped = "vault:v4:y"
	if m.Digest() != base.Digest() {
		t.Error("the wrapped key is in the digest, so rewrap would change it")
	}
}

func TestSegmentKeysDiffer(t *testing.T) {
	_, k := fixture(t)
	other := k
	var err error
	if other.urn, err = secrets.NewURN("digits", "2"); err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for name, derive := range map[string]func() ([]byte, error){
		"a 1":         func() ([]byte, error) { return k.segment("a", 1) },
		"a 11":        func() ([]byte, error) { return k.segment("a", 11) },
		"a1 1":        func() ([]byte, error) { return k.segment("a1", 1) },
		"b 1":         func() ([]byte, error) { return k.segment("b", 1) },
		"other urn":   func() ([]byte, error) { return other.segment("a", 1) },
		"MAC":         func() ([]byte, error) { return k.derive(infoMAC) },
		"the key":     func() ([]byte, error) { return k.data.Bytes(), nil },
		"no path 1":   func() ([]byte, error) { return k.segment("", 1) },
		"odd path a ": func() ([]byte, error) { return k.segment("a ", 1) },
	} {
		key, err := derive()
		if err != nil || len(key) != 32 {
			t.Fatalf("%s: %d bytes, %v", name, len(key), err)
		}
		if twin, taken := seen[string(key)]; taken {
			t.Errorf("%s and %s have one key", name, twin)
		}
		seen[string(key)] = name
	}
}

func TestKeyVersion(t *testing.T) {
	for wrapped, want := range map[string]int{
		"vault:v1:abc": 1, "vault:v12:abc": 12, "": 0, "vault:v:abc": 0, "vault:v0:abc": 0, "vault:v-1:x": 0, "vault:v1": 0, "other:v1:x": 0,
	} {
		if got := keyVersion(wrapped); got != want {
			t.Errorf("%q: %d, want %d", wrapped, got, want)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	m, _ := fixture(f)
	good, err := m.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(strings.Replace(string(good), "weights/a.bin", "../a.bin", 1)))
	f.Add([]byte(strings.Replace(string(good), `"size": 5`, `"size": 9223372036854775807`, 1)))
	f.Add([]byte(strings.Replace(string(good), `"0644"`, `"4755"`, 1)))
	f.Add([]byte(`{"format":"stoker-sealed/1","urn":"urn:stoker:model:a:1","key":"k","wrapped":"w","segment_bytes":1,"files":null,"mac":"` + strings.Repeat("0", 64) + `"}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := ParseManifest(bytes.NewReader(raw))
		if err != nil {
			return
		}
		for _, file := range m.Files {
			if strings.HasPrefix(file.Path, "/") || strings.Contains("/"+file.Path+"/", "/../") || file.Path == "" {
				t.Errorf("the path %q was taken", file.Path)
			}
			var sum int64
			for _, s := range file.Segments {
				sum += s.Length
			}
			if sum != file.Size || file.Mode > 0o777 {
				t.Errorf("%+v was taken", file)
			}
		}
		out, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseManifest(bytes.NewReader(out))
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, out)
		}
		if again.Digest() != m.Digest() || again.Wrapped != m.Wrapped {
			t.Errorf("another manifest came back:\n%s", out)
		}
		if !json.Valid(out) {
			t.Error("not JSON")
		}
	})
}
