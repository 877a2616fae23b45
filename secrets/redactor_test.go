package secrets_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"stoker/secrets"
)

const uuid = "8f9ad1c2-0b5e-4c3d-9a77-1f2e3d4c5b6a"

func TestClean(t *testing.T) {
	r := secrets.NewRedactor(secrets.New(plain), secrets.New(plain+"-long"), secrets.New(`a"b&c/d=e`), secrets.New("tiny"))
	for _, c := range []struct{ in, want string }{
		{"nothing to hide", "nothing to hide"},
		{"key " + plain + ", again " + plain, "key [redacted], again [redacted]"},
		{plain + "-long", "[redacted]"},
		{`raw a"b&c/d=e json a\"b\u0026c/d=e url ` + url.QueryEscape(`a"b&c/d=e`), "raw [redacted] json [redacted] url [redacted]"},
		{"b64 " + base64.RawStdEncoding.EncodeToString([]byte(plain)), "b64 [redacted]"},
		{fmt.Sprintf("hex %x", plain), "hex [redacted]"},
		{"tiny secrets stay", "tiny secrets stay"},
		{"X-Vault-Token: hvs.CAESIJ_x-9aBcDeFgHiJkLmNoPqRs", "X-Vault-Token: [redacted]"},
		{"batch hvb.AAAAAQJ_x-9aBcDeFgHiJkLm.", "batch [redacted]."},
		{"old s.AbCdEfGhIjKlMnOpQrStUvWx end", "old [redacted] end"},
		{"not a token: files.AbCdEfGhIjKlMnOpQrStUvWx", "not a token: files.AbCdEfGhIjKlMnOpQrStUvWx"},
		{"X-Nomad-Token: " + uuid, "X-Nomad-Token: [redacted]"},
		{"NOMAD_TOKEN=" + uuid, "NOMAD_TOKEN=[redacted]"},
		{`{"SecretID":"` + uuid + `"}`, `{"SecretID":"[redacted]"}`},
		{"map[X-Nomad-Token:[" + uuid + "]]", "map[X-Nomad-Token:[[redacted]]]"},
		{"alloc " + uuid + " started", "alloc " + uuid + " started"},
		{"jwt eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJnbG9iYWwifQ.c2lnbmF0dXJl end", "jwt [redacted] end"},
		{"urn:stoker:model:digits:1 vault:v1:abcdefghijklmnop", "urn:stoker:model:digits:1 vault:v1:abcdefghijklmnop"},
	} {
		if got := r.Clean(c.in); got != c.want {
			t.Errorf("Clean(%q)\n got %q\nwant %q", c.in, got, c.want)
		}
		if got := r.Clean(r.Clean(c.in)); got != c.want {
			t.Errorf("cleaning twice gives %q, want %q", got, c.want)
		}
	}
}

// A token that is read later, or again after it was renewed, is masked too.
func TestWatch(t *testing.T) {
	r := secrets.NewRedactor()
	tokens := []string{plain, "renewed-" + plain}
	source := r.Watch(func(context.Context) (secrets.Secret, error) {
		next := tokens[0]
		tokens = tokens[1:]
		return secrets.New(next), io.ErrUnexpectedEOF
	})
	for _, token := range []string{plain, "renewed-" + plain} {
		text := "sent <" + token + ">"
		if s, err := source(t.Context()); s.Reveal() != token || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("it gives %q, %v", s.Reveal(), err)
		}
		if got := r.Clean(text); got != "sent <[redacted]>" {
			t.Errorf("got %q", got)
		}
	}
	if got := r.Clean(plain); got != secrets.Redacted {
		t.Errorf("the old one is forgotten: %q", got)
	}
}

type dump struct{ Note string }

func TestHandler(t *testing.T) {
	quoted := `pass"word\1`
	r := secrets.NewRedactor(secrets.New(plain), secrets.New(quoted))
	for name, format := range map[string]func(io.Writer) slog.Handler{
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		"json": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
	} {
		var out bytes.Buffer
		log := slog.New(r.Handler(format(&out))).With("with", plain).WithGroup("g")
		log.Info("message "+plain, "s", quoted, "err", errors.New(quoted), "any", dump{Note: plain}, "bytes", []byte(plain),
			slog.Group("inner", "x", plain), "token", uuid, "alloc", uuid, "n", 7, "kept", dump{Note: "fine"})
		got := out.String()
		for _, bad := range []string{plain, quoted, "pass", "token=" + uuid, `"token":"` + uuid} {
			if strings.Contains(got, bad) {
				t.Errorf("%s: %q is in %s", name, bad, got)
			}
		}
		for _, good := range []string{uuid, "fine", "message [redacted]", "7"} {
			if !strings.Contains(got, good) {
				t.Errorf("%s: %q is missing in %s", name, good, got)
			}
		}
	}
}

func TestCleanJSON(t *testing.T) {
	r := secrets.NewRedactor(secrets.New("s3cr3t-value"))
	for in, want := range map[string]string{
		`{"Env": {"DB_PASSWORD": "hunter2", "MODE": "fast"}}`:         `{"Env": {"DB_PASSWORD": "[redacted]", "MODE": "fast"}}`,
		`{"SecretID": "x\"y", "Secrets": 4}`:                          `{"SecretID": "[redacted]", "Secrets": 4}`,
		`"aws_access_key_id":"AKIA"`:                                  `"aws_access_key_id":"[redacted]"`,
		`"api-key" : "k"`:                                             `"api-key" : "[redacted]"`,
		`"note": "the s3cr3t-value is here"`:                          `"note": "the [redacted] is here"`,
		`"SMTP_PASS": "x", "PASSENGER": "y"`:                          `"SMTP_PASS": "[redacted]", "PASSENGER": "y"`,
		`"passphrase": "x"`:                                           `"passphrase": "[redacted]"`,
		`"SSH_KEY": "x", "SSH_PUBLIC_KEY": "y", "MONKEY": "z"`:        `"SSH_KEY": "[redacted]", "SSH_PUBLIC_KEY": "y", "MONKEY": "z"`,
		`"DSN": "postgres://ann:hunter2@db:5432/x?a=b"`:               `"DSN": "postgres://ann:[redacted]@db:5432/x?a=b"`,
		`"EmbeddedTmpl": "user=a\npass=\"b\"", "DestPath": "local/x"`: `"EmbeddedTmpl": "[redacted]", "DestPath": "local/x"`,
		`"url": "https://nomad.example:4646/v1/jobs"`:                 `"url": "https://nomad.example:4646/v1/jobs"`,
		`"Token": ""`:            `"Token": ""`,
		`"Name": "token-server"`: `"Name": "token-server"`,
	} {
		if got := r.CleanJSON(in); got != want {
			t.Errorf("%s became %s", in, got)
		}
	}
}
