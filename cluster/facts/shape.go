package facts

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"stoker/cluster"
)

// FieldError is a name that no column of a view has.
type FieldError struct {
	Name   string
	View   string
	Meant  string   // the nearest name; empty when none is like it
	Fields []string // the columns
}

func (e *FieldError) Error() string {
	if e.Name == "" {
		return "a name of a field is missing"
	}
	text := fmt.Sprintf("%s have no field %s", e.View, e.Name)
	if e.Meant != "" {
		text += ": did you mean " + e.Meant + "?"
	}
	return text
}

// Hint lists the fields.
func (e *FieldError) Hint() string { return listed(e.Fields) }

// Choose finds the columns of the names, in their order. The error is a *FieldError.
func (v *View) Choose(names []string) ([]int, error) {
	out := make([]int, 0, len(names))
	for _, name := range names {
		name = strings.TrimSpace(name)
		i, ok := v.Field(name)
		if !ok {
			return nil, &FieldError{Name: name, View: v.Name, Meant: v.Nearest(name), Fields: v.columnNames()}
		}
		if !slices.Contains(out, i) {
			out = append(out, i)
		}
	}
	return out, nil
}

// Order is one column that rows are in the order of.
type Order struct {
	Column     int
	Descending bool
}

// Orders reads names, the first counts most; "-" before one turns it around. The
// error is a *FieldError.
func (v *View) Orders(names []string) ([]Order, error) {
	var out []Order
	for _, name := range names {
		bare, descending := strings.CutPrefix(strings.TrimSpace(name), "-")
		i, err := v.Choose([]string{bare})
		if err != nil {
			return nil, err
		}
		out = append(out, Order{i[0], descending})
	}
	return out, nil
}

// Sort puts rows in an order. What is unknown comes last, whichever way.
func Sort(rows []Row, by []Order) {
	slices.SortStableFunc(rows, func(a, b Row) int {
		for _, o := range by {
			x, y := a[o.Column], b[o.Column]
			if x == nil || y == nil {
				if c := boolInt(x == nil) - boolInt(y == nil); c != 0 {
					return c
				}
				continue
			}
			c := Compare(x, y)
			if o.Descending {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
}

// Compare orders two known values of one column.
func Compare(x, y any) int {
	switch x := x.(type) {
	case string:
		if y, ok := y.(string); ok {
			return cmp.Or(cluster.CompareNames(strings.ToLower(x), strings.ToLower(y)), cmp.Compare(x, y))
		}
	case bool:
		if y, ok := y.(bool); ok {
			return boolInt(x) - boolInt(y)
		}
	case time.Time:
		if y, ok := y.(time.Time); ok {
			return x.Compare(y)
		}
	case uint64: // exact where a float is not
		if y, ok := y.(uint64); ok {
			return cmp.Compare(x, y)
		}
	}
	a, okA := number(x)
	b, okB := number(y)
	if okA && okB {
		return cmp.Compare(a, b)
	}
	return cmp.Compare(fmt.Sprint(x), fmt.Sprint(y))
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case uint64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
