package theme

import (
	"fmt"
	"image/color"
	"strings"

	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
)

// Style is the escape sequence that begins a role; the zero value is plain.
type Style struct{ on string }

// Render styles plain text of one line.
func (s Style) Render(text string) string {
	if s.on == "" || text == "" {
		return text
	}
	return s.on + text + ansi.ResetStyle
}

// Styles are the roles that text can have.
type Styles struct {
	Text, Muted, Faint, Accent Style
	OK, Warn, Bad, Unknown     Style
	Selected                   Style // a whole row, over plain text
	Border, Title, Key         Style
	// Heat is the ramp of utilisation, from idle to full. It is one hue: red
	// is kept for what somebody must act on.
	Heat [HeatLevels]Style
}

// HeatLevels is the number of steps of the utilisation ramp.
const HeatLevels = 5

// Theme is everything that decides how facts look.
type Theme struct {
	Name string
	Styles
	G Glyphs
	// Accent and Muted colours for libraries that want colours; nil in theme none.
	AccentColor, MutedColor color.Color

	halves *[shades][shades]Style // nil without colours
}

// The names of the palettes. Auto is dark until the terminal says that its
// background is light.
const (
	Auto        = "auto"
	Dark        = "dark"
	Light       = "light"
	ColourBlind = "colour-blind"
	Sixteen     = "16"
	None        = "none"
)

// Names lists what New takes.
func Names() []string { return []string{Auto, Dark, Light, ColourBlind, Sixteen, None} }

// palettes are those of the built-in themes with colours.
func palettes() map[string]palette {
	return map[string]palette{Auto: darkPalette(), Dark: darkPalette(), Light: lightPalette(), ColourBlind: blindPalette(), Sixteen: sixteenPalette()}
}

// blank is a theme without any style.
func blank(name string, asciiOnly bool) Theme {
	t := Theme{Name: name, G: Unicode()}
	if asciiOnly {
		t.G = ASCII()
	}
	return t
}

// New makes a built-in theme by its name; an empty name is Auto.
func New(name string, asciiOnly bool) (Theme, error) {
	if name == "" {
		name = Auto
	}
	t := blank(name, asciiOnly)
	if name == None {
		t.Styles = plainStyles()
		return t, nil
	}
	p, ok := palettes()[name]
	if !ok {
		return Theme{}, fmt.Errorf("no theme %q: take one of %s", name, strings.Join(Names(), ", "))
	}
	t.paint(p)
	return t, nil
}

// Choose picks what the environment asks for: NO_COLOR and terminals without
// colours get none, terminals with 16 colours get these. An explicit name wins
// over the number of colours, but not over NO_COLOR.
func Choose(name string, env []string) string {
	if get(env, "NO_COLOR") != "" {
		return None
	}
	if name != "" && name != Auto {
		return name
	}
	switch colorprofile.Env(env) {
	case colorprofile.NoTTY, colorprofile.ASCII:
		return None
	case colorprofile.ANSI:
		return Sixteen
	}
	return Auto
}

// WantsASCII reports a locale that is set and is not UTF-8.
func WantsASCII(env []string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(get(env, name)); v != "" {
			return !strings.Contains(v, "utf-8") && !strings.Contains(v, "utf8")
		}
	}
	return false
}

func get(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- { // the last one counts
		if v, ok := strings.CutPrefix(env[i], name+"="); ok {
			return v
		}
	}
	return ""
}
