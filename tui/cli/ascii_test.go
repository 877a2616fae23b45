package cli

import (
	"bytes"
	"testing"

	"github.com/spf13/cobra"
)

// TestASCIIIsForPeople: what programs read, and what jobs say, stays as it is.
func TestASCIIIsForPeople(t *testing.T) {
	for _, c := range []struct {
		name, format string
		want         bool
	}{{"get", "table", true}, {"get", "wide", true}, {"get", "json", false}, {"get", "csv", false}, {"get", "yaml", false}, {"doctor", "", true}, {"logs", "", false}} {
		cmd := &cobra.Command{Use: c.name}
		if c.format != "" {
			cmd.Flags().String("output", c.format, "")
		}
		if got := forPeople(cmd); got != c.want {
			t.Errorf("%s %s: %v", c.name, c.format, got)
		}
	}
	var b bytes.Buffer
	if n, err := (asciiWriter{&b}).Write([]byte("– 81 °C …")); err != nil || n != len("– 81 °C …") || b.String() != "- 81  C ~" {
		t.Errorf("%d %v %q", n, err, b.String())
	}
}
