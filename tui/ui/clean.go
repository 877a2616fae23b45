package ui

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// mostRunes bounds what one character may be made of: marks can be heaped on a
// letter without end. No writing needs more.
const mostRunes = 8

// Plain is a line that was drawn, without its styles.
func Plain(line string) string { return ansi.Strip(line) }

// Clean makes remote text safe to draw on one line: escape sequences go, tabs
// and line breaks become a space, and control, bidirectional and invisible
// characters go, since they move the cursor or hide what is really there. What
// terminals do not agree on the width of is taken apart or replaced: a line that
// is too long on some of them breaks the picture there.
func Clean(s string) string {
	if plain(s) {
		return s
	}
	s = ansi.Strip(strings.ToValidUTF8(s, "\uFFFD"))
	var b strings.Builder
	b.Grow(len(s))
	simple := true
	for _, r := range s {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029' || r == '\u0085':
			b.WriteByte(' ')
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
		case r >= 0x1f1e6 && r <= 0x1f1ff: // half a flag: "DE" instead
			b.WriteByte(byte('A' + r - 0x1f1e6))
		case r >= 0x1f3fb && r <= 0x1f3ff: // the colour of a skin
		case r == '\u0e33': // Thai am is a mark and a letter to some, and both to others
			b.WriteString("\u0e4d\u0e32")
			simple = false
		case r == '\u0eb3': // Lao am
			b.WriteString("\u0ecd\u0eb2")
			simple = false
		default:
			simple = simple && lone(r)
			b.WriteRune(r)
		}
	}
	if simple {
		return b.String()
	}
	return agreed(b.String())
}

// lone tells runes that stand for themselves beside any other, and of whose width
// there is no doubt: those of most names.
func lone(r rune) bool {
	for _, of := range [...][2]rune{
		{0, 0x2ff},
		{0x370, 0x482},
		{0x48a, 0x58f},
		{0x5d0, 0x5f4},
		{0x2010, 0x20cf},
		{0x2100, 0x2bff},
		{0x2e80, 0x3029},
		{0x3030, 0x3098},
		{0x309b, 0xa4cf},
		{0xac00, 0xd7a3},
		{0xf900, 0xfaff},
		{0xff01, 0xff60},
	} {
		if r <= of[1] {
			return r >= of[0]
		}
	}
	return false
}

// agreed keeps the characters on whose width all agree, on their own and beside
// others.
func agreed(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for len(s) > 0 {
		c := cluster(s)
		s = s[len(c):]
		if !sure(c) {
			c = first(c)
		}
		b.WriteString(c)
	}
	out := b.String()
	if ansi.StringWidth(out) == ansi.StringWidthWc(out) && agreedAgain(out) {
		return out
	}
	return strings.Map(func(r rune) rune { // taken apart, they join in other ways
		if r >= 0x300 {
			return '?'
		}
		return r
	}, out)
}

// agreedAgain says that nothing would be taken apart a second time.
func agreedAgain(s string) bool {
	for len(s) > 0 {
		c := cluster(s)
		if !sure(c) {
			return false
		}
		s = s[len(c):]
	}
	return true
}

// cluster is the first character, with all that belongs to it.
func cluster(s string) string {
	c, _ := ansi.FirstGraphemeCluster(s, ansi.GraphemeWidth)
	return c
}

// sure says that all agree on a character's width, and that it joins neither what
// stands before it nor what comes after.
func sure(c string) bool {
	if len(c) == 1 {
		return true
	}
	return utf8.RuneCountInString(c) <= mostRunes && ansi.StringWidth(c) == ansi.StringWidthWc(c) &&
		cluster("x"+c) == "x" && cluster(c+"x") == c
}

// first is the first rune of a character, if that is sure.
func first(c string) string {
	r, _ := utf8.DecodeRuneInString(c)
	if one := string(r); sure(one) {
		return one
	}
	return "\uFFFD"
}

// plain says that there is nothing to clean, which is nearly always so: letters
// and signs that stand for themselves and can be printed, our own among them.
func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= ' ' && s[i] <= '~' {
			continue
		}
		if s[i] < utf8.RuneSelf {
			return false
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if n == 1 || r > 0x2bff || !lone(r) || !unicode.IsPrint(r) {
			return false
		}
		i += n - 1
	}
	return true
}
