package secrets

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what stands in place of a secret wherever one would be printed.
const Redacted = "[redacted]"

// Secret holds bytes that must not be shown: a token or a plaintext key. Every
// way of printing it gives [redacted]; only Reveal and Bytes give the content.
// Copies share the bytes, so Wipe empties all of them. The zero Secret is empty.
type Secret struct {
	// A closure, not a pointer: neither fmt, when the Secret is an unexported
	// field whose methods it may not call, nor a dumper that follows pointers
	// by reflection can look into a closure.
	box func() *[]byte
}

// New makes a Secret of text, for example a token. The text itself stays in
// memory as long as its owner keeps it.
func New(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return FromBytes([]byte(text))
}

// FromBytes makes a Secret that owns b: the caller must not use b afterwards.
func FromBytes(b []byte) Secret {
	return Secret{box: func() *[]byte { return &b }}
}

// Reveal gives the content as a string, a copy that Wipe does not reach.
func (s Secret) Reveal() string { return string(s.Bytes()) }

// Bytes gives the content itself, not a copy: it is valid until Wipe.
func (s Secret) Bytes() []byte {
	if s.box == nil {
		return nil
	}
	return *s.box()
}

// Empty reports whether there is no content, either from the start or by Wipe.
func (s Secret) Empty() bool { return len(s.Bytes()) == 0 }

// Equal compares in constant time. It also keeps go-cmp out of the content.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare(s.Bytes(), other.Bytes()) == 1
}

// Wipe overwrites the content with zeros and forgets it, in every copy. It
// cannot reach copies that Reveal or a client library made.
func (s Secret) Wipe() {
	if s.box == nil {
		return
	}
	p := s.box()
	clear(*p)
	*p = nil
}

// Format prints [redacted] for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// String is [redacted].
func (s Secret) String() string { return Redacted }

// GoString is [redacted].
func (s Secret) GoString() string { return Redacted }

// MarshalText is [redacted]; encoders of JSON object keys, XML and YAML use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON is "[redacted]".
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalBinary is [redacted], so that encoding/gob carries no content either.
func (s Secret) MarshalBinary() ([]byte, error) { return []byte(Redacted), nil }

// LogValue is [redacted].
func (s Secret) LogValue() slog.Value { return slog.StringValue(Redacted) }
