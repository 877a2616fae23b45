package scenarios

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// None stands for an unknown value.
const None = "–"

// How much of a long value is shown.
const (
	maxItems = 8
	maxRunes = 200
)

// isNothing is an unknown value; facts hold typed nils too.
func isNothing(v any) bool {
	if v == nil {
		return true
	}
	r := reflect.ValueOf(v)
	return (r.Kind() == reflect.Pointer || r.Kind() == reflect.Map) && r.IsNil()
}

// show is a value for a person to read beside the expression. Of rows it shows
// which they are, and the columns named.
func show(v any, columns []string) string {
	if isNothing(v) {
		return None
	}
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case map[string]any:
		if label := rowLabel(v); label != "" {
			return strings.TrimSpace(label + " " + pairsOf(v, columns))
		}
		return "{" + pairsOf(v, slices.Sorted(maps.Keys(v))) + "}"
	}
	if r := reflect.ValueOf(v); r.Kind() == reflect.Slice {
		var parts []string
		for i := range min(r.Len(), maxItems) {
			parts = append(parts, show(r.Index(i).Interface(), columns))
		}
		if more := r.Len() - maxItems; more > 0 {
			parts = append(parts, fmt.Sprintf("and %d more", more))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return word(v)
}

func pairsOf(m map[string]any, keys []string) string {
	var parts []string
	for _, k := range keys[:min(len(keys), maxItems+2)] {
		parts = append(parts, k+"="+show(m[k], nil))
	}
	return strings.Join(parts, " ")
}

// rowLabel names a row of a view; it is empty for other objects.
func rowLabel(m map[string]any) string {
	if _, ok := m["as_of"]; !ok {
		return ""
	}
	if node, ok := m["node"]; ok {
		if i, ok := m["index"]; ok {
			return fmt.Sprintf("%v/%v", node, i)
		}
	}
	for _, k := range []string{"alloc", "job", "node", "key", "name", "subject"} {
		if s, ok := m[k].(string); ok && s != "" {
			return s
		}
	}
	return "row"
}

// word is a value inside a text: a command's argument, a job's variable.
func word(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	}
	if r := reflect.ValueOf(v); r.Kind() == reflect.Slice {
		parts := make([]string, r.Len())
		for i := range parts {
			parts[i] = word(r.Index(i).Interface())
		}
		return strings.Join(parts, ",")
	}
	return fmt.Sprint(v)
}

// clean makes text from elsewhere safe for a terminal: no control characters,
// one line, not endless.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', r == '\r':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

// cut keeps a text within n runes.
func cut(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:max(n-1, 0)]) + "…"
}
