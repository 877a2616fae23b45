package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// suffering is one fault of a GPU and what has to be seen of it.
type suffering struct {
	fault  string   // as typed: "gpu-a/3 xid 48"
	states []string // on the screen, one after the other
	reason string   // a part of it, in the end
	failed bool     // so Nomad gets to know
}

func sufferings() []suffering {
	return []suffering{
		{"gpu-a/0 xid 13", []string{"watch"}, "Xid 13: graphics engine exception", false},
		{"gpu-a/1 xid 31", []string{"watch"}, "Xid 31: GPU memory page fault", false},
		{"gpu-a/3 xid 48", []string{"failed"}, "Xid 48: double-bit ECC error", true},
		{"gpu-a/4 xid 63", []string{"degraded"}, "a row remapping waits for a reset", false},
		{"gpu-a/5 xid 64", []string{"failed"}, "Xid 64: row remapping failed", true},
		{"gpu-a/6 xid 74", []string{"degraded"}, "Xid 74: NVLink error", false},
		{"gpu-a/7 xid 79", []string{"failed"}, "Xid 79: GPU has fallen off the bus", true},
		{"gpu-b/0 xid 94", []string{"degraded"}, "Xid 94: contained memory error", false},
		{"gpu-b/1 xid 95", []string{"failed"}, "Xid 95: uncontained memory error", true},
		{"gpu-b/2 thermal", []string{"watch", "degraded"}, "because of heat", false},
		{"gpu-b/3 power-brake", []string{"watch", "degraded"}, "a power brake", false},
		{"gpu-b/4 ecc", []string{"degraded"}, "uncorrectable memory errors", false},
		{"gpu-b/5 remap", []string{"failed"}, "row remapping failed", true},
		{"gpu-b/6 nvlink", []string{"degraded"}, "NVLink 3 counts errors", false},
		{"gpu-b/7 lost", []string{"failed"}, "GPU is lost", true},
		{"gpu-c/0 hang", []string{"failed"}, "the driver does not answer for this GPU", true},
	}
}

func (s suffering) gpu() string {
	target, _, _ := strings.Cut(s.fault, " ")
	return target
}

// TestFaults injects every fault of a GPU and sees what becomes of it: the
// verdict on a screen, its reason, and whether Nomad gives the GPU work. How
// long that took is printed, and not judged: this machine may be slow.
func TestFaults(t *testing.T) {
	w := need(t)
	if err := await(patience, w.unharmed); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := w.fault("clear"); err != nil {
			t.Error(err)
		}
		eventually(t, w.unharmed)
	})
	see := watchGPUs(t)
	events := open(t, 120, 40, nil, "--context", labName, "--screen", "events")
	events.sees("[9 events]")

	// One that is only told of; nothing becomes worse.
	began := inject(t, "gpu-a/2 xid 43")
	events.sees("Xid 43")
	t.Logf("%-20s event after %4.1f s", "gpu-a/2 xid 43", time.Since(began).Seconds())

	var all sync.WaitGroup
	for _, s := range sufferings() {
		began := inject(t, s.fault)
		all.Go(func() { see.check(t, s, began) })
	}
	all.Wait()
	reasons(t, sufferings())
	if out, err := w.fault("list"); err != nil || missing(out, "gpu-a/2  xid 43", "gpu-b/2  thermal", "gpu-c/0  hang") != "" {
		t.Errorf("fault list: %v\n%s", err, out)
	}
	for _, calm := range []string{"gpu-a/2", "gpu-c/1", "gpu-c/2", "gpu-c/3"} {
		if at := see.first(calm, "failed"); !at.IsZero() {
			t.Errorf("%s, which has no such fault, failed", calm)
		}
	}

	// What is cleared gets better; and then the driver of that node goes away.
	if _, err := w.fault("clear", "gpu-c/0"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { return see.well("gpu-c/0") })
	var reload []suffering
	began = inject(t, "gpu-c driver-reload")
	for _, gpu := range []string{"gpu-c/0", "gpu-c/1", "gpu-c/2", "gpu-c/3"} {
		s := suffering{gpu + " driver-reload", []string{"failed"}, "driver is not loaded", true}
		reload = append(reload, s)
		all.Go(func() { see.check(t, s, began) })
	}
	all.Wait()
	reasons(t, reload)
}

