package gpu_test

import (
	"slices"
	"strings"
	"testing"

	"stoker/gpu"
)

func TestXidCatalogue(t *testing.T) {
	verdicts := []gpu.Verdict{gpu.VerdictOK, gpu.VerdictWatch, gpu.VerdictDegraded, gpu.VerdictFailed}
	actions := []gpu.Action{
		gpu.ActionNone, gpu.ActionFollow, gpu.ActionRestart, gpu.ActionUpdate, gpu.ActionReset, gpu.ActionReboot, gpu.ActionInspect, gpu.ActionContact,
	}
	last := uint64(0)
	for _, x := range gpu.Xids() {
		if x.Number <= last {
			t.Errorf("Xid %d comes after %d", x.Number, last)
		}
		last = x.Number
		if x.Name == "" || strings.ContainsAny(x.Name, ".;") {
			t.Errorf("Xid %d has the name %q, want a short one", x.Number, x.Name)
		}
		if !strings.HasSuffix(x.Meaning, ".") || strings.Contains(x.Meaning, ". ") {
			t.Errorf("Xid %d means %q, want one sentence", x.Number, x.Meaning)
		}
		// The advice follows the name and a semicolon in the reason of a verdict.
		if x.Advice == "" || strings.HasSuffix(x.Advice, ".") {
			t.Errorf("Xid %d has the advice %q", x.Number, x.Advice)
		}
		if !slices.Contains(verdicts, x.Verdict) || !slices.Contains(actions, x.Action) {
			t.Errorf("Xid %d has the verdict %q and the action %q", x.Number, x.Verdict, x.Action)
		}
		if x.Fault == gpu.FaultUnknown && x.Action != gpu.ActionFollow {
			t.Errorf("nobody is to blame for Xid %d", x.Number)
		}
		if x.UntilReset && x.Verdict != gpu.VerdictDegraded && x.Verdict != gpu.VerdictFailed {
			t.Errorf("Xid %d is %s until a reset", x.Number, x.Verdict)
		}
		if found, ok := gpu.LookupXid(x.Number); !ok || found != x {
			t.Errorf("LookupXid(%d) = %+v, %v", x.Number, found, ok)
		}
	}
	gpu.Xids()[0].Name = "changed"
	if gpu.Xids()[0].Name == "changed" {
		t.Error("who changes the list changes the catalogue")
	}
}

// TestXidActionIsTheDocumentedOne holds Action against the name of what
// NVIDIA's catalogue wants done at once.
func TestXidActionIsTheDocumentedOne(t *testing.T) {
	means := map[string]gpu.Action{
		"IGNORE": gpu.ActionNone, "RESTART_APP": gpu.ActionRestart, "RESET_GPU": gpu.ActionReset, "RESTART_BM": gpu.ActionReboot,
		"RESTART_VM": gpu.ActionReboot, "CHECK_MECHANICALS": gpu.ActionInspect, "UPDATE_SWFW": gpu.ActionUpdate,
		"CONTACT_SUPPORT": gpu.ActionContact, "CHECK_UVM": gpu.ActionReset,
		"WORKFLOW_XID_45": gpu.ActionFollow, "WORKFLOW_XID_48": gpu.ActionReset, "WORKFLOW_NVLINK_ERR": gpu.ActionReset, "XID_154": gpu.ActionFollow,
	}
	for _, x := range gpu.Xids() {
		want, known := means[x.Immediate]
		switch {
		case x.Immediate == "" && x.Later == "": // the catalogue describes it, but has no bucket
		case x.Immediate == "": // only older GPUs report it
			want = means[x.Later]
			fallthrough
		case known:
			if x.Action != want {
				t.Errorf("Xid %d is documented as %s, but its action is %s", x.Number, x.Immediate, x.Action)
			}
		case x.Immediate == "WORKFLOW_NVLINK5_ERR": // the driver's message tells
			if x.Action == gpu.ActionNone {
				t.Errorf("Xid %d asks for nothing", x.Number)
			}
		default:
			t.Errorf("Xid %d is documented as %s: what is that?", x.Number, x.Immediate)
		}
		if urgent := x.Immediate == "RESET_GPU" || x.Immediate == "RESTART_BM"; urgent && !x.UntilReset {
			t.Errorf("Xid %d wants %s, but is forgotten without it", x.Number, x.Immediate)
		}
	}
}

