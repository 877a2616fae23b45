package secrets_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/secrets"
)

const plain = "correct-horse-battery-staple"

type open struct {
	Name string
	Key  secrets.Secret
	Ptr  *secrets.Secret
}

type closed struct {
	name string
	key  secrets.Secret
	keys []secrets.Secret
	byID map[string]secrets.Secret
}

// leaks reports any spelling in which the content could show.
func leaks(out string) bool {
	for _, form := range []string{
		plain, fmt.Sprint([]byte(plain)), fmt.Sprintf("%x", plain), fmt.Sprintf("%X", plain), fmt.Sprintf("%#v", []byte(plain)),
	} {
		if strings.Contains(out, form) {
			return true
		}
	}
	return false
}

func TestSecretPrintsRedacted(t *testing.T) {
	s := secrets.New(plain)
	for _, verb := range strings.Split("v +v #v s q x X d b o O c U e f g t T p 10s -20v 08d", " ") {
		for name, value := range map[string]any{
			"value":   s,
			"pointer": &s,
			"slice":   []secrets.Secret{s},
			"map":     map[string]secrets.Secret{"k": s},
			"struct":  open{"n", s, &s},
			"private": closed{"n", s, []secrets.Secret{s}, map[string]secrets.Secret{"k": s}},
		} {
			out := fmt.Sprintf("%"+verb, value)
			if leaks(out) {
				t.Errorf("%%%s of %s shows the secret: %s", verb, name, out)
			}
			if name == "value" && !strings.Contains("Tp", verb) && out != secrets.Redacted {
				t.Errorf("%%%s of a secret is %q", verb, out)
			}
		}
	}
	if got := fmt.Sprintf("%#v", open{Name: "n", Key: s}); !strings.Contains(got, "Key:[redacted]") {
		t.Errorf("a struct with a secret prints %s", got)
	}
}

func TestSecretEncodesRedacted(t *testing.T) {
	s := secrets.New(plain)
	js, err := json.Marshal(map[string]any{"a": s, "b": open{"n", s, &s}})
	if err != nil || string(js) != `{"a":"[redacted]","b":{"Name":"n","Key":"[redacted]","Ptr":"[redacted]"}}` {
		t.Errorf("JSON: %s %v", js, err)
	}
	xm, err := xml.Marshal(open{Name: "n", Key: s})
	if err != nil || leaks(string(xm)) || !strings.Contains(string(xm), "<Key>[redacted]</Key>") {
		t.Errorf("XML: %s %v", xm, err)
	}
	var gobbed bytes.Buffer
	if err := gob.NewEncoder(&gobbed).Encode(struct{ Key secrets.Secret }{s}); err != nil || leaks(gobbed.String()) {
		t.Errorf("gob: %q %v", gobbed.String(), err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("text", "key", s, "in", open{"n", s, &s})
	slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "key", s, "in", open{"n", s, &s})
	if leaks(log.String()) || strings.Count(log.String(), secrets.Redacted) < 4 {
		t.Errorf("logs: %s", log.String())
	}
	if err := fmt.Errorf("login with %v: %w", s, errors.New("refused")); leaks(err.Error()) {
		t.Errorf("error: %v", err)
	}
	func() {
		defer func() {
			if out := fmt.Sprint(recover()); leaks(out) {
				t.Errorf("panic: %s", out)
			}
		}()
		panic(s)
	}()
	if d := cmp.Diff(open{Key: s}, open{Key: secrets.New("other")}); leaks(d) {
		t.Errorf("diff: %s", d)
	}
}

func TestSecretContent(t *testing.T) {
	raw := []byte(plain)
	s := secrets.FromBytes(raw)
	twin := s
	if s.Reveal() != plain || s.Empty() || !s.Equal(secrets.New(plain)) || s.Equal(secrets.New("x")) {
		t.Fatal("content, Empty or Equal is wrong")
	}
	s.Wipe()
	if !twin.Empty() || twin.Reveal() != "" {
		t.Error("Wipe left a copy of the Secret filled")
	}
	if !bytes.Equal(raw, make([]byte, len(plain))) {
		t.Error("Wipe left the bytes in memory")
	}
	var zero secrets.Secret
	zero.Wipe()
	if !zero.Empty() || fmt.Sprint(zero) != secrets.Redacted || !secrets.New("").Equal(zero) {
		t.Error("the zero Secret is not an empty one")
	}
}
