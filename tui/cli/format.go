package cli

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"stoker/cluster/facts"
	"stoker/tui/encode"
	"stoker/tui/ui"
)

// formats are the values of -o.
var formats = []string{"table", "wide", "json", "yaml", "csv"}

// write prints rows in one of the formats.
func write(w io.Writer, format string, columns []facts.Column, rows []facts.Row, now time.Time) error {
	if slices.Contains(encode.Formats(), format) {
		return encode.Write(w, format, columns, rows)
	}
	return writeTable(w, columns, rows, shown(columns, format == "wide"), true, now)
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

// title is a column's heading, also of one that only programs get unless it was chosen.
func title(c facts.Column) string {
	if c.Title != "" {
		return c.Title
	}
	return strings.ToUpper(strings.ReplaceAll(c.Name, "_", " "))
}

func writeTable(w io.Writer, columns []facts.Column, rows []facts.Row, index []int, withHead bool, now time.Time) error {
	var head []string
	var right []bool
	for _, i := range index {
		head, right = append(head, title(columns[i])), append(right, isNumber(rows, i))
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
