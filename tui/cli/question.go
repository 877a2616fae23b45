package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"stoker/cluster"
	"stoker/cluster/facts"
	"stoker/tui/encode"
	"stoker/tui/ui"
)

// RowOptions say what is printed of which rows.
type RowOptions struct {
	View, Format, Filter string
	Columns, Sort        []string
}

// Flags adds the flags for them; when begins their help.
func (o *RowOptions) Flags(flags *pflag.FlagSet, when string) {
	flags.StringVarP(&o.Format, "output", "o", "table", when+strings.Join(formats, ", "))
	flags.StringVar(&o.Filter, "filter", "", when+"an expression over the JSON names, or words (!word leaves out, name=word)")
	flags.StringSliceVar(&o.Columns, "columns", nil, when+"these columns, in this order, by their JSON names")
	flags.StringSliceVar(&o.Sort, "sort", nil, when+"order by these columns; - before a name begins with the largest")
}

// Check says what is wrong with the options, before anything is read.
func (o *RowOptions) Check() error {
	_, err := o.question()
	return err
}

// question is what is to be printed, understood.
type question struct {
	view     *facts.View
	filter   *facts.Filter
	filtered bool // it may leave out rows
	order    []facts.Order
	columns  []int // chosen ones; nil: all, or what a table shows
	format   string
}

func (o *RowOptions) question() (*question, error) {
	v, ok := facts.Find(o.View)
	if !ok {
		return nil, usage("there is no %q to get", o.View).hint("one of " + viewNames())
	}
	if !slices.Contains(formats, o.Format) {
		return nil, usage("unknown output format %q", o.Format).hint("one of " + strings.Join(formats, ", "))
	}
	q := &question{view: v, format: o.Format, filtered: strings.TrimSpace(o.Filter) != ""}
	var err error
	if q.filter, err = facts.CompileFilter(o.Filter, v); err != nil {
		return nil, err
	}
	if q.order, err = v.Orders(o.Sort); err != nil {
		return nil, err
	}
	if len(o.Columns) > 0 {
		q.columns, err = v.Choose(o.Columns)
	}
	return q, err
}

// rows are those that the filter keeps, in order, with all columns.
func (q *question) rows(s *cluster.Snapshot) []facts.Row {
	rows := q.view.Select(s, q.filter)
	if len(q.order) > 0 {
		facts.Sort(rows, q.order)
	}
	return rows
}

// forPeople says that the format is a table.
func (q *question) forPeople() bool { return !slices.Contains(encode.Formats(), q.format) }

// index is which columns are printed.
func (q *question) index() []int {
	if q.columns != nil {
		return q.columns
	}
	all := q.view.Columns
	if q.forPeople() {
		return shown(all, q.format == "wide")
	}
	out := make([]int, len(all))
	for i := range out {
		out[i] = i
	}
	return out
}

// write prints rows.
func (q *question) write(w io.Writer, rows []facts.Row, now time.Time) error {
	if q.forPeople() {
		return writeTable(w, q.view.Columns, rows, q.index(), true, now)
	}
	columns, some := encode.Pick(q.view.Columns, rows, q.index())
	return encode.Write(w, q.format, columns, some)
}

// writeChanged prints rows that came later, after the head once.
func (q *question) writeChanged(w io.Writer, rows []facts.Row, head bool, now time.Time) error {
	if q.forPeople() {
		return writeTable(w, q.view.Columns, rows, q.index(), head, now)
	}
	columns, some := encode.Pick(q.view.Columns, rows, q.index())
	switch q.format {
	case "json":
		return encode.Line(w, columns, some)
	case "csv":
		return encode.CSV(w, columns, some, head)
	}
	return encode.Write(w, q.format, columns, some)
}

// writeGone tells which rows went, of those that were printed: people what they
// were called, and programs how they read last. CSV has no room for it.
func (q *question) writeGone(w io.Writer, rows []facts.Row, s *cluster.Snapshot) error {
	if len(rows) == 0 || q.format == "csv" {
		return nil
	}
	if !q.forPeople() {
		columns, some := encode.Pick(q.view.Columns, rows, q.index())
		columns = append(columns, facts.Column{Name: "gone", Type: facts.Bool})
		for i := range some {
			some[i] = append(some[i], true)
		}
		if q.format == "json" {
			return encode.Line(w, columns, some)
		}
		return encode.Write(w, q.format, columns, some)
	}
	key, index := q.view.Key(), q.index()
	shown := slices.DeleteFunc(slices.Clone(key), func(i int) bool { return !slices.Contains(index, i) })
	if len(shown) == 0 {
		shown = key
	}
	var there map[string]bool // whatever the filter keeps
	if q.filtered {
		there = named(key, q.view.Rows(s))
	}
	var b strings.Builder
	for _, r := range rows {
		b.WriteString("-")
		for _, i := range shown {
			if r[i] != nil {
				b.WriteString(" " + ui.Clean(ui.Value(q.view.Columns[i].Name, r[i], time.Time{})))
			}
		}
		if there[nameOf(key, r)] {
			b.WriteString(" no longer matches the filter\n")
		} else {
			b.WriteString(" gone\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// reading is how a row reads in the format: the text that is shown, with times as
// they are instead of ages, and without as_of unless it was chosen.
func (q *question) reading() func(facts.Row) string {
	columns, index, people := q.view.Columns, q.index(), q.forPeople()
	if q.columns == nil {
		index = slices.DeleteFunc(index, func(i int) bool { return columns[i].Name == "as_of" })
	}
	return func(r facts.Row) string {
		var b strings.Builder
		for _, i := range index {
			if at, ok := r[i].(time.Time); ok {
				fmt.Fprintln(&b, at)
			} else if people {
				fmt.Fprintln(&b, bound(columns, r, i)+ui.Value(columns[i].Name, r[i], time.Time{}))
			} else {
				fmt.Fprintln(&b, r[i])
			}
		}
		return b.String()
	}
}
