package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"stoker/cluster"
)

// TestDoctorShowsNoSecrets: what is wrong is told without what a server
// repeats of a token.
func TestDoctorShowsNoSecrets(t *testing.T) {
	var out bytes.Buffer
	a := &App{Out: &out, Redact: strings.NewReplacer("correct-horse", "[redacted]").Replace}
	err := a.examine(&cluster.Snapshot{Sources: []cluster.SourceStatus{
		{Name: "vault", State: cluster.SourceRetrying, Err: "vault: bad token correct-\x07horse"},
	}})
	if !IsPartial(err) {
		t.Errorf("got %v", err)
	}
	a.report(finding{what: "nomad"}, &cluster.Fault{Text: "no", Advice: "do not send correct-horse", Err: errors.New("no")})
	if got := out.String(); strings.Contains(got, "horse") || strings.Count(got, "[redacted]") != 2 || !strings.Contains(got, "fail  source vault           vault: bad token [redacted]\n") {
		t.Errorf("got\n%s", got)
	}
}
