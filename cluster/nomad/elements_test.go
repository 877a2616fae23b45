package nomad

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestElements(t *testing.T) {
	for text, want := range map[string][]string{
		`[]`: nil, ` [ ] `: nil, `null`: nil,
		`[{"a":1}]`: {`{"a":1}`},
		" [\n{\"a\":\"}]\\\"[{\"} ,\t{}, {\"b\":[{},{\"c\":[1,2]}]}\r\n]": {`{"a":"}]\"[{"}`, `{}`, `{"b":[{},{"c":[1,2]}]}`},
		`[{"a":"\\"},{"b":1}]`: {`{"a":"\\"}`, `{"b":1}`},
	} {
		for name, r := range map[string]io.Reader{"whole": strings.NewReader(text), "in bytes": iotest.OneByteReader(strings.NewReader(text))} {
			var got []string
			err := elements(bufio.NewReaderSize(r, 16), func(one []byte) error {
				got = append(got, string(one))
				return nil
			})
			if d := cmp.Diff(want, got); d != "" || err != nil {
				t.Errorf("%s %s: %v %s", name, text, err, d)
			}
		}
	}
}

func TestElementsThatAreNone(t *testing.T) {
	for text, want := range map[string]error{
		``: io.ErrUnexpectedEOF, `[`: io.ErrUnexpectedEOF, `[{"a":1}`: io.ErrUnexpectedEOF, `[{"a":"`: io.ErrUnexpectedEOF,
		`{"a":1}`: nil, `[1,2]`: nil, `["a"]`: nil, `<html>`: nil, `[[]]`: nil,
	} {
		_, err := rowsOf(strings.NewReader(text), func(n *nodeJSON) string { return n.ID })
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestRowsOfALongList: it is decoded by several, and comes in its order.
func TestRowsOfALongList(t *testing.T) {
	var text strings.Builder
	var want []int
	for i := range 20_000 {
		fmt.Fprintf(&text, `,{"ModifyIndex":%d}`, i)
		want = append(want, i)
	}
	got, err := rowsOf(strings.NewReader("["+text.String()[1:]+"]"), func(n *nodeJSON) int { return int(n.ModifyIndex) })
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d rows, %v", len(got), err)
	}
	_, err = rowsOf(strings.NewReader("["+text.String()[1:]+`,{"ModifyIndex":"x"}]`), func(n *nodeJSON) int { return 0 })
	if err == nil {
		t.Error("the last row is broken, and nothing was said")
	}
}

// FuzzElements: what the standard library reads as a list of objects is read as
// the same list, and nothing else than JSON is.
func FuzzElements(f *testing.F) {
	for _, seed := range []string{`[]`, `[{"ID":"a"},{"ID":"b\"]"}]`, `[{"ID":"\\"}]`, `null`, `[{`, ` [ {"ID" : "x" } ] `} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		type row struct{ ID string }
		var want []row
		plain := json.Unmarshal([]byte(text), &want)
		got, err := rowsOf(strings.NewReader(text), func(r *row) row { return *r })
		if plain != nil {
			return // what is broken may be read up to where it breaks
		}
		if strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "[") && !strings.Contains(text, "null") {
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("%q: %s", text, d)
			}
		}
	})
}
