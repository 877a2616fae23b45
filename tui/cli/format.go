package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/charmbracelet/x/ansi"
	"github.com/goccy/go-yaml"

	"stoker/cluster/facts"
	"stoker/tui/ui"
)

// formats are the values of -o.
var formats = []string{"table", "wide", "json", "yaml", "csv"}

// write prints rows in one of the formats.
func write(w io.Writer, format string, columns []facts.Column, rows []facts.Row, now time.Time) error {
	switch format {
	case "json":
		return writeJSON(w, columns, rows)
	case "yaml":
		return writeYAML(w, columns, rows)
	case "csv":
		return writeCSV(w, columns, rows, true)
	}
	return writeTable(w, columns, rows, format == "wide", true, now)
}

// object keeps the columns' order in JSON.
type object struct {
	columns []facts.Column
	row     facts.Row
}

func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, c := range o.columns {
		if i > 0 {
			b.WriteByte(',')
		}
		v, err := json.Marshal(plain(o.row[i]))
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
		fmt.Fprintf(&b, "%q:%s", c.Name, v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// plain turns what rows hold into what JSON holds: times are RFC 3339 in UTC,
// the zero time is unknown, and so is a loss that is no number any more, for
// which JSON has no word.
func plain(v any) any {
	switch v := v.(type) {
	case time.Time:
		if v.IsZero() {
			return nil
		}
		return v.UTC().Format(time.RFC3339Nano)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
	}
	return v
}

func writeJSON(w io.Writer, columns []facts.Column, rows []facts.Row) error {
	objects := make([]object, len(rows))
	for i, r := range rows {
		objects[i] = object{columns, r}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(objects)
}

func writeYAML(w io.Writer, columns []facts.Column, rows []facts.Row) error {
	list := make([]yaml.MapSlice, len(rows))
	for i, r := range rows {
		for j, c := range columns {
			list[i] = append(list[i], yaml.MapItem{Key: c.Name, Value: yamlValue(r[j])})
		}
	}
	return yaml.NewEncoder(w).Encode(list)
}

// yamlValue quotes a text with characters that YAML does not allow as they are,
// which the encoder would write all the same.
func yamlValue(v any) any {
	v = plain(v)
	if s, ok := v.(string); ok && strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return quoted(s)
	}
	return v
}

type quoted string

// MarshalYAML writes the text with escapes.
func (q quoted) MarshalYAML() ([]byte, error) { return []byte(strconv.Quote(string(q))), nil }

func writeCSV(w io.Writer, columns []facts.Column, rows []facts.Row, withHead bool) error {
	cw := csv.NewWriter(w)
	head := make([]string, len(columns))
	for i, c := range columns {
		head[i] = c.Name
	}
	if withHead {
		_ = cw.Write(head)
	}
	for _, r := range rows {
		line := make([]string, len(columns))
		for i := range columns {
			line[i] = csvText(r[i])
		}
		_ = cw.Write(line)
	}
	cw.Flush()
	return cw.Error()
}

// csvText is empty for an unknown value, and guards a cell that a spreadsheet
// would run as a formula.
func csvText(v any) string {
	switch v := plain(v).(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		if v != "" && strings.ContainsRune("=+-@\t", rune(v[0])) {
			return "'" + v
		}
		return v
	default:
		return fmt.Sprint(v)
	}
}

// shown are the columns of a table.
func shown(columns []facts.Column, wide bool) []int {
	var index []int
	for i, c := range columns {
		if c.Title != "" && (wide || !c.Wide) {
			index = append(index, i)
		}
	}
	return index
}

func writeTable(w io.Writer, columns []facts.Column, rows []facts.Row, wide, withHead bool, now time.Time) error {
	var head []string
	var right []bool
	index := shown(columns, wide)
	for _, i := range index {
		head, right = append(head, columns[i].Title), append(right, isNumber(rows, i))
	}
	lines := make([][]string, len(rows))
	for i, r := range rows {
		for _, j := range index {
			lines[i] = append(lines[i], bound(columns, r, j)+ui.Value(columns[j].Name, r[j], now))
		}
	}
	if withHead {
		return printTable(w, head, right, lines)
	}
	var b bytes.Buffer
	if err := printTable(&b, head, right, lines); err != nil {
		return err
	}
	_, body, _ := bytes.Cut(b.Bytes(), []byte("\n")) // aligned as under its head
	_, err := w.Write(body)
	return err
}

// Table prints aligned columns, for commands made elsewhere.
func Table(w io.Writer, head []string, lines [][]string) error {
	return printTable(w, head, nil, lines)
}

// bound is what the next column says of a value that is only a limit: "< ".
func bound(columns []facts.Column, r facts.Row, i int) string {
	base, isTime := strings.CutSuffix(columns[i].Name, "_seconds")
	if !isTime || i+1 == len(columns) || columns[i+1].Name != base+"_bound" || r[i+1] == nil {
		return ""
	}
	return fmt.Sprint(r[i+1]) + " "
}

// printTable aligns cells under their heads; remote text is cleaned here.
func printTable(w io.Writer, head []string, right []bool, lines [][]string) error {
	lines = append([][]string{head}, lines...)
	widths := make([]int, len(head))
	for _, line := range lines {
		for i := range line {
			line[i] = ui.Clean(line[i])
			widths[i] = max(widths[i], ansi.StringWidth(line[i]))
		}
	}
	var b strings.Builder
	for _, line := range lines {
		for i, text := range line {
			pad := strings.Repeat(" ", widths[i]-ansi.StringWidth(text))
			switch {
			case i < len(right) && right[i]:
				b.WriteString(pad + text)
			case i == len(line)-1:
				b.WriteString(text)
			default:
				b.WriteString(text + pad)
			}
			if i < len(line)-1 {
				b.WriteString("  ")
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// isNumber aligns a column to the right when what it holds is numbers or ages.
func isNumber(rows []facts.Row, i int) bool {
	for _, r := range rows {
		if r[i] != nil {
			return ui.IsNumber(r[i])
		}
	}
	return false
}
