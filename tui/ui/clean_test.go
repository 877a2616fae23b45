package ui

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

func TestCleanKeepsWhatPeopleWrite(t *testing.T) {
	for in, want := range map[string]string{
		"gpu-a":                      "gpu-a",
		"\x1b]0;title\ax\x1b[31mred": "xred",
		"bell\a \u009b31m":           "bell 31m",
		"é 日本 ✖":                     "é 日本 ✖",
		"Größe 5 µm, 100 °C – ≥":     "Größe 5 µm, 100 °C – ≥",
		"日本語":                        "日本語",
		"e\u0301":                    "e\u0301",
		"שלום":                       "שלום",
		"한국어":                        "한국어",
		"👩‍👩‍👧":                      "👩👩👧",
		"🇩🇪":                         "DE",
		"👍🏽":                         "👍",
		"a\u202eb":                   "ab",
		"a\x1b[31mb\tc\nd":           "ab c d",
		"\xff":                       "\uFFFD",
		"\u0301x":                    "\uFFFDx",
	} {
		if got := Clean(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
	heap := "Z" + strings.Repeat("\u0351", 2000)
	if got := Clean(heap); got != "Z" {
		t.Errorf("%d bytes of marks stay on a letter", len(got))
	}
}

// TestLoneRunes: those that are not looked at twice are what they are taken for.
func TestLoneRunes(t *testing.T) {
	for r := rune(' '); r <= unicode.MaxRune; r++ {
		if c := string(r); lone(r) && unicode.IsPrint(r) && !sure(c) && r != 0xad {
			t.Errorf("%U: %d and %d cells", r, ansi.StringWidth(c), ansi.StringWidthWc(c))
		}
	}
}

// FuzzClean: whatever comes, what is drawn moves nothing, is as wide as all
// terminals think, alone and beside other text, and fits where it is put.
func FuzzClean(f *testing.F) {
	for _, s := range []string{
		"", "gpu-a", "\x1b[2J\x1b]0;x\x07y", "日本\u0301", "🇩🇪🇩", "👩‍👩‍👧‍👦", "\u1100\u1161\u11a8", "\u0e33\u0bcd\u093f", "\u0d4ex", "\u0600\u0661", "\ufe0f1\u20e3",
		"\u202ea", "\xff\xc3\x28", "\u115f\u3164", "a\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308", "ﷺ", "\U000e0041", "\u009b5A", "\x9b5A", "\u2028",
	} {
		f.Add(s, 7)
	}
	f.Fuzz(func(t *testing.T, s string, w int) {
		got := Clean(s)
		for _, r := range got {
			if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) {
				t.Fatalf("%q leaves %U in %q", s, r, got)
			}
		}
		switch {
		case !utf8.ValidString(got):
			t.Fatalf("%q is not valid: %q", s, got)
		case Clean(got) != got:
			t.Fatalf("%q cleaned twice: %q, then %q", s, got, Clean(got))
		}
		cells := Width(got)
		for _, around := range [][2]string{{"", ""}, {"x", "x"}, {"日", "日"}, {"│ ", " │"}, {"\x1b[31m", "\x1b[m"}} {
			line := around[0] + got + around[1]
			want := cells + Width(around[0]) + Width(around[1])
			if a, b := ansi.StringWidth(line), ansi.StringWidthWc(line); a != want || b != want {
				t.Fatalf("%q between %q: %d and %d cells, want %d", got, around, a, b, want)
			}
		}
		w = max(min(w, 300), -1)
		for _, fit := range []string{Fit(got, w), FitRight(got, w), Fit("\x1b[1m"+got+"\x1b[m", w)} {
			if a, b := ansi.StringWidth(fit), ansi.StringWidthWc(fit); a != max(w, 0) || b != max(w, 0) {
				t.Fatalf("%q in %d cells: %d and %d: %q", got, w, a, b, fit)
			}
		}
		for _, l := range Wrap(got, w) {
			if Width(l) > max(w, 2) {
				t.Fatalf("%q wrapped at %d: %q", got, w, l)
			}
		}
	})
}
