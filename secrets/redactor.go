package secrets

import (
	"bytes"
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
		if len(s.Bytes()) < minKnown {
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
	return nomadToken.ReplaceAllString(text, "${1}"+Redacted)
}

// CleanError keeps the chain of err for errors.Is and errors.As, but its text
// is clean. It returns nil for nil.
func (r *Redactor) CleanError(err error) error {
	if err == nil {
		return nil
	}
	return &cleanError{text: r.Clean(err.Error()), err: err}
}

type cleanError struct {
	text string
	err  error
}

func (e *cleanError) Error() string { return e.text }
func (e *cleanError) Unwrap() error { return e.err }

// maxLine bounds what a writer keeps back while it waits for the end of a line.
const maxLine = 64 << 10

// Writer passes whole lines on to w, cleaned, so that a secret cannot slip
// through cut in two. Close passes on an unfinished last line; it does not close w.
func (r *Redactor) Writer(w interface{ Write([]byte) (int, error) }) *LineWriter {
	return &LineWriter{r: r, w: w}
}

// LineWriter is what Redactor.Writer makes. It is safe for concurrent use.
type LineWriter struct {
	mu   sync.Mutex
	r    *Redactor
	w    interface{ Write([]byte) (int, error) }
	rest []byte
}

// Write keeps an unfinished last line back, up to 64 KiB.
func (l *LineWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	end := bytes.LastIndexByte(l.rest, '\n') + 1
	if end == 0 && len(l.rest) < maxLine {
		return len(p), nil
	}
	if end == 0 {
		end = len(l.rest)
	}
	if err := l.pass(end); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close passes on what is left.
func (l *LineWriter) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pass(len(l.rest))
}

func (l *LineWriter) pass(end int) error {
	if end == 0 {
		return nil
	}
	text := l.r.Clean(string(l.rest[:end]))
	l.rest = append(l.rest[:0], l.rest[end:]...)
	_, err := l.w.Write([]byte(text))
	return err
}
