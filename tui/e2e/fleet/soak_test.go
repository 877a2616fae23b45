package fleet

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"stoker/cluster/lab"
	"stoker/tui/e2e/measure"
)

const (
	soakNodes = 50
	soakChurn = "3" // changes a second
	realNodes = 3
	// breath is the time between two faults: long enough to recover, which the
	// next fault must not need.
	breath = 10 * time.Second
)

// TestSoak keeps stoker's screen open on a fleet that changes all the time, while
// agents hang, nodes crash, a server is restarted and the leader is lost. It takes
// as long as STOKER_SOAK says, three minutes otherwise.
//
// At each fault the screen must say so, and after it be whole again. In the end
// nothing may have grown since the second quarter of the time, and what a screen that lived through it all
// shows must be what a new one shows.
func TestSoak(t *testing.T) {
	limit := 3 * time.Minute
	if v := os.Getenv("STOKER_SOAK"); v != "" {
		var err error
		if limit, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
	} else if os.Getenv("STOKER_E2E") == "" {
		t.Skip("needs a lab: run make e2e, or make soak")
	}
	w := newWorld(t, soakNodes, "--servers", "3", "--fleet-churn", soakChurn)
	s := &soak{t: t, world: w, profiles: t.TempDir(), rand: rand.New(rand.NewPCG(1, 1))}
	term, err := w.open("STOKER_PROFILE=" + s.profiles)
	if err != nil {
		t.Fatal(err)
	}
	s.Terminal = term
	defer term.Close("q", 10*time.Second)
	s.whole("at the start")
	s.beat()
	end := time.Now().Add(limit)
	for round := 0; time.Now().Before(end); round++ {
		faults := []func(){s.agentHangs, s.nodeCrashes, s.gpuFails, s.serverRestarts, s.leaderLost}
		faults[round%len(faults)]()
		time.Sleep(breath)
		// Jobs that end leave their traces in the servers for hours: what is kept
		// of them here would hide what is kept by mistake.
		if err := w.nomad(http.MethodPut, "/v1/system/gc", nil, nil); err != nil {
			t.Log("the servers do not collect: ", err) // one of them may be away
		}
		s.beat()
	}
	s.calm()
	s.beat()
	s.flat()
}

// soak is one long life of a screen.
type soak struct {
	*measure.Terminal
	t        *testing.T
	world    *world
	profiles string // folder
	rand     *rand.Rand
	beats    []beat
}

// beat is what the program holds at one time.
type beat struct {
	at         time.Time
	heap       int64 // bytes, after a collection
	goroutines int
}

func (b beat) String() string {
	return fmt.Sprintf("%s %.1f MB %d goroutines", b.at.Format("15:04:05"), float64(b.heap)/1e6, b.goroutines)
}

// beat asks the program for what it holds.
func (s *soak) beat() {
	s.t.Helper()
	path := filepath.Join(s.profiles, fmt.Sprintf("stoker-%d.memory", s.PID()))
	_ = os.Remove(path)
	if err := syscall.Kill(s.PID(), syscall.SIGUSR1); err != nil {
		s.t.Fatalf("the program is gone: %v\n%s", err, s.Screen())
	}
	b := beat{at: time.Now()}
	s.eventually("what it holds", func() error {
		text, err := os.ReadFile(path)
		if err == nil {
			_, err = fmt.Sscanf(string(text), "heap_bytes %d\ngoroutines %d\n", &b.heap, &b.goroutines)
		}
		return err
	})
	s.t.Log(b)
	s.beats = append(s.beats, b)
}

func (s *soak) eventually(what string, f func() error) {
	s.t.Helper()
	s.within(patience, what, f)
}

func (s *soak) within(most time.Duration, what string, f func() error) {
	s.t.Helper()
	var err error
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	s.t.Fatalf("%s: %v", what, err)
}

