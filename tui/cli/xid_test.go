package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/gpu"
)

func xids(t *testing.T, format string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := (&App{Out: &out, Now: noon}).xid(args, format)
	return out.String(), err
}

func TestXidOfOneNumber(t *testing.T) {
	got, err := xids(t, "table", "79")
	if err != nil {
		t.Fatal(err)
	}
	want := `Xid 79: GPU has fallen off the bus
  means    The driver cannot reach the GPU over PCI Express.
  fault    link
  action   reboot
  do now   drain and restart the node; check seating, power and the PCI Express log
  verdict  failed until the GPU was reset
  NVIDIA   RESTART_BM, then CONTACT_SUPPORT
`
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestXidForPrograms(t *testing.T) {
	got, err := xids(t, "json", "154", "13")
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	if err := json.Unmarshal([]byte(got), &rows); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{
			"xid": 154.0, "name": "recovery action changed", "fault": nil, "action": "follow", "verdict": "watch", "until_reset": false,
			"advice":           "follow the Xid that came with it",
			"meaning":          "The driver says what another Xid needs: reset, drain or reboot.",
			"nvidia_immediate": "XID_154", "nvidia_later": nil,
		},
		{
			"xid": 13.0, "name": "graphics engine exception", "fault": "application", "action": "restart", "verdict": "watch", "until_reset": false,
			"advice":           "restart the job; check it with compute-sanitizer if it comes back",
			"meaning":          "A kernel of the application faulted, often by an access out of bounds.",
			"nvidia_immediate": "RESTART_APP", "nvidia_later": "WORKFLOW_XID_13",
		},
	}
	if d := cmp.Diff(want, rows); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestXidLists(t *testing.T) {
	got, err := xids(t, "csv")
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count([]byte(got), []byte("\n")); lines != len(gpu.Xids())+1 {
		t.Errorf("%d lines for %d Xids", lines, len(gpu.Xids()))
	}
}

func TestXidMistakes(t *testing.T) {
	if _, err := xids(t, "json", "9999"); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("an unknown number: %v", err)
	}
	for _, args := range [][]string{{"xml"}, {"json", "seventy-nine"}, {"json", "-1"}} {
		if _, err := xids(t, args[0], args[1:]...); !IsUsage(err) {
			t.Errorf("%q: %v, want a usage error", args, err)
		}
	}
}
