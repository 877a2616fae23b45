package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// blocked is a job that Nomad cannot place, and what is to be said of it.
type blocked struct {
	name  string
	count int
	job   string // in the job block
	group string // in the group block
	task  string // in the resources block
	with  string // another driver than raw_exec

	kinds  map[string]string // of the verdict, by node; "" is for the others
	helps  string            // what one of the proposed changes does
	holder string            // a job that is said to hold what is wanted
	nomad  string            // what nomad job status says of it, too
}

const (
	fiveOfA = "device \"nvidia/gpu/NVIDIA H100 80GB HBM3\" {\n count = 5\n}"
	allOfB  = "device \"nvidia/gpu/NVIDIA A100-SXM4-80GB\" {\n count = 8\n}"
	oneOfC  = "device \"nvidia/gpu/NVIDIA L40S\" {\n count = 1\n}"
)

func all(kind string) map[string]string { return map[string]string{"": kind} }

func blockedJobs() []blocked {
	return []blocked{
		{
			name: "why-gpus", task: fiveOfA, kinds: map[string]string{"gpu-a": "gpus", "": "devices"},
			helps: "stop or move", holder: "default/why-holder", nomad: "no devices match request",
		},
		{
			name: "why-meta", group: "constraint {\n attribute = \"${meta.rack}\"\n value = \"nowhere\"\n}",
			kinds: all("constraint"), helps: "waive", nomad: `"${meta.rack} = nowhere"`,
		},
		{
			name: "why-attr", job: "constraint {\n attribute = \"${attr.nomad.version}\"\n operator = \"semver\"\n value = \"< 1.0.0\"\n}",
			kinds: all("constraint"), helps: "waive", nomad: "${attr.nomad.version} semver < 1.0.0",
		},
		{name: "why-driver", with: "qemu", kinds: all("driver"), helps: "give", nomad: "missing drivers"},
		{name: "why-memory", task: "memory = 90000000", kinds: all("memory"), helps: "ask for less", nomad: `"memory"`},
		{
			// A node has a port once on each of its addresses, of which there are two at most.
			name: "why-port", count: 7, group: "network {\n port \"http\" {\n static = 28080\n }\n}", kinds: all("port"), helps: "other port", nomad: "reserved port collision http=28080",
		},
		{name: "why-mars", job: `datacenters = ["mars"]`, kinds: all("datacenter"), helps: "admit", nomad: "No nodes"},
		{name: "why-apart", count: 5, group: "constraint {\n distinct_hosts = true\n}", kinds: all("distinct hosts"), helps: "share", nomad: "distinct_hosts"},
		{
			name: "why-device", task: "device \"nvidia/gpu\" {\n count = 1\n constraint {\n attribute = \"${device.attr.memory}\"\n operator = \">=\"\n value = \"200 GiB\"\n }\n}",
			kinds: all("devices"), helps: "waive", nomad: "missing devices",
		},
		{name: "why-volume", group: "volume \"v\" {\n type = \"host\"\n source = \"nothere\"\n}", kinds: all("volume"), helps: "give", nomad: "missing compatible host volumes"},
		{name: "why-sick", task: allOfB, kinds: all("devices"), helps: "repair", nomad: "missing devices"},
		{name: "why-closed", task: oneOfC, kinds: map[string]string{"gpu-c": "ineligible", "": "devices"}, helps: "make eligible", nomad: "missing devices"},
	}
}

func (b *blocked) hcl() string {
	config := "command = \"/bin/sleep\"\n args = [\"3600\"]"
	if b.with != "" {
		config = "image_path = \"x\""
	}
	resources := "cpu = 10\n"
	if !strings.Contains(b.task, "memory = ") {
		resources += "memory = 10\n"
	}
	driver := b.with
	if driver == "" {
		driver = "raw_exec"
	}
	return fmt.Sprintf("job %q {\n%s\ngroup \"g\" {\ncount = %d\n%s\ntask \"t\" {\ndriver = %q\nconfig {\n%s\n}\nresources {\n%s%s\n}\n}\n}\n}\n",
		b.name, b.job, max(b.count, 1), b.group, driver, config, resources, b.task)
}

// explained is a part of what stoker explain -o json prints.
type explained struct {
	Waits   bool
	Summary string
	Fitting int `json:"nodes_fitting"`
	Nodes   []struct {
		Node, Kind string
		Reasons    []struct {
			Kind    string
			Failed  int
			Holders []struct{ Job string }
		}
	}
	Changes []struct {
		Text string
		Do   []string
	}
	Nomad *struct {
		Agrees bool
		Text   string
		Differ []string
	}
}

func (w *world) explain(job string) (explained, error) {
	out, err := w.ask("--context", labName, "explain", job, "-o", "json")
	if err != nil {
		return explained{}, err
	}
	var rows []explained
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 1 {
		return explained{}, fmt.Errorf("explain %s: %w\n%s", job, err, out)
	}
	return rows[0], nil
}

