package facts

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"stoker/cluster"
)

// Completion is what the end of a filter that is being typed may become.
type Completion struct {
	From    int      // in characters: an option stands for all from here to the caret
	Options []string // best first
}

var (
	// condition is name=… and compared is name == "…, name in ["a", "… and the like,
	// up to the caret.
	condition = regexp.MustCompile(`(?:^|\s)!?([A-Za-z_]\w*)=([^=\s"']*)$`)
	compared  = regexp.MustCompile(`([A-Za-z_]\w*)\s*(?:[=!]=|contains\s|startsWith\s|endsWith\s|in\s*\[(?:[^\]"]|"[^"]*")*?)\s*("?[^"]*)$`)
	lastName  = regexp.MustCompile(`(?:^|[\s!(,<>=&|+*])([A-Za-z_]\w*)$`)
)

// Complete completes a filter up to the caret: names of fields, and behind a
// comparison what values tells of a column.
func (v *View) Complete(head string, values func(column int) []string) Completion {
	at := func(byteAt int) int { return len([]rune(head[:byteAt])) }
	if m := condition.FindStringSubmatchIndex(head); m != nil {
		if column, ok := v.Field(head[m[2]:m[3]]); ok {
			bare := slices.DeleteFunc(values(column), func(s string) bool { return strings.ContainsAny(s, " =\"'") })
			return Completion{at(m[4]), beginning(bare, head[m[4]:], "")}
		}
	}
	if m := compared.FindStringSubmatchIndex(head); m != nil {
		if column, ok := v.Field(head[m[2]:m[3]]); ok {
			return Completion{at(m[4]), beginning(values(column), strings.TrimPrefix(head[m[4]:], `"`), `"`)}
		}
	}
	if strings.Count(head, `"`)%2 > 0 {
		return Completion{}
	}
	if m := lastName.FindStringSubmatchIndex(head); m != nil {
		return Completion{at(m[2]), v.namesFrom(head[m[2]:])}
	}
	return Completion{}
}

// beginning are the values that begin so, in quotes.
func beginning(values []string, with, quote string) []string {
	var out []string
	for _, s := range values {
		if len(s) >= len(with) && strings.EqualFold(s[:len(with)], with) && (s != with || quote != "") {
			if quote != "" && s != "true" && s != "false" {
				s = quote + strings.ReplaceAll(s, quote, `\`+quote) + quote
			}
			out = append(out, s)
		}
	}
	return out
}

// namesFrom are the shortest names of columns that begin so: those that people
// see first.
func (v *View) namesFrom(with string) []string {
	best := map[int]string{}
	for name, column := range v.fields() {
		if had := best[column]; strings.HasPrefix(name, strings.ToLower(with)) && (had == "" || len(name) < len(had) || len(name) == len(had) && name < had) {
			best[column] = name
		}
	}
	var out []int
	for column := range best {
		out = append(out, column)
	}
	hidden := func(i int) int {
		if v.Columns[i].Title == "" || v.Columns[i].Wide {
			return 1
		}
		return 0
	}
	slices.SortFunc(out, func(a, b int) int {
		return cmp.Or(cmp.Compare(hidden(a), hidden(b)), cmp.Compare(best[a], best[b]))
	})
	var names []string
	for _, column := range out {
		names = append(names, best[column])
	}
	if len(names) == 1 && names[0] == with {
		return nil
	}
	return names
}

// Values are the texts that a column holds, each once and in order; nil when
// there are more than most, so that listing them would help nobody.
func (v *View) Values(s *cluster.Snapshot, column, most int) []string {
	seen := map[string]bool{}
	v.Each(s, func(cells Cells) bool {
		switch value := cells(column).(type) {
		case string:
			seen[value] = true
		case bool:
			seen["true"], seen["false"] = true, true
		}
		return len(seen) <= most
	})
	if len(seen) > most {
		return nil
	}
	out := make([]string, 0, len(seen))
	for s := range seen {
		if s != "" {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return out
}
