package wire

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"stoker/gpu/sim"
	"stoker/tui/e2e/measure"
)

// measured is how long a process is looked at, after it has settled.
const (
	settle   = 3 * time.Second
	measured = 10 * time.Second
)

// BenchmarkAgent is what an agent with eight simulated GPUs costs its node while
// one stoker reads its stream: in percent of one core, and megabytes.
// The simulation, which computes and writes its state at each reading, is part
// of that. One iteration takes as long
// as is measured.
//
//	go test -run '^$' -bench 'BenchmarkAgent|BenchmarkTop' -benchtime 1x ./tui/wire
func BenchmarkAgent(b *testing.B) {
	for _, interval := range []string{"1s", "100ms"} {
		b.Run(interval, func(b *testing.B) {
			bin, dir := built(b), eight(b)
			for range b.N {
				cmd := exec.Command(bin, "agent", "--sim", dir, "--listen", "127.0.0.1:0", "--interval", interval)
				stderr, err := cmd.StderrPipe()
				if err != nil {
					b.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					b.Fatal(err)
				}
				stop := ended(b, cmd)
				stream(b, stderr)
				costs(b, cmd.Process.Pid)
				stop()
			}
		})
	}
}

// BenchmarkTop is what stoker top with eight simulated GPUs costs in a terminal
// of 120x40, and how long it takes to the first screen with GPUs on it.
func BenchmarkTop(b *testing.B) {
	for _, interval := range []string{"1s", "100ms"} {
		b.Run(interval, func(b *testing.B) {
			bin, dir := built(b), eight(b)
			for range b.N {
				cmd := exec.Command(bin, "top", "--sim", dir, "-d", interval)
				cmd.Env = append(os.Environ(), "TERM=xterm-256color")
				began := time.Now()
				tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 120})
				if err != nil {
					b.Fatal(err)
				}
				stop := ended(b, cmd)
				seen := make(chan time.Duration, 1)
				go look(tty, "H100", began, seen)
				select {
				case took := <-seen:
					b.ReportMetric(float64(took.Milliseconds()), "ms-to-first-screen")
				case <-time.After(30 * time.Second):
					b.Fatal("no screen came")
				}
				costs(b, cmd.Process.Pid)
				stop()
				tty.Close()
			}
		})
	}
}

// look reads the terminal for ever, and tells when a text was first on it.
func look(tty io.Reader, text string, began time.Time, seen chan<- time.Duration) {
	var all []byte
	buf := make([]byte, 64<<10)
	for told := false; ; {
		n, err := tty.Read(buf)
		if err != nil {
			return
		}
		if all = append(all, buf[:n]...); !told && strings.Contains(string(all), text) {
			told = true
			seen <- time.Since(began)
		}
		if told {
			all = nil
		}
	}
}

// built is the program, without the tests in it.
func built(b *testing.B) string {
	b.Helper()
	bin := filepath.Join(b.TempDir(), "stoker")
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "stoker").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return bin
}

func eight(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	if err := sim.Create(dir, sim.Spec{Node: "n1", GPUs: slices.Repeat([]string{sim.H100}, 8)}); err != nil {
		b.Fatal(err)
	}
	return dir
}

// ended stops the process, also when the benchmark fails.
func ended(b *testing.B, cmd *exec.Cmd) (stop func()) {
	done := false
	stop = func() {
		if !done {
			done = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	b.Cleanup(stop)
	return stop
}

// stream waits for the agent's address and reads its stream from then on.
func stream(b *testing.B, stderr io.Reader) {
	b.Helper()
	lines := bufio.NewReader(stderr)
	said, err := lines.ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	_, url, ok := strings.Cut(strings.TrimSpace(said), "serving GPUs on ")
	if !ok {
		b.Fatalf("the agent says %q", said)
	}
	resp, err := http.Get(url + "/v1/stream")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { resp.Body.Close() })
	go func() { _, _ = io.Copy(io.Discard, resp.Body) }()
}

// costs looks at the process for a while.
func costs(b *testing.B, pid int) {
	b.Helper()
	time.Sleep(settle)
	before, err := measure.CPU(pid)
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	time.Sleep(measured)
	after, err := measure.CPU(pid)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(100*(after-before).Seconds()/time.Since(began).Seconds(), "%core")
	resident, own, err := measure.Memory(pid)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(resident)/1e6, "MB-resident")
	b.ReportMetric(float64(own)/1e6, "MB-own")
}
