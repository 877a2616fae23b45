package encode

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
	"unicode/utf16"
	"unicode/utf8"

	"github.com/goccy/go-yaml"

	"stoker/cluster/facts"
)

// Formats are those that Write knows.
func Formats() []string { return []string{"json", "yaml", "csv"} }

// Write writes rows in one of the formats.
func Write(w io.Writer, format string, columns []facts.Column, rows []facts.Row) error {
	switch format {
	case "json":
		return writeJSON(w, columns, rows)
	case "yaml":
		return writeYAML(w, columns, rows)
	case "csv":
		return CSV(w, columns, rows, true)
	}
	return fmt.Errorf("no format %q: one of %s", format, strings.Join(Formats(), ", "))
}

// Pick makes rows of some of the columns, by their numbers and in their order.
func Pick(columns []facts.Column, rows []facts.Row, index []int) ([]facts.Column, []facts.Row) {
	some, out := make([]facts.Column, len(index)), make([]facts.Row, len(rows))
	for i, at := range index {
		some[i] = columns[at]
	}
	for i, r := range rows {
		out[i] = make(facts.Row, len(index))
		for j, at := range index {
			out[i][j] = r[at]
		}
	}
	return some, out
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
		fmt.Fprintf(&b, "%q:%s", c.Name, Harmless(v))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Harmless is JSON in which what a terminal would act on, and what hides or turns
// around the text beside it, is written as an escape: it is the same text to a
// program. JSON itself asks that only of the oldest control characters.
func Harmless(raw []byte) []byte {
	if bytes.IndexFunc(raw, unseen) < 0 {
		return raw
	}
	out := make([]byte, 0, len(raw)+16)
	for _, r := range string(raw) {
		switch {
		case !unseen(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			a, b := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, a, b)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// unseen are characters that no text needs to be read: in JSON those below are
// escaped anyway, but for the line breaks between its values.
func unseen(r rune) bool {
	return r >= 0x7f && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
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

// Line writes rows as one array on one line of JSON.
func Line(w io.Writer, columns []facts.Column, rows []facts.Row) error {
	objects := make([]object, len(rows))
	for i, r := range rows {
		objects[i] = object{columns, r}
	}
	raw, err := json.Marshal(objects)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, string(raw))
	return err
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

// CSV writes a head line, when it is asked for, and a line for each row.
func CSV(w io.Writer, columns []facts.Column, rows []facts.Row, withHead bool) error {
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
// would run as a formula. CSV knows no escapes: what a terminal would act on, and
// what hides or turns around the text beside it, is left out.
func csvText(v any) string {
	switch v := plain(v).(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		v = strings.Map(func(r rune) rune {
			if unseen(r) || r < ' ' && r != '\t' && r != '\n' {
				return -1
			}
			return r
		}, v)
		if v != "" && strings.ContainsRune("=+-@\t\n", rune(v[0])) {
			return "'" + v
		}
		return v
	default:
		return fmt.Sprint(v)
	}
}