// sees waits until the screen is as wanted.
func (s *soak) sees(what string, wanted func(screen string) bool) {
	s.t.Helper()
	began := time.Now()
	told := began
	_, err := s.Wait(began, patience, func(screen string) bool {
		is := wanted(screen)
		if !is && time.Since(told) > 10*time.Second {
			told = time.Now()
			s.t.Logf("%s: not yet: %s", what, strings.TrimSpace(between(screen, "", "\n")))
		}
		return is
	})
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
	s.t.Logf("%s: after %.1f s", what, time.Since(began).Seconds())
}

// whole waits until the server is heard and all agents are, but for those of nodes
// that the fleet itself let down.
func (s *soak) whole(when string) {
	s.t.Helper()
	s.sees("all is live "+when, func(screen string) bool {
		fields := strings.Fields(between(screen, "agents ", "\n"))
		if len(fields) < 2 || !strings.Contains(screen, "nomad ● live") {
			return false
		}
		var live, all int
		if _, err := fmt.Sscanf(fields[1], "%d/%d", &live, &all); err != nil {
			return false
		}
		st, err := s.world.lab.Fleet(s.t.Context())
		return err == nil && live >= st.Ready+realNodes
	})
}

// between is what stands after one text and before another.
func between(s, after, before string) string {
	if after != "" {
		_, s, _ = strings.Cut(s, after)
	}
	s, _, _ = strings.Cut(s, before)
	return s
}

