package theme

import (
	"image/color"

	"github.com/charmbracelet/x/ansi"
)

// Shade is what one half of a map's cell is filled with: a step of the ramp, or
// one of those below.
type Shade uint8

// The shades beside the steps of the ramp.
const (
	Dim     Shade = HeatLevels + iota // nothing new is known of it
	Nothing                           // no work: the terminal's own background
	shades
)

// Halves draws two shades in one cell, one above the other; ok is false where a
// theme has no colours to tell them apart, or no glyph.
func (t *Theme) Halves(top, bottom Shade) (glyph string, st Style, ok bool) {
	if t.halves == nil || t.G.Upper == "" {
		return "", Style{}, false
	}
	switch {
	case top == Nothing && bottom == Nothing:
		return t.G.Free, t.Faint, true
	case top == bottom:
		return t.G.Full, t.shade(top), true
	case top == Nothing:
		return t.G.Lower, t.shade(bottom), true
	case bottom == Nothing:
		return t.G.Upper, t.shade(top), true
	}
	return t.G.Upper, t.halves[top][bottom], true
}

func (t *Theme) shade(s Shade) Style {
	if s == Dim {
		return t.Faint
	}
	return t.Heat[s]
}

// pairs makes the styles of two shades in one cell.
func pairs(heat [HeatLevels]color.Color, dim color.Color) *[shades][shades]Style {
	colours := append(heat[:len(heat):len(heat)], dim)
	var out [shades][shades]Style
	for i, top := range colours {
		for j, bottom := range colours {
			var s ansi.Style
			out[i][j] = Style{on: s.ForegroundColor(top).BackgroundColor(bottom).String()}
		}
	}
	return &out
}