// TestXidActions names each Xid for itself that operators meet and that health
// acts on, so that a slip in the table is seen.
func TestXidActions(t *testing.T) {
	for n, want := range map[uint64]struct {
		action  gpu.Action
		fault   gpu.Fault
		verdict gpu.Verdict
		lasts   bool
	}{
		13:  {gpu.ActionRestart, gpu.FaultApplication, gpu.VerdictWatch, false},
		31:  {gpu.ActionRestart, gpu.FaultApplication, gpu.VerdictWatch, false},
		32:  {gpu.ActionRestart, gpu.FaultLink, gpu.VerdictWatch, false},
		43:  {gpu.ActionNone, gpu.FaultApplication, gpu.VerdictOK, false},
		45:  {gpu.ActionFollow, gpu.FaultApplication, gpu.VerdictOK, false},
		46:  {gpu.ActionReset, gpu.FaultHardware, gpu.VerdictFailed, true},
		48:  {gpu.ActionReset, gpu.FaultHardware, gpu.VerdictFailed, true},
		54:  {gpu.ActionInspect, gpu.FaultHardware, gpu.VerdictDegraded, true},
		62:  {gpu.ActionReset, gpu.FaultHardware, gpu.VerdictFailed, true},
		63:  {gpu.ActionNone, gpu.FaultHardware, gpu.VerdictWatch, false},
		64:  {gpu.ActionReset, gpu.FaultHardware, gpu.VerdictFailed, true},
		74:  {gpu.ActionReset, gpu.FaultLink, gpu.VerdictDegraded, true},
		78:  {gpu.ActionUpdate, gpu.FaultDriver, gpu.VerdictWatch, false},
		79:  {gpu.ActionReboot, gpu.FaultLink, gpu.VerdictFailed, true},
		92:  {gpu.ActionNone, gpu.FaultHardware, gpu.VerdictWatch, false},
		94:  {gpu.ActionRestart, gpu.FaultHardware, gpu.VerdictDegraded, true},
		95:  {gpu.ActionReset, gpu.FaultHardware, gpu.VerdictFailed, true},
		109: {gpu.ActionReset, gpu.FaultDriver, gpu.VerdictFailed, true},
		110: {gpu.ActionReset, gpu.FaultHardware, gpu.VerdictFailed, true},
		119: {gpu.ActionReset, gpu.FaultDriver, gpu.VerdictFailed, true},
		120: {gpu.ActionReset, gpu.FaultDriver, gpu.VerdictFailed, true},
		136: {gpu.ActionReset, gpu.FaultLink, gpu.VerdictFailed, true},
		140: {gpu.ActionReset, gpu.FaultHardware, gpu.VerdictFailed, true},
		143: {gpu.ActionReset, gpu.FaultHardware, gpu.VerdictFailed, true},
		149: {gpu.ActionReset, gpu.FaultLink, gpu.VerdictDegraded, true},
		151: {gpu.ActionReboot, gpu.FaultDriver, gpu.VerdictDegraded, true},
		154: {gpu.ActionFollow, gpu.FaultUnknown, gpu.VerdictWatch, false},
		156: {gpu.ActionReset, gpu.FaultHardware, gpu.VerdictFailed, true},
		158: {gpu.ActionReset, gpu.FaultHardware, gpu.VerdictFailed, true},
	} {
		x, ok := gpu.LookupXid(n)
		if !ok || x.Action != want.action || x.Fault != want.fault || x.Verdict != want.verdict || x.UntilReset != want.lasts {
			t.Errorf("Xid %d: %+v, %v, want %+v", n, x, ok, want)
		}
	}
	for _, n := range []uint64{0, 1, 9, 173, 9999} {
		if x, ok := gpu.LookupXid(n); ok || x.Number != n || x.Verdict != gpu.VerdictWatch || x.Action != gpu.ActionContact || x.Advice == "" {
			t.Errorf("LookupXid(%d) = %+v, %v", n, x, ok)
		}
	}
}

func BenchmarkLookupXid(b *testing.B) {
	for b.Loop() {
		if _, ok := gpu.LookupXid(154); !ok {
			b.Fatal("Xid 154 is gone")
		}
	}
}
