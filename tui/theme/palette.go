package theme

import (
	"image/color"

	"github.com/charmbracelet/x/ansi"
)

// palette is the colours of one theme; a nil colour is the terminal's own.
type palette struct {
	text, muted, faint, accent color.Color
	ok, warn, bad, unknown     color.Color
	selFg, selBg               color.Color
	border, title, key         color.Color
	heat                       [HeatLevels]color.Color
}

func rgb(hex uint32) color.Color {
	return color.RGBA{R: uint8(hex >> 16), G: uint8(hex >> 8), B: uint8(hex), A: 0xff}
}

func darkPalette() palette {
	return palette{
		text: nil, muted: rgb(0x9aa5b1), faint: rgb(0x667280), accent: rgb(0x6cb6ff),
		ok: rgb(0x6bc46d), warn: rgb(0xe3b341), bad: rgb(0xff6b63), unknown: rgb(0x8b98a5),
		selFg: rgb(0xf2f5f8), selBg: rgb(0x2d4159),
		border: rgb(0x465260), title: rgb(0xe6edf3), key: rgb(0x6cb6ff),
		heat: [HeatLevels]color.Color{rgb(0x566779), rgb(0x4f8aa8), rgb(0x4fa7b8), rgb(0x66c7bd), rgb(0x9be3c4)},
	}
}

func lightPalette() palette {
	return palette{
		text: nil, muted: rgb(0x57606a), faint: rgb(0x8a949e), accent: rgb(0x0a5fc2),
		ok: rgb(0x1a7f37), warn: rgb(0x8f5f00), bad: rgb(0xc4211d), unknown: rgb(0x6e7781),
		selFg: rgb(0x0b1f33), selBg: rgb(0xcfe3fb),
		border: rgb(0xb6bec7), title: rgb(0x1f2328), key: rgb(0x0a5fc2),
		heat: [HeatLevels]color.Color{rgb(0x9aa7b4), rgb(0x5f94b5), rgb(0x2f84a3), rgb(0x127187), rgb(0x005a63)},
	}
}

// blindPalette keeps apart what red-green blindness mixes up: blue is well,
// yellow is a warning, vermilion is bad, and they differ in lightness too.
func blindPalette() palette {
	p := darkPalette()
	p.ok, p.warn, p.bad, p.accent, p.key = rgb(0x56b4e9), rgb(0xf0e442), rgb(0xff7a1a), rgb(0xcc9ad8), rgb(0xcc9ad8)
	p.heat = [HeatLevels]color.Color{rgb(0x56616d), rgb(0x5f7d96), rgb(0x6797bb), rgb(0x7bb6e2), rgb(0xb5dcf8)}
	return p
}

func sixteenPalette() palette {
	return palette{
		muted: nil, faint: ansi.BrightBlack, accent: ansi.Cyan,
		ok: ansi.Green, warn: ansi.Yellow, bad: ansi.Red, unknown: ansi.BrightBlack,
		selFg: ansi.Black, selBg: ansi.Cyan,
		border: ansi.BrightBlack, title: nil, key: ansi.Cyan,
		heat: [HeatLevels]color.Color{ansi.BrightBlack, ansi.Blue, ansi.Cyan, ansi.BrightCyan, ansi.BrightWhite},
	}
}

func fg(c color.Color, more ...func(ansi.Style) ansi.Style) Style {
	var s ansi.Style
	if c != nil {
		s = s.ForegroundColor(c)
	}
	for _, m := range more {
		s = m(s)
	}
	if len(s) == 0 {
		return Style{}
	}
	return Style{on: s.String()}
}

func bold(s ansi.Style) ansi.Style  { return s.Bold() }
func faint(s ansi.Style) ansi.Style { return s.Faint() }

func (t *Theme) paint(p palette) {
	t.Styles = Styles{
		Text: fg(p.text), Muted: fg(p.muted), Faint: fg(p.faint), Accent: fg(p.accent),
		OK: fg(p.ok), Warn: fg(p.warn), Bad: fg(p.bad, bold), Unknown: fg(p.unknown),
		Selected: fg(p.selFg, func(s ansi.Style) ansi.Style { return s.BackgroundColor(p.selBg) }),
		Border:   fg(p.border), Title: fg(p.title, bold), Key: fg(p.key, bold),
	}
	for i, c := range p.heat {
		t.Heat[i] = fg(c)
	}
	t.halves = pairs(p.heat, p.faint)
	t.AccentColor, t.MutedColor = p.accent, p.muted
}

// plainStyles uses no colour: NO_COLOR leaves bold, faint and reverse.
func plainStyles() Styles {
	s := Styles{
		Faint: fg(nil, faint), Bad: fg(nil, bold), Unknown: fg(nil, faint), Border: fg(nil, faint),
		Title: fg(nil, bold), Key: fg(nil, bold),
		Selected: fg(nil, func(s ansi.Style) ansi.Style { return s.Reverse(true) }),
	}
	s.Heat[0] = fg(nil, faint)
	return s
}
