// Package theme turns a palette into styles and glyphs. Colours appear here
// and nowhere else: a screen asks for a role ("bad", "muted"), never a colour.
//
// There are five palettes: dark, light, colour-blind (blue and orange instead
// of green and red), 16 (the terminal's own colours) and none (NO_COLOR: only
// bold, faint and reverse). Each works with the Unicode or the ASCII glyphs.
//
// A Style is a ready escape sequence around plain text. It is a value, costs
// one concatenation to apply and does not nest: style a text after it was
// fitted, and use Selected instead of, never around, another style. The
// terminal's colour depth is the renderer's business: it downsamples.
package theme
