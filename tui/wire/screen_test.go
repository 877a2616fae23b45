package wire

import (
	"testing"

	"stoker/cluster/contexts"
	"stoker/jobs/action"
	"stoker/tui/cli"
)

func TestAPastedCommandNamesTheContextThatHasAName(t *testing.T) {
	for name, c := range map[string]struct {
		context contexts.Context
		want    string
	}{
		"of the file or a lab": {contexts.Context{Name: "green", Named: true}, "green"},
		"called default there": {contexts.Context{Name: "default", Named: true}, "default"},
		"made from NOMAD_ADDR": {contexts.Context{Name: "default"}, ""},
		"this machine alone":   {contexts.Context{Name: "local"}, ""},
	} {
		s := &cli.Session{Context: c.context, Actions: &action.Runner{}}
		if got := screenConfig(s, cli.ScreenOptions{}, newRecorder(), nil).CommandContext; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