// wrong says what of an explanation is not as it should be.
func (b *blocked) wrong(w *world) error {
	e, err := w.explain(b.name)
	switch {
	case err != nil:
		return err
	case !e.Waits || len(e.Nodes) != 3 || e.Fitting != 0 || e.Nomad == nil:
		return fmt.Errorf("%s: %+v", b.name, e)
	case !e.Nomad.Agrees || !strings.HasPrefix(e.Nomad.Text, "Nomad says the same: "):
		return fmt.Errorf("%s: %s %q", b.name, e.Nomad.Text, e.Nomad.Differ)
	}
	helps := false
	for _, c := range e.Changes {
		helps = helps || slices.Contains(c.Do, b.helps)
	}
	if !helps {
		return fmt.Errorf("%s: nothing proposes to %s: %+v", b.name, b.helps, e.Changes)
	}
	held := b.holder == ""
	for _, n := range e.Nodes {
		want, named := b.kinds[n.Node]
		if !named {
			want = b.kinds[""]
		}
		if n.Kind != want {
			return fmt.Errorf("%s: %s is %s, want %s", b.name, n.Node, n.Kind, want)
		}
		for _, r := range n.Reasons {
			for _, h := range r.Holders {
				held = held || h.Job == b.holder
			}
		}
	}
	if !held {
		return fmt.Errorf("%s: nobody says that %s holds what it wants: %+v", b.name, b.holder, e.Nodes)
	}
	return nil
}

// TestExplain makes jobs wait in each way that the lab can, at once, and compares
// the verdict of each node, and Nomad's own account.
func TestExplain(t *testing.T) {
	w := need(t)
	if err := await(patience, w.unharmed); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	jobs := blockedJobs()
	names := []string{"why-holder"}
	submit := func(b blocked) {
		t.Helper()
		file := filepath.Join(dir, b.name+".hcl")
		if err := os.WriteFile(file, []byte(b.hcl()), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := w.official("job", "run", "-detach", file); err != nil {
			t.Fatal(err)
		}
	}
	for i := range jobs {
		names = append(names, jobs[i].name)
	}
	t.Cleanup(func() {
		for _, name := range names {
			_, _ = w.official("job", "stop", "-purge", "-detach", name) // one that did not come so far is not there
		}
		_, _ = w.fault("clear")
		_, _ = w.ask("--context", labName, "ineligible", "gpu-c", "--off", "--yes")
		eventually(t, w.unharmed)
	})
	submit(blocked{name: "why-holder", task: fiveOfA})
	inject(t, "gpu-b/2 xid 79")
	eventually(t, func() error { return w.offers("gpu-b", 7) })
	eventually(t, func() error {
		held, err := w.heldBy("default/why-holder")
		if err == nil && len(held) != 5 {
			err = fmt.Errorf("%d GPUs are held", len(held))
		}
		return err
	})
	for _, b := range jobs[:len(jobs)-1] {
		submit(b)
	}
	for _, b := range jobs[:len(jobs)-1] {
		eventually(t, func() error { return b.wrong(w) })
	}
	ok(t, "ineligible", "gpu-c", "--yes")
	closed := jobs[len(jobs)-1]
	submit(closed)
	eventually(t, func() error { return closed.wrong(w) })
	for _, b := range jobs {
		if out := official(t, "job", "status", b.name); !strings.Contains(out, b.nomad) {
			t.Errorf("nomad job status %s does not say %q:\n%s", b.name, b.nomad, out)
		}
	}

	// What was proposed helps: the node is opened, the GPU is well again. Nomad
	// refused the whole class of the node with the GPU, so it must be told to look.
	ok(t, "ineligible", "gpu-c", "--off", "--yes")
	eventually(t, func() error { return w.placed("why-closed") })
	if _, err := w.fault("clear"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { return w.offers("gpu-b", 8) })
	e, err := w.explain("why-sick")
	if err != nil {
		t.Fatal(err)
	}
	if e.Waits && (e.Fitting != 1 || e.Nomad.Agrees || len(e.Changes) == 0 || !slices.Contains(e.Changes[0].Do, "evaluate")) {
		t.Errorf("a job that would fit by now: %+v", e)
	}
	official(t, "job", "eval", "-detach", "why-sick")
	eventually(t, func() error { return w.placed("why-sick") })
}

// placed says that a job does not wait, as explain does.
func (w *world) placed(job string) error {
	e, err := w.explain(job)
	if err == nil && !strings.HasPrefix(e.Summary, "It does not wait: 1 of 1 allocation placed") {
		err = fmt.Errorf("%s: %s", job, e.Summary)
	}
	return err
}

// offers says that Nomad does not place work on so many GPUs of a node.
func (w *world) offers(node string, want int) error {
	gpus, err := w.listWhere("gpus", "node", node)
	n := 0
	for _, g := range gpus {
		if g["schedulable"] == true {
			n++
		}
	}
	if err == nil && n != want {
		err = fmt.Errorf("%d GPUs of %s are offered, want %d", n, node, want)
	}
	return err
}
