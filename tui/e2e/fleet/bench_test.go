package fleet

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"stoker/tui/e2e/measure"
)

const (
	starts  = 5                // of which the median is told
	rest    = 2 * time.Second  // between them: the server clears away what it told the last one
	settle  = 5 * time.Second  // after everything is there
	steady  = 30 * time.Second // for which a process is looked at
	presses = 200
	rounds  = 3 // in which each node on the screen changes once
)

// BenchmarkFleet measures stoker and, in the same run on the same server, wander
// on fleets of the sizes in STOKER_FLEET, such as "100,1000,3000", each node with
// ten allocations and eight GPUs that are read once a second. One iteration takes
// minutes. What it measures is what a terminal of 120x40 gets.
//
//	make bench-fleet FLEET=100,1000
//
// Where another one runs already, STOKER_FLEET_NAME gives the lab another name.
func BenchmarkFleet(b *testing.B) {
	sizes := os.Getenv("STOKER_FLEET")
	if sizes == "" {
		b.Skip("STOKER_FLEET names no sizes: run make bench-fleet")
	}
	for size := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(size)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(size, func(b *testing.B) {
			w := newWorld(b, n)
			b.Run("stoker", func(b *testing.B) { w.stoker(b) })
			b.Run("wander", func(b *testing.B) { w.otherUI(b) })
		})
	}
}

// page is what a program shows, and how to tell.
type page struct {
	open     func() (*measure.Terminal, error)
	useful   func(screen string) bool
	complete func(screen string) bool
	live     func(screen string) bool // nothing is missing any more
	list     string                   // keys that lead to a list
	quit     string
}

func (w *world) stoker(b *testing.B) {
	st, err := w.lab.Fleet(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	gpus, held := grouped(8*w.nodes+20), grouped(st.Held) // the real nodes have 20, of which none is held
	all := grouped(w.nodes+3) + "/" + grouped(w.nodes+3)
	p := page{
		open:     func() (*measure.Terminal, error) { return w.open(profiled()...) },
		useful:   func(s string) bool { return strings.Contains(s, "GPUs "+gpus) },
		complete: func(s string) bool { return strings.Contains(s, "GPUs "+gpus) && strings.Contains(s, " "+held+" held") },
		live:     func(s string) bool { return strings.Contains(s, "agents ● "+all) },
		list:     "2", quit: "q",
	}
	for range b.N {
		p.first(b)
		t := p.settled(b)
		w.costs(b, t)
		p.keys(b, t)
		w.seen(b, t)
		t.Close(p.quit, 5*time.Second)
	}
}

// otherUI is wander's page of all tasks, which is the most that it shows at once.
func (w *world) otherUI(b *testing.B) {
	bin, err := w.wander(b.Context(), b)
	if err != nil {
		b.Fatal(err)
	}
	complete := func(s string) bool {
		return strings.Contains(s, "All Tasks") && strings.Count(s, " running ")+strings.Count(s, " pending ") > 10
	}
	p := page{
		open: func() (*measure.Terminal, error) {
			cmd := exec.Command(bin, "--start-all-tasks", "--addr", w.env["NOMAD_ADDR"], "--token", w.env["NOMAD_TOKEN"])
			cmd.Env = w.environment()
			return measure.Open(120, 40, cmd)
		},
		useful: complete, complete: complete, live: complete, quit: "\x03",
	}
	for range b.N {
		p.first(b)
		t := p.settled(b)
		w.costs(b, t)
		p.keys(b, t)
		t.Close(p.quit, 5*time.Second)
	}
}

// profiled lets the program write profiles where STOKER_FLEET_PROFILE says.
func profiled() []string {
	if dir := os.Getenv("STOKER_FLEET_PROFILE"); dir != "" {
		return []string{"STOKER_PROFILE=" + dir}
	}
	return nil
}

// first measures how long the first frames take, from the start of the program.
func (p page) first(b *testing.B) {
	b.Helper()
	var useful, complete, used []time.Duration
	for range starts {
		time.Sleep(rest)
		began := time.Now()
		t, err := p.open()
		if err != nil {
			b.Fatal(err)
		}
		u, err := t.Wait(began, patience, p.useful)
		if err == nil {
			useful = append(useful, u)
			var c time.Duration
			c, err = t.Wait(began, patience, p.complete)
			complete = append(complete, c)
			// What it took of the processor is the same where others use it too.
			if cpu, err := measure.CPU(t.PID()); err == nil {
				used = append(used, cpu)
			}
		}
		t.Close(p.quit, 5*time.Second)
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(ms(quantile(useful, 0.5)), "ms-useful")
	b.ReportMetric(ms(quantile(complete, 0.5)), "ms-complete")
	b.ReportMetric(ms(slices.Max(complete)), "ms-complete-worst")
	b.ReportMetric(ms(quantile(used, 0.5)), "cpu-ms-complete")
	b.ReportMetric(load(b), "load")
}

// settled starts the program and waits until everything is there.
func (p page) settled(b *testing.B) *measure.Terminal {
	b.Helper()
	began := time.Now()
	t, err := p.open()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { t.Close("", 0) })
	took, err := t.Wait(began, patience, p.live)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(ms(took), "ms-all-live")
	time.Sleep(settle)
	return t
}

// costs looks at the program for a while, and at the server that it asks.
func (w *world) costs(b *testing.B, t *measure.Terminal) {
	b.Helper()
	pids, err := w.pids(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	pids["core"] = t.PID()
	before := map[string]time.Duration{}
	for _, part := range []string{"core", "server-1", "fleet"} {
		if before[part], err = measure.CPU(pids[part]); err != nil {
			b.Fatal(err)
		}
	}
	began, drawn := time.Now(), t.Bytes()
	time.Sleep(steady)
	took := time.Since(began).Seconds()
	for part, was := range before {
		is, err := measure.CPU(pids[part])
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(100*(is-was).Seconds()/took, "%"+part)
	}
	b.ReportMetric(float64(t.Bytes()-drawn)/took, "B/s")
	resident, own, err := measure.Memory(t.PID())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(resident)/1e6, "MB-resident")
	b.ReportMetric(float64(own)/1e6, "MB-own")
}

// keys measures how long a press of a key takes to be seen: the next row is marked.
func (p page) keys(b *testing.B, t *measure.Terminal) {
	b.Helper()
	if err := t.Keys(p.list); err != nil {
		b.Fatal(err)
	}
	time.Sleep(settle)
	pace := rand.New(rand.NewPCG(1, 2))
	var took []time.Duration
	for i := range presses {
		time.Sleep(30*time.Millisecond + time.Duration(pace.Int64N(int64(50*time.Millisecond))))
		before, key := t.Cursor(), "j"
		if i%20 >= 10 {
			key = "k" // so that the list does not scroll
		}
		began := time.Now()
		if err := t.Keys(key); err != nil {
			b.Fatal(err)
		}
		d, err := t.WaitCursor(began, 10*time.Second, before)
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, d)
	}
	b.ReportMetric(ms(quantile(took, 0.5)), "ms-key-p50")
	b.ReportMetric(ms(quantile(took, 0.99)), "ms-key-p99")
}

