package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"unicode"

	"github.com/charmbracelet/x/ansi"

	"stoker/cluster"
	"stoker/cluster/explain"
	"stoker/cluster/facts"
	"stoker/jobs/action"
	"stoker/tui/screen/fixture"
)

// TestHostileTables: whatever people put into names, a table has a line for each
// row, and none of it moves the cursor.
func TestHostileTables(t *testing.T) {
	for name, text := range fixture.HostileTexts() {
		s := fixture.Hostile(text)
		for _, v := range facts.Views() {
			rows := v.Rows(s)
			for _, format := range []string{"table", "wide"} {
				var out bytes.Buffer
				if err := write(&out, format, v.Columns, rows, fixture.Now()); err != nil {
					t.Fatal(err)
				}
				lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
				if len(lines) != len(rows)+1 {
					t.Errorf("%s, %s: %d lines for %d rows", name, v.Name, len(lines), len(rows))
				}
				for _, l := range lines {
					if a, b := ansi.StringWidth(l), ansi.StringWidthWc(l); a != b {
						t.Errorf("%s, %s: %d or %d cells: %q", name, v.Name, a, b, l)
					}
					for _, c := range l {
						if unicode.In(c, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) {
							t.Fatalf("%s, %s: %U in %q", name, v.Name, c, l)
						}
					}
				}
			}
		}
	}
}

// tame says that nothing in an output moves the cursor or hides what is there;
// but for line breaks, which a format may need, and tabs.
func tame(t *testing.T, what, out string) {
	t.Helper()
	for _, c := range out {
		if c != '\n' && c != '\t' && unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			t.Errorf("%s: %U in %.400q", what, c, out)
			return
		}
	}
}

// TestHostileOutput: formats for programs are looked at on a terminal, too.
func TestHostileOutput(t *testing.T) {
	for name, text := range fixture.HostileTexts() {
		s := fixture.Hostile(text)
		var out, asked bytes.Buffer
		a := &App{Out: &out, Err: &asked, Terminal: true, In: strings.NewReader("\n")}
		for _, v := range facts.Views() {
			for _, format := range []string{"csv", "json", "yaml"} {
				out.Reset()
				if err := write(&out, format, v.Columns, v.Rows(s), fixture.Now()); err != nil {
					t.Fatal(err)
				}
				tame(t, name+", "+v.Name+" as "+format, out.String())
			}
		}
		out.Reset()
		for i := range s.Jobs {
			e, err := explain.Job(s, s.Jobs[i].ID)
			if err != nil {
				t.Fatal(err)
			}
			if err := a.explainJSON(e); err != nil {
				t.Fatal(err)
			}
			if err := a.explainTable(e); err != nil {
				t.Fatal(err)
			}
		}
		tame(t, name+", explain", out.String())
		out.Reset()
		read := func(_ context.Context, _ cluster.LogRequest, emit func(cluster.LogLine)) error {
			emit(cluster.LogLine{Text: text})
			return nil
		}
		if err := a.logs(t.Context(), &Session{Logs: read}, s, &s.Jobs[0], logOptions{}); err != nil {
			t.Fatal(err)
		}
		tame(t, name+", logs", out.String())
		_ = a.ask(t.Context(), &action.Plan{Ask: text}, consent{}, false) // which is told no
		tame(t, name+", question", asked.String())
	}
}
