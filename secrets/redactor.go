package secrets

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// minKnown is the shortest secret that a Redactor looks for: masking every
// occurrence of "a" would hide nothing and make all text unreadable.
const minKnown = 6

const uuidPattern = `[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`

// What looks like a credential even when nobody told the Redactor about it.
// A UUID alone is an allocation or a node far more often than a Nomad token,
// so it is masked only after a word that says token.
var (
	vaultToken  = regexp.MustCompile(`\bhv[sbr]\.[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9]+)?`)
	legacyToken = regexp.MustCompile(`\b[sbr]\.[A-Za-z0-9]{24}(\.[A-Za-z0-9]{5,})?\b`)
	jwt         = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`)
	userinfo    = regexp.MustCompile(`\b([a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@"']*:)[^\s/@"']+@`) // postgres://user:password@host
	nomadToken  = regexp.MustCompile(`(?i)((?:token|secret[_-]?id|bearer)[\\"']*\s*[:=]?\s*\[?[\\"']*)` + uuidPattern)
)

// Redactor masks the secrets that it was told and what looks like a token of
// Vault or Nomad. It is a net below the Secret type, for text that others made:
// error bodies, logs of tasks, command lines. The zero value is ready to use.
type Redactor struct {
	mu    sync.RWMutex
	known []string // every spelling of every known secret, longest first
	mask  *strings.Replacer
}

// NewRedactor knows the given secrets from the start.
func NewRedactor(known ...Secret) *Redactor {
	r := new(Redactor)
	r.Add(known...)
	return r
}

// Add makes the Redactor know more secrets, each also as JSON, URL query, hex
// and base64 spell it. Secrets under six bytes are not looked for.
func (r *Redactor) Add(known ...Secret) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range known {
		if len(s.Bytes()) < minKnown || slices.Contains(r.known, s.Reveal()) {
			continue
		}
		for _, form := range spellings(s.Bytes()) {
			if !slices.Contains(r.known, form) {
				r.known = append(r.known, form)
			}
		}
	}
	// A secret can begin with another one: the longer must win.
	slices.SortFunc(r.known, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	pairs := make([]string, 0, 2*len(r.known))
	for _, form := range r.known {
		pairs = append(pairs, form, Redacted)
	}
	r.mask = strings.NewReplacer(pairs...)
}

// Watch passes on what a source of secrets gives, and knows it from then on:
// also a token that takes the place of an earlier one.
func (r *Redactor) Watch(source func(context.Context) (Secret, error)) func(context.Context) (Secret, error) {
	return func(ctx context.Context) (Secret, error) {
		s, err := source(ctx)
		r.Add(s)
		return s, err
	}
}

func spellings(b []byte) []string {
	text := string(b)
	forms := []string{
		text, url.QueryEscape(text), url.PathEscape(text), hex.EncodeToString(b),
		// Without padding: the padded spelling contains it, so one form masks both.
		base64.RawStdEncoding.EncodeToString(b), base64.RawURLEncoding.EncodeToString(b),
	}
	if quoted, err := json.Marshal(text); err == nil {
		forms = append(forms, string(quoted[1:len(quoted)-1]))
	}
	return forms
}

// Clean masks secrets in text.
func (r *Redactor) Clean(text string) string {
	r.mu.RLock()
	mask := r.mask
	r.mu.RUnlock()
	if mask != nil {
		text = mask.Replace(text)
	}
	text = vaultToken.ReplaceAllLiteralString(text, Redacted)
	text = legacyToken.ReplaceAllLiteralString(text, Redacted)
	text = jwt.ReplaceAllLiteralString(text, Redacted)
	text = userinfo.ReplaceAllString(text, "${1}"+Redacted+"@")
	return nomadToken.ReplaceAllString(text, "${1}"+Redacted)
}

// field is one of JSON with a text.
var field = regexp.MustCompile(`"([A-Za-z0-9_.-]+)"(\s*:\s*)"(?:[^"\\]|\\.)+"`)

// telling are parts of names, and ending ends of them, that say that what stands
// there is a secret. A template may hold any: it is written into the job to be
// filled in beside them.
var (
	telling = regexp.MustCompile(`(?i)passw(or)?d|passphrase|secret|token|api_?-?key|private_?-?key|credential|access_?-?key|^embeddedtmpl$`)
	ending  = regexp.MustCompile(`(?i)(^|[_.-])(pass|pwd|key)$`)
	public  = regexp.MustCompile(`(?i)pub(lic)?[_.-]?key$`)
)

// CleanJSON is Clean for JSON that others made, such as the specification of a
// job: the text of each field whose name says that it is a secret is masked, too.
func (r *Redactor) CleanJSON(text string) string {
	return field.ReplaceAllStringFunc(r.Clean(text), func(found string) string {
		m := field.FindStringSubmatch(found)
		if name := m[1]; !telling.MatchString(name) && (!ending.MatchString(name) || public.MatchString(name)) {
			return found
		}
		return `"` + m[1] + `"` + m[2] + `"` + Redacted + `"`
	})
}
