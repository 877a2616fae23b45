package theme

// Glyphs are the signs beside words. Each is one cell wide.
type Glyphs struct {
	OK, Warn, Bad, Unknown, Off, Busy string             // states
	Free, Failed                      string             // a GPU without work, one that must not get any
	Idle, Rogue, Closed               string             // held without work, used by nobody who holds it, not to be had
	Upper, Lower                      string             // half blocks; none in ASCII
	Level                             [HeatLevels]string // of utilisation, where a cell has room for one sign
	Arrow, Enter, Select, Ellipsis    string
	Mark                              string // a row that is marked
	Up, Down                          string // sort order
	H, V, TL, TR, BL, BR              string // frames
	Full, Part, Empty                 string // meters
	None                              string // an unknown number
	Block                             string // the caret of an input
	Degree                            string // "°C"
	Spark                             [8]string
}

// Unicode is the set for terminals with a UTF-8 locale.
func Unicode() Glyphs {
	return Glyphs{
		OK: "●", Warn: "▲", Bad: "✖", Unknown: "?", Off: "○", Busy: "◐",
		Free: "·", Failed: "✖", Idle: "○", Rogue: "◆", Closed: "◌",
		Upper: "▀", Lower: "▄", Level: [HeatLevels]string{"▁", "▂", "▄", "▆", "█"},
		Arrow: "▸", Enter: "⏎", Select: "▌", Mark: "◆", Ellipsis: "…", Up: "▴", Down: "▾",
		H: "─", V: "│", TL: "╭", TR: "╮", BL: "╰", BR: "╯",
		Full: "█", Part: "▒", Empty: "░", None: "–", Block: "█", Degree: "°C",
		Spark: [8]string{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"},
	}
}

// ASCII is the set for everything else.
func ASCII() Glyphs {
	return Glyphs{
		OK: "*", Warn: "!", Bad: "X", Unknown: "?", Off: "o", Busy: "~",
		Free: ".", Failed: "X", Idle: "o", Rogue: "R", Closed: "c",
		Level: [HeatLevels]string{"1", "3", "5", "7", "9"}, // tens of percent
		Arrow: ">", Enter: "enter", Select: ">", Mark: "+", Ellipsis: "~", Up: "^", Down: "v",
		H: "-", V: "|", TL: "+", TR: "+", BL: "+", BR: "+",
		Full: "#", Part: "=", Empty: ".", None: "-", Block: "_", Degree: "C",
		Spark: [8]string{"_", "_", ".", "-", "-", "=", "+", "#"},
	}
}