// node picks one that is well.
func (s *soak) node() string {
	faults, err := s.world.lab.Faults(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for {
		name := fmt.Sprintf("gpu-%04d", 1+s.rand.IntN(soakNodes))
		if !slices.ContainsFunc(faults, func(f lab.Fault) bool { return strings.HasPrefix(f.Target, name) }) {
			return name
		}
	}
}

// suffer lets a fault happen and looks at the GPUs of its node meanwhile: each of
// their rows must come to say it, and to say after it that all is well.
func (s *soak) suffer(f lab.Fault, shown func(row string) bool) {
	s.t.Helper()
	node, _, _ := strings.Cut(f.Target, "/")
	rows := func(good func(row string) bool) func(string) bool {
		return func(screen string) bool {
			found := 0
			for line := range strings.Lines(screen) {
				if strings.Contains(line, node+"/") && good(line) {
					found++
				}
			}
			return found == strings.Count(screen, node+"/") && found == 8
		}
	}
	defer s.account(node)
	s.keys("3", "/", node, "\r")
	s.sees(node+" is well", rows(fresh))
	if _, err := s.world.lab.Inject(s.t.Context(), f); err != nil {
		s.t.Fatal(err)
	}
	s.sees(f.String()+" is shown", rows(shown))
	if _, err := s.world.lab.Clear(s.t.Context(), f.Target); err != nil {
		s.t.Fatal(err)
	}
	s.sees(node+" is well again", rows(fresh))
	s.keys("\x1b")
	time.Sleep(200 * time.Millisecond) // with another key behind it, escape is alt
	s.keys("1")
	s.whole("after " + f.String())
}

// account tells, where the screen failed, what a new session sees of a node.
func (s *soak) account(node string) {
	if !s.t.Failed() {
		return
	}
	for _, view := range []string{"nodes", "allocs", "services", "sources"} {
		text, _ := s.world.command("get", view, "--filter", node).CombinedOutput()
		s.t.Logf("%s:\n%s", view, text)
	}
}

func (s *soak) keys(keys ...string) {
	s.t.Helper()
	for _, k := range keys {
		if err := s.Keys(k); err != nil {
			s.t.Fatal(err)
		}
	}
}

// fresh tells that the agent itself has told what the row shows, just now.
func fresh(row string) bool {
	return strings.Contains(row, "agent now") || strings.Contains(row, "agent 1s") || strings.Contains(row, "agent 2s")
}

func (s *soak) agentHangs() {
	s.suffer(lab.Fault{Target: s.node(), Kind: "agent-hang"}, func(row string) bool { return !fresh(row) })
}

func (s *soak) nodeCrashes() {
	s.suffer(lab.Fault{Target: s.node(), Kind: "crash"}, func(row string) bool { return strings.Contains(row, "down") && !fresh(row) })
}

// gpuFails concerns one row; what the others say is not its business.
func (s *soak) gpuFails() {
	gpu := s.node() + "/3"
	s.suffer(lab.Fault{Target: gpu, Kind: "xid", Xid: 79}, func(row string) bool {
		return !strings.Contains(row, gpu+" ") || strings.Contains(row, "failed")
	})
}

func notLive(screen string) bool { return !strings.Contains(screen, "nomad ● live") }

// serverRestarts stops the server that stoker asks: what it shows is old from then on.
func (s *soak) serverRestarts() {
	if err := s.world.lab.StopServer(s.t.Context(), 0); err != nil {
		s.t.Fatal(err)
	}
	s.sees("the server is away", notLive)
	if err := s.world.lab.StartServer(s.t.Context(), 0); err != nil {
		s.t.Fatal(err)
	}
	s.whole("after the server was restarted")
}

// leaderLost takes the leader away. Where stoker asks another server, that one
// goes on answering with what it knows.
func (s *soak) leaderLost() {
	ctx := s.t.Context()
	i, err := s.world.lab.Leader(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.world.lab.StopServer(ctx, i); err != nil {
		s.t.Fatal(err)
	}
	s.eventually("another leader", func() error {
		k, err := s.world.lab.Leader(ctx)
		if err == nil && k == i {
			err = fmt.Errorf("server %d still leads", i)
		}
		return err
	})
	if err := s.world.lab.StartServer(ctx, i); err != nil {
		s.t.Fatal(err)
	}
	s.whole("after the leader was lost")
}

// calm ends the changes, by which the fleet's process starts anew and all its
// agents with it, and compares the screen with what a new session finds.
func (s *soak) calm() {
	s.t.Helper()
	if _, err := s.world.lab.Clear(s.t.Context(), ""); err != nil {
		s.t.Fatal(err)
	}
	if err := s.world.must("lab", "up", "--name", s.world.name, "--fleet-churn", "0.0001"); err != nil {
		s.t.Fatal(err)
	}
	s.whole("after the fleet was restarted")
	// An allocation that was told to stop before its client began with it may be
	// collected as it stands, and Nomad makes no event for what it collects: the
	// next list, after five minutes at most, says that it is gone.
	s.within(patience+5*time.Minute, "the screen says what a new session finds", func() error {
		out, err := s.world.command("--context", s.world.name, "get", "gpus", "-o", "json").Output()
		if err != nil {
			return err
		}
		var gpus []struct {
			HeldBy *string `json:"held_by"`
		}
		if err := json.Unmarshal(out, &gpus); err != nil {
			return err
		}
		n := 0
		for _, g := range gpus {
			if g.HeldBy != nil {
				n++
			}
		}
		held := grouped(n)
		if screen := s.Screen(); !strings.Contains(screen, " "+held+" held") {
			return fmt.Errorf("a new session finds %s GPUs held:\n%s", held, screen)
		}
		return nil
	})
}

// flat compares the last beats with those of the second quarter: by then
// histories are full. A fleet that changes makes both move, so it is the least of
// several that counts.
func (s *soak) flat() {
	s.t.Helper()
	few := max(2, len(s.beats)/4)
	least := func(beats []beat, of func(beat) int64) int64 {
		var all []int64
		for _, b := range beats {
			all = append(all, of(b))
		}
		return slices.Min(all)
	}
	first, last := s.beats[:few], s.beats[len(s.beats)-few:]
	if len(s.beats) >= 3*few {
		first = s.beats[few : 2*few]
	}
	heap := func(b beat) int64 { return b.heap }
	routines := func(b beat) int64 { return int64(b.goroutines) }
	if was, is := least(first, heap), least(last, heap); is > was*13/10+8<<20 {
		s.t.Errorf("memory has grown from %.1f to %.1f MB", float64(was)/1e6, float64(is)/1e6)
	}
	if was, is := least(first, routines), least(last, routines); is > was+20 {
		s.t.Errorf("goroutines have grown from %d to %d", was, is)
	}
}
