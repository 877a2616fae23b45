package theme

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Own is a theme of the user's: colours over those of a built-in one. How well
// they are told apart is the user's business.
type Own struct {
	Base    string  `yaml:"base"` // dark unless set
	Colours colours `yaml:"colours"`
}

// Same says that two look alike.
func (o Own) Same(other Own) bool { return reflect.DeepEqual(o, other) }

// colours are the roles that can be given another colour; nil leaves the base's.
type colours struct {
	Text    *colour   `yaml:"text"`
	Muted   *colour   `yaml:"muted"`
	Faint   *colour   `yaml:"faint"`
	Accent  *colour   `yaml:"accent"`
	OK      *colour   `yaml:"ok"`
	Warn    *colour   `yaml:"warn"`
	Bad     *colour   `yaml:"bad"`
	Unknown *colour   `yaml:"unknown"`
	SelText *colour   `yaml:"selected_text"`
	SelBack *colour   `yaml:"selected_back"`
	Border  *colour   `yaml:"border"`
	Title   *colour   `yaml:"title"`
	Key     *colour   `yaml:"key"`
	Heat    []*colour `yaml:"heat"` // from idle to full
}

// colour is one, as it is written: "#rrggbb", a number of the 256, one of the
// terminal's sixteen by name, or "default", which is the terminal's own.
type colour struct{ color.Color }

// UnmarshalYAML reads it and says the line when it is none.
func (c *colour) UnmarshalYAML(n ast.Node) error {
	text := strings.Trim(n.String(), `"' `)
	parsed, err := parseColour(text)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.GetToken().Position.Line, err)
	}
	c.Color = parsed
	return nil
}

var hexColour = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

func sixteenNames() []string {
	return []string{
		"black", "red", "green", "yellow", "blue", "magenta", "cyan", "white",
		"bright-black", "bright-red", "bright-green", "bright-yellow", "bright-blue", "bright-magenta", "bright-cyan", "bright-white",
	}
}

func parseColour(text string) (color.Color, error) {
	if hexColour.MatchString(text) {
		n, err := strconv.ParseUint(text[1:], 16, 32)
		return rgb(uint32(n)), err //nolint:gosec // six digits
	}
	if n, err := strconv.ParseUint(text, 10, 8); err == nil {
		return ansi.IndexedColor(n), nil
	}
	if text == "default" {
		return nil, nil
	}
	if i := slices.Index(sixteenNames(), text); i >= 0 {
		return ansi.BasicColor(i), nil //nolint:gosec // below 16
	}
	return nil, fmt.Errorf("%q is no colour: \"#rrggbb\", 0 to 255, default, or one of %s", text, strings.Join(sixteenNames(), ", "))
}

// Parse reads a theme of the user's. An error says the line.
func Parse(raw []byte) (Own, error) {
	var o Own
	if len(bytes.TrimSpace(raw)) > 0 {
		if err := yaml.UnmarshalWithOptions(raw, &o, yaml.Strict()); err != nil {
			return Own{}, errors.New(strings.TrimSpace(yaml.FormatError(err, false, false)))
		}
	}
	switch o.Base {
	case "":
		o.Base = Dark
	case Dark, Light, ColourBlind, Sixteen:
	default:
		return Own{}, fmt.Errorf("base %q is none of %s", o.Base, strings.Join([]string{Dark, Light, ColourBlind, Sixteen}, ", "))
	}
	if n := len(o.Colours.Heat); n != 0 && n != HeatLevels {
		return Own{}, fmt.Errorf("heat has %d colours, from idle to full, not %d", HeatLevels, n)
	}
	for _, c := range o.Colours.Heat {
		if c == nil || c.Color == nil {
			return Own{}, errors.New("heat: each of its colours must be one")
		}
	}
	return o, nil
}

// Theme makes it, under the name that the user gave it.
func (o Own) Theme(name string, asciiOnly bool) Theme {
	p := palettes()[o.Base]
	c := o.Colours
	for into, from := range map[*color.Color]*colour{
		&p.text: c.Text, &p.muted: c.Muted, &p.faint: c.Faint, &p.accent: c.Accent, &p.ok: c.OK, &p.warn: c.Warn, &p.bad: c.Bad,
		&p.unknown: c.Unknown, &p.selFg: c.SelText, &p.selBg: c.SelBack, &p.border: c.Border, &p.title: c.Title, &p.key: c.Key,
	} {
		if from != nil {
			*into = from.Color
		}
	}
	for i, from := range c.Heat {
		p.heat[i] = from.Color
	}
	t := blank(name, asciiOnly)
	t.paint(p)
	return t
}
