package cli

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	"github.com/charmbracelet/x/ansi"

	"stoker/cluster/facts"
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
