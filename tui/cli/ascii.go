package cli

import (
	"io"
	"slices"

	"github.com/spf13/cobra"

	"stoker/tui/encode"
	"stoker/tui/theme"
)

// asciiWriter replaces what is not ASCII: stoker's own signs, and what names hold.
type asciiWriter struct{ w io.Writer }

// Write implements io.Writer.
func (a asciiWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(a.w, theme.Plain()(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// forPeople says that what a command prints is stoker's own words: what programs
// read, and what jobs say, stays as it is.
func forPeople(cmd *cobra.Command) bool {
	if f := cmd.Flags().Lookup("output"); f != nil && slices.Contains(encode.Formats(), f.Value.String()) {
		return false
	}
	return !slices.Contains([]string{"logs", "open", "env", "agent"}, cmd.Name())
}