// TestFaultsOfParts lets the agent, the node and Vault fail by the command, sees
// them on a screen, and puts all right by one command.
func TestFaultsOfParts(t *testing.T) {
	w := need(t)
	m := open(t, 120, 40, nil, "--context", labName)
	m.sees("GPUs 20", "agents ● 3/3")
	t.Cleanup(func() {
		if _, err := w.fault("clear"); err != nil {
			t.Error(err)
		}
		eventually(t, w.whole)
	})
	inject(t, "gpu-c agent-hang")
	inject(t, "vault seal")
	inject(t, "gpu-b kill")
	m.sees("node is down", "sealed: no model can be opened", "agent gpu-c", "nothing heard", "agents ▲ 1/3")
	out, err := w.fault("list")
	if err != nil || missing(out, "vault   seal", "gpu-b   down", "gpu-c   agent-hang") != "" {
		t.Errorf("fault list: %v\n%s", err, out)
	}
	out, err = w.fault("clear")
	if err != nil || missing(out, "cleared vault seal", "cleared gpu-b down", "cleared gpu-c agent-hang") != "" {
		t.Errorf("fault clear: %v\n%s", err, out)
	}
	m.sees("nothing needs attention", "vault ● open", "agents ● 3/3")

	inject(t, "leader down")
	m.sees("cannot reach nomad")
	if out, err = w.fault("clear", "server-1"); err != nil || out != "cleared server-1 down\n" {
		t.Errorf("fault clear server-1: %v\n%s", err, out)
	}
	m.sees("nomad ● live")
	if out, err = w.fault("list"); err != nil || !strings.HasPrefix(out, "nothing is wrong") {
		t.Errorf("fault list: %v\n%s", err, out)
	}
}

// inject lets a fault happen and says when that began.
func inject(t *testing.T, fault string) time.Time {
	t.Helper()
	began := time.Now()
	if _, err := need(t).fault(strings.Fields(fault)...); err != nil {
		t.Fatal(err)
	}
	return began
}

func (w *world) fault(args ...string) (string, error) {
	return w.ask(append([]string{"lab", "--name", labName, "fault"}, args...)...)
}

// unharmed says which GPU is not well, or not offered by Nomad.
func (w *world) unharmed() error {
	gpus, err := w.gpus()
	if err != nil {
		return err
	}
	for _, g := range gpus {
		if g["health"] != "ok" || g["schedulable"] != true {
			return fmt.Errorf("GPU %v of %v is %v: %v; schedulable: %v", g["index"], g["node"], g["health"], g["health_reason"], g["schedulable"])
		}
	}
	return nil
}

// reasons compares why each GPU is as it is.
func reasons(t *testing.T, list []suffering) {
	t.Helper()
	found := map[string]string{}
	for _, g := range rows(t, "gpus") {
		found[fmt.Sprintf("%v/%v", g["node"], g["index"])] = fmt.Sprintf("%v: %v", g["health"], g["health_reason"])
	}
	for _, s := range list {
		if got := found[s.gpu()]; !strings.HasPrefix(got, s.states[len(s.states)-1]+": ") || !strings.Contains(got, s.reason) {
			t.Errorf("%s: %q, want %s: … %s", s.fault, got, s.states[len(s.states)-1], s.reason)
		}
	}
}

// sight is what a screen and Nomad have shown of GPUs, and when first.
type sight struct {
	mu    sync.Mutex
	now   map[string]string               // state on the screen, by GPU
	seen  map[string]map[string]time.Time // by GPU and state
	nomad map[string]nomadSight           // by GPU; those that are unhealthy or were
}

type nomadSight struct {
	at   time.Time
	desc string
}