// seen measures how long a change takes from the moment that somebody asks Nomad
// for it to the screen: one node of the list after the other is made ineligible.
// What Nomad needs to write it down is part of that, and told by itself too, and so
// is what it takes from Nomad's answer on. They are made eligible again unmeasured:
// then the scheduler looks at all that waits.
func (w *world) seen(b *testing.B, t *measure.Terminal) {
	b.Helper()
	var nodes []struct{ ID, Name string }
	if err := w.nomad(http.MethodGet, `/v1/nodes?filter=Name+matches+%22%5Egpu-00%5B0-9%5D%5B0-9%5D%24%22`, nil, &nodes); err != nil {
		b.Fatal(err)
	}
	ids := map[string]string{}
	for _, n := range nodes {
		ids[n.Name] = n.ID
	}
	eligible := func(name string, is bool) {
		want := map[bool]string{true: "eligible", false: "ineligible"}[is]
		if err := w.nomad(http.MethodPut, "/v1/node/"+ids[name]+"/eligibility", map[string]string{"Eligibility": want}, nil); err != nil {
			b.Fatal(err)
		}
	}
	var took, written, after []time.Duration
	for range rounds {
		var shown []string
		for line := range strings.Lines(t.Screen()) {
			for _, f := range strings.Fields(line) {
				if ids[f] != "" {
					shown = append(shown, f)
				}
			}
		}
		for _, name := range shown {
			time.Sleep(250 * time.Millisecond)
			began := time.Now()
			eligible(name, false)
			written = append(written, time.Since(began))
			d, err := t.Wait(began, patience, func(screen string) bool { return rowHas(screen, name+" ", "ineligible") })
			if err != nil {
				b.Fatal(err)
			}
			if d > time.Second {
				b.Logf("%s: seen only after %.1f s, at %s", name, d.Seconds(), time.Now().Format("15:04:05"))
			}
			took, after = append(took, d), append(after, max(0, d-written[len(written)-1]))
		}
		for _, name := range shown {
			eligible(name, true)
		}
		none := func(screen string) bool {
			return !slices.ContainsFunc(shown, func(name string) bool { return rowHas(screen, name+" ", "ineligible") })
		}
		if _, err := t.Wait(time.Now(), patience, none); err != nil {
			b.Fatal(err)
		}
		time.Sleep(settle)
	}
	b.ReportMetric(ms(quantile(written, 0.5)), "ms-nomad-p50")
	b.ReportMetric(ms(quantile(written, 0.99)), "ms-nomad-p99")
	b.ReportMetric(ms(quantile(after, 0.5)), "ms-answered-p50")
	b.ReportMetric(ms(quantile(after, 0.99)), "ms-answered-p99")
	b.ReportMetric(ms(quantile(took, 0.5)), "ms-event-p50")
	b.ReportMetric(ms(quantile(took, 0.99)), "ms-event-p99")
}

func rowHas(screen, row, text string) bool {
	for line := range strings.Lines(screen) {
		if strings.Contains(line, row) {
			return strings.Contains(line, text)
		}
	}
	return false
}

// load is how many processes want to run on the machine: with more than a few
// beside the lab, times say little.
func load(b *testing.B) (one float64) {
	text, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		_, err = fmt.Sscan(string(text), &one)
	}
	if err != nil {
		b.Fatal(err)
	}
	return one
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// quantile by the nearest rank: no value that was not measured.
func quantile(d []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// grouped is a number with commas, as the screen has it.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
