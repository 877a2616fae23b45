package facts

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// Filter keeps the rows of one view that an expression or words select. It keeps
// its working memory from row to row: one goroutine may use it at a time.
type Filter struct {
	input string

	terms []term // when program is nil
	cols  int
	text  []byte // of the row at hand, in lower case

	program *vm.Program
	passing bool // it asks what time it is
	named   []named
	env     map[string]any // the values of what is named, in the row at hand
	vm      vm.VM
	mistake error
}

// term is a word that must be in a row, or with not must not; with a column, it must be all
// that the column holds.
type term struct {
	text   string // in lower case
	not    bool
	column int // -1: anywhere
}

// named is a name in an expression with the column that it stands for.
type named struct {
	name   string
	column int
}

// Cells reads one row by the numbers of the view's columns. What is not asked
// for is not computed.
type Cells func(column int) any

// CompileFilter reads what to keep of a view's rows: an expression over its
// names, or words, which must all occur in the row; "!word" must not, and
// "name=word" must be all that the column holds.
//
// It is an expression when it holds an operator and compiles to a yes or no. One
// that does not compile is words, unless an operator is in it that no word
// holds, such as "<" or "&&": that is a *FilterError, and so is a field compared
// with what it can never be.
func CompileFilter(input string, v *View) (*Filter, error) {
	f := &Filter{input: input, cols: len(v.Columns)}
	sure, maybe := v.operators(input)
	if sure || maybe {
		err := f.compile(input, v)
		if err == nil {
			return f, nil
		}
		if sure || err.meant {
			return nil, err
		}
	}
	at := 0
	for _, text := range strings.Fields(input) {
		at += strings.Index(input[at:], text)
		w, err := v.term(text)
		if err != nil {
			err.Input, err.At = input, err.At+utf8.RuneCountInString(input[:at])
			return nil, err
		}
		f.terms = append(f.terms, w)
		at += len(text)
	}
	return f, nil
}

// term reads one word: text, !text, name=text or !name=text.
func (v *View) term(text string) (term, *FilterError) {
	w := term{column: -1}
	whole := utf8.RuneCountInString(text)
	text, w.not = trimNot(text)
	w.text = strings.ToLower(text)
	name, value, assigned := strings.Cut(text, "=")
	if !assigned {
		return w, nil
	}
	column, known := v.Field(name)
	switch {
	case name == "" || value == "":
		return w, &FilterError{Err: fmt.Errorf("%s is no condition: write name=word, or name == \"text\"", text), Fields: v.columnNames()}
	case !known:
		return w, &FilterError{Err: fmt.Errorf("no field %s%s", name, v.meant(name)), Fields: v.columnNames()}
	}
	w.column, w.text = column, strings.ToLower(value)
	if err := v.admits(name, column, w.text); err != nil {
		return w, &FilterError{Err: err, At: whole - utf8.RuneCountInString(value)}
	}
	return w, nil
}

// trimNot takes the "!" off that says that a word must not be there.
func trimNot(text string) (word string, not bool) {
	if len(text) > 1 && text[0] == '!' && text[1] != '=' {
		return text[1:], true
	}
	return text, false
}

// Passing says that what it keeps changes as time goes by, though no row does.
func (f *Filter) Passing() bool { return f.passing }

// Words says that the filter is nothing but words: they can be looked for in the
// text that is shown of a row, too.
func (f *Filter) Words() bool {
	for _, w := range f.terms {
		if w.column >= 0 {
			return false
		}
	}
	return f.program == nil
}

// Keep reports whether the row is selected. An unknown value compares with
// nothing, so an expression that hangs on it does not select the row.
func (f *Filter) Keep(r Row) bool {
	return f.KeepCells(func(column int) any { return r[column] })
}

// KeepCells is Keep for a row that is read column by column.
func (f *Filter) KeepCells(cells Cells) bool {
	if f.program == nil {
		return f.hasWords(cells)
	}
	for _, n := range f.named {
		f.env[n.name] = cells(n.column)
	}
	out, err := f.vm.Run(f.program, f.env)
	selected, ok := out.(bool)
	if err != nil && f.mistake == nil && !aboutUnknown(err) {
		f.mistake = f.inOneLine(err)
	}
	return err == nil && ok && selected
}

// aboutUnknown says that an error is for want of a value.
func aboutUnknown(err error) bool {
	return errors.Is(err, errUnknown) || strings.Contains(err.Error(), "<nil>")
}

// inOneLine is what the evaluator says, without its drawing of the place.
func (f *Filter) inOneLine(err error) error {
	var at *file.Error
	text := err.Error()
	if errors.As(err, &at) {
		text = at.Message
	}
	text, _, _ = strings.Cut(text, "\n")
	if strings.HasPrefix(text, "invalid operation: bool(") {
		text = "it is neither yes nor no"
	}
	return &FilterError{Input: f.input, Err: errors.New(text), At: -1}
}

// Mistake is what was wrong with a row that was asked for since the filter was
// made: a text where there must be a yes or no, which only rows can tell. It is a
// *FilterError without a place, or nil.
func (f *Filter) Mistake() error { return f.mistake }

func (f *Filter) hasWords(cells Cells) bool {
	read := false
	var one [64]byte
	for _, w := range f.terms {
		var has bool
		if w.column >= 0 {
			v := cells(w.column)
			if v == nil { // neither this nor anything else
				return false
			}
			has = strings.EqualFold(string(appendText(one[:0], v)), w.text)
		} else {
			if !read {
				read = true
				f.read(cells)
			}
			has = bytes.Contains(f.text, []byte(w.text))
		}
		if has == w.not {
			return false
		}
	}
	return true
}

// read notes what is known of a row.
func (f *Filter) read(cells Cells) {
	f.text = f.text[:0]
	for i := range f.cols {
		if v := cells(i); v != nil {
			f.text = append(appendText(f.text, v), '\n')
		}
	}
	f.text = bytes.ToLower(f.text)
}

// appendText appends a value as fmt prints it; the common kinds cost less here.
func appendText(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return append(b, v...)
	case bool:
		return strconv.AppendBool(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case uint64:
		return strconv.AppendUint(b, v, 10)
	case float64:
		return strconv.AppendFloat(b, v, 'g', -1, 64)
	}
	return fmt.Append(b, v)
}