// watchGPUs opens the screen of GPUs and looks at it, and at Nomad's nodes,
// until the test ends.
func watchGPUs(t *testing.T) *sight {
	t.Helper()
	w := need(t)
	m := open(t, 120, 40, nil, "--context", labName, "--screen", "gpus")
	m.sees("20 GPUs")
	names := map[string]string{}
	nodes := map[string]string{}
	for _, g := range rows(t, "gpus") {
		names[g["uuid"].(string)] = fmt.Sprintf("%v/%v", g["node"], g["index"])
	}
	for _, n := range rows(t, "nodes") {
		nodes[n["node"].(string)] = n["id"].(string)
	}
	s := &sight{now: map[string]string{}, seen: map[string]map[string]time.Time{}, nomad: map[string]nomadSight{}}
	env := map[string]string{}
	pairs, err := w.lab.Env()
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range pairs {
		name, value, _ := strings.Cut(kv, "=")
		env[name] = value
	}
	ctx, cancel := context.WithCancel(context.Background())
	var looking sync.WaitGroup
	t.Cleanup(func() { cancel(); looking.Wait() })
	every := func(f func()) {
		looking.Go(func() {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for {
				f()
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	every(func() { s.look(m.screen()) })
	every(func() {
		for _, id := range nodes {
			s.ask(ctx, env["NOMAD_ADDR"]+"/v1/node/"+id, env["NOMAD_TOKEN"], names)
		}
	})
	return s
}

// look reads the rows of the screen: "gpu-a/3   H100 80GB  ✖ failed …".
func (s *sight) look(screen string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range regexp.MustCompile(`(?m)^. *(gpu-\w/\d) .*?[✖▲○●◐] (\w+)`).FindAllStringSubmatch(screen, -1) {
		gpu, state := row[1], row[2]
		s.now[gpu] = state
		if s.seen[gpu] == nil {
			s.seen[gpu] = map[string]time.Time{}
		}
		if s.seen[gpu][state].IsZero() {
			s.seen[gpu][state] = time.Now()
		}
	}
}

// ask reads the devices of a node as Nomad places on them. An answer that does
// not come is asked for again.
func (s *sight) ask(ctx context.Context, url, token string, names map[string]string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	req.Header.Set("X-Nomad-Token", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	var node struct {
		NodeResources struct {
			Devices []struct {
				Instances []struct {
					ID, HealthDescription string
					Healthy               bool
				}
			}
		}
	}
	if json.NewDecoder(resp.Body).Decode(&node) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range node.NodeResources.Devices {
		for _, i := range d.Instances {
			gpu := names[i.ID]
			switch {
			case i.Healthy:
				delete(s.nomad, gpu)
			case s.nomad[gpu].desc != i.HealthDescription:
				s.nomad[gpu] = nomadSight{time.Now(), i.HealthDescription}
			}
		}
	}
}

func (s *sight) first(gpu, state string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[gpu][state]
}

// well says so when a GPU is not back on the screen and in Nomad.
func (s *sight) well(gpu string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, bad := s.nomad[gpu]; bad || s.now[gpu] != "free" {
		return fmt.Errorf("%s is shown as %s, and nomad says %q", gpu, s.now[gpu], n.desc)
	}
	delete(s.seen, gpu) // what it was does not count for what comes
	return nil
}

// unhealthy is what Nomad holds against a GPU.
func (s *sight) unhealthy(gpu string) (nomadSight, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, is := s.nomad[gpu]
	return n, is
}

// check waits for all that a fault has to become, and logs how long it took.
func (s *sight) check(t *testing.T, want suffering, began time.Time) {
	line := fmt.Sprintf("%-20s", want.fault)
	for _, state := range want.states {
		err := await(patience, func() error {
			if s.first(want.gpu(), state).IsZero() {
				return fmt.Errorf("%s: the screen does not show %s", want.fault, state)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
			return
		}
		line += fmt.Sprintf(" %-8s after %4.1f s", state, s.first(want.gpu(), state).Sub(began).Seconds())
	}
	if want.failed {
		err := await(patience, func() error {
			if n, is := s.unhealthy(want.gpu()); !is || !strings.Contains(n.desc, want.reason) {
				return fmt.Errorf("%s: nomad does not say so (%q)", want.fault, n.desc)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
			return
		}
		n, _ := s.unhealthy(want.gpu())
		line += fmt.Sprintf("   in nomad after %4.1f s", n.at.Sub(began).Seconds())
	}
	t.Log(line)
}
