package ui

import "strings"

// Filter keeps rows by their text: every word must be in it, and none that
// begins with "!". Case does not matter. The zero value keeps all.
type Filter struct {
	text string
	want []string
	not  []string
}

// ParseFilter reads what was typed.
func ParseFilter(text string) Filter {
	f := Filter{text: strings.TrimSpace(text)}
	for _, w := range strings.Fields(strings.ToLower(text)) {
		switch not, isNot := strings.CutPrefix(w, "!"); {
		case isNot && not != "":
			f.not = append(f.not, not)
		case !isNot:
			f.want = append(f.want, w)
		}
	}
	return f
}

// Empty reports a filter that keeps all.
func (f Filter) Empty() bool { return len(f.want) == 0 && len(f.not) == 0 }

// String is what was typed.
func (f Filter) String() string { return f.text }

// Match reports whether a row with this text stays.
func (f Filter) Match(text string) bool {
	if f.Empty() {
		return true
	}
	text = strings.ToLower(text)
	for _, w := range f.want {
		if !strings.Contains(text, w) {
			return false
		}
	}
	for _, w := range f.not {
		if strings.Contains(text, w) {
			return false
		}
	}
	return true
}
