package theme

import (
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Plain makes a function that leaves nothing but ASCII in what was drawn. The signs
// inside numbers and sentences become like ones; what is in names that come from
// elsewhere becomes a ? for each cell, and a mark on a letter goes. It keeps every
// width, since what is drawn is clean: all agree on the width of each of its runes.
func Plain() func(string) string {
	signs := strings.NewReplacer("–", "-", "…", "~", "°C", " C", "·", ".", "≥", ">", "≈", "~", "≤", "<", "×", "x", "→", ">", "←", "<", "↑", "^", "↓", "v")
	return func(s string) string { return unknown(signs.Replace(s)) }
}

// unknown puts ? for all that is not ASCII.
func unknown(s string) string {
	at := strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
	if at < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	b.WriteString(s[:at])
	for _, r := range s[at:] {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
			continue
		}
		for range ansi.StringWidthWc(string(r)) {
			b.WriteByte('?')
		}
	}
	return b.String()
}
