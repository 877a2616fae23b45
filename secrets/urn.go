package secrets

import (
	"fmt"
	"regexp"
	"strings"
)

const urnPrefix = "urn:stoker:model:"

// urnPart is the rule for both the name and the version. It is strict because
// both also become folder names, Nomad meta values and Transit contexts: the
// first character keeps "." and ".." out, and nothing needs escaping anywhere.
var urnPart = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,62}$`)

// URN names one model artifact: urn:stoker:model:<name>:<version>. It is
// comparable; a URN other than the zero value is always valid.
type URN struct{ name, version string }

// NewURN checks the two parts and makes a URN of them.
func NewURN(name, version string) (URN, error) {
	if !urnPart.MatchString(name) {
		return URN{}, fmt.Errorf("model name %q: use 1 to 63 letters, digits, dots, underscores, plus or minus signs, starting with a letter or digit", name)
	}
	if !urnPart.MatchString(version) {
		return URN{}, fmt.Errorf("model version %q: use 1 to 63 letters, digits, dots, underscores, plus or minus signs, starting with a letter or digit", version)
	}
	return URN{name: name, version: version}, nil
}

// ParseURN reads what String prints, and nothing else: no case folding, no
// percent escapes, no surrounding space. One artifact has exactly one URN.
func ParseURN(s string) (URN, error) {
	rest, ok := strings.CutPrefix(s, urnPrefix)
	if !ok {
		return URN{}, fmt.Errorf("model URN %q: want %s<name>:<version>", s, urnPrefix)
	}
	name, version, ok := strings.Cut(rest, ":")
	if !ok {
		return URN{}, fmt.Errorf("model URN %q: the version is missing, want %s<name>:<version>", s, urnPrefix)
	}
	u, err := NewURN(name, version)
	if err != nil {
		return URN{}, fmt.Errorf("model URN %q: %w", s, err)
	}
	return u, nil
}

// Name is the model's name.
func (u URN) Name() string { return u.name }

// Version is the model's version.
func (u URN) Version() string { return u.version }

// IsZero reports whether u names nothing.
func (u URN) IsZero() bool { return u == URN{} }

// Equal compares; go-cmp uses it.
func (u URN) Equal(other URN) bool { return u == other }

// String is the URN in full, or empty for the zero value.
func (u URN) String() string {
	if u.IsZero() {
		return ""
	}
	return urnPrefix + u.name + ":" + u.version
}

// MarshalText gives String.
func (u URN) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText is ParseURN; empty text is the zero value.
func (u *URN) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*u = URN{}
		return nil
	}
	parsed, err := ParseURN(string(text))
	if err != nil {
		return err
	}
	*u = parsed
	return nil
}
