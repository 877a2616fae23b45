package scenarios

import (
	"errors"
	"fmt"
	"strings"
)

// template is a text with ${expressions}. $${ is a ${ that stands for itself.
type template struct {
	text  string
	parts []piece
	pos   Position
}

type piece struct {
	text  string
	value *program // nil for plain text
}

func (s *scope) template(text string) (*template, error) {
	t := &template{text: text}
	rest := text
	plain := func(s string) {
		if s != "" {
			t.parts = append(t.parts, piece{text: s})
		}
	}
	for {
		i := strings.Index(rest, "${")
		if i < 0 {
			plain(rest)
			return t, nil
		}
		if i > 0 && rest[i-1] == '$' {
			plain(rest[:i-1] + "${")
			rest = rest[i+2:]
			continue
		}
		plain(rest[:i])
		end := closing(rest[i+2:])
		if end < 0 {
			return nil, fmt.Errorf("${ without its }, in %q (write $${ for a ${ that means itself)", text)
		}
		p, err := s.compile(rest[i+2 : i+2+end])
		if err != nil {
			return nil, err
		}
		t.parts = append(t.parts, piece{value: p})
		rest = rest[i+2+end+1:]
	}
}

// closing finds the brace that ends an expression, past braces and strings in it.
func closing(s string) int {
	depth := 0
	var quote byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote != 0:
			if c == '\\' && quote != '`' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'' || c == '`':
			quote = c
		case c == '{':
			depth++
		case c == '}' && depth == 0:
			return i
		case c == '}':
			depth--
		}
	}
	return -1
}

// static says that the text has no expressions.
func (t *template) static() (string, bool) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.value != nil {
			return "", false
		}
		b.WriteString(p.text)
	}
	return b.String(), true
}

// errUnknown is an expression without a value, where one is needed.
var errUnknown = errors.New("is unknown")

// render fills in the values; one that is unknown is an error.
func (t *template) render(w *sight) (string, error) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.value == nil {
			b.WriteString(p.text)
			continue
		}
		w.late = nil
		v, err := w.run(p.value)
		switch {
		case len(w.late) > 0:
			return "", fmt.Errorf("%s %w: %s", p.value.text, errUnknown, strings.Join(w.late, "; "))
		case err != nil && strings.Contains(err.Error(), "nil>"), err == nil && isNothing(v):
			return "", fmt.Errorf("%s %w", p.value.text, errUnknown)
		case err != nil:
			return "", fmt.Errorf("%s: %s", p.value.text, plain(err))
		}
		b.WriteString(word(v))
	}
	return b.String(), nil
}

// describe fills in the values for a person: what is unknown is a dash.
func (t *template) describe(w *sight) string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.value == nil {
			b.WriteString(p.text)
			continue
		}
		v, err := w.run(p.value)
		if err != nil || isNothing(v) {
			b.WriteString(None)
			continue
		}
		if s, ok := v.(string); ok {
			b.WriteString(s)
		} else if f, ok := v.(float64); ok {
			fmt.Fprintf(&b, "%.4g", f)
		} else {
			b.WriteString(show(v, nil))
		}
	}
	return clean(b.String())
}
