package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"stoker/cluster"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
)

// written is a LogSource that writes what it has for a log and then ends, or
// waits for its context when the log is followed.
type written struct {
	lines map[string][]string // by group[index] and "out" or "err"
	err   error
	asked chan cluster.LogRequest
}

func (w written) Logs(ctx context.Context, req cluster.LogRequest, emit func(cluster.LogLine)) error {
	if w.asked != nil {
		w.asked <- req
	}
	for _, text := range w.lines[logKey(string(req.Alloc), req.Stderr)] {
		emit(cluster.LogLine{Alloc: req.Alloc, Task: req.Task, Stderr: req.Stderr, Text: text})
	}
	if w.err != nil || !req.Follow {
		return w.err
	}
	<-ctx.Done()
	return nil
}

func logKey(alloc string, stderr bool) string { return fmt.Sprint(alloc, stderr) }

// chat is the log of three servers, with what remote text can hold.
func chat(s *cluster.Snapshot) []piece {
	var out []piece
	for i := range 24 {
		src := i % 3 * 2
		text := fmt.Sprintf("INFO:     10.0.4.%d:5%04d - \"POST /v1/chat/completions HTTP/1.1\" 200 OK", i%5+1, 1000+i*37)
		switch i {
		case 4:
			text = "\x1b[32mINFO\x1b[0m 01-14 14:01:58 engine.py:291] Avg prompt throughput: 812.4 tokens/s, Avg generation throughput: 1040.2 tokens/s, Running: 26 reqs, Waiting: 0 reqs, GPU KV cache usage: 71.3%"
		case 9:
			src, text = 3, "WARNING 01-14 14:02:03 scheduler.py:1481] Sequence group chat-81 is preempted by recompute: not enough KV cache space"
		case 14:
			src, text = 3, "ERROR 01-14 14:02:07 worker.py:118] CUDA error: device lost, Xid 79\tsee dmesg"
		case 18:
			text = "loading 10%\rloading 60%\rloading 100%"
		}
		out = append(out, piece{src, text})
	}
	return out
}

// logs is the screen with the log of a job open and its lines in.
func logs(t *testing.T, s *cluster.Snapshot, job cluster.JobID) func(*screen.Env) screen.Screen {
	return func(e *screen.Env) screen.Screen {
		e.Logs = written{}
		m := New(e)
		m.SetSize(120, 35)
		m.SetSnapshot(s)
		if cmd := m.follow(job, ""); cmd == nil {
			t.Fatal("the log does not open")
		}
		t.Cleanup(m.closeLogs)
		m.Update(logLinesMsg{m.stream, chat(s)})
		return m
	}
}

func TestLogGolden(t *testing.T) {
	s := fixture.Lab()
	job := id("prod", "llm-chat")
	fixture.Goldens(t, "log", s, logs(t, s, job))
	fixture.Goldens(t, "stderr", s, logs(t, s, job), fixture.Key(keys.Stderr), fixture.Key(keys.Stderr), fixture.Key(keys.Wrap))
	fixture.Goldens(t, "filter", s, func(e *screen.Env) screen.Screen {
		m := logs(t, s, job)(e)
		filter(t, m, "worker scheduler")
		filter(t, m, "py")
		return m
	}, fixture.Key(keys.NextMatch))
	fixture.Goldens(t, "waiting", s, func(e *screen.Env) screen.Screen {
		e.Logs = written{}
		m := New(e)
		m.SetSnapshot(s)
		m.follow(id("train", "finetune-7b"), "")
		t.Cleanup(m.closeLogs)
		return m
	})
	fixture.Themes(t, "log", s, func(e *screen.Env) screen.Screen {
		m := logs(t, s, job)(e)
		filter(t, m, "py")
		return m
	})
}

func TestLogEveryWidth(t *testing.T) {
	s := fixture.Lab()
	fixture.Sweep(t, s, logs(t, s, id("prod", "llm-chat")), fixture.Key(keys.Wrap))
}

func TestAJumpOpensTheLogAndEscLeadsBack(t *testing.T) {
	e := fixture.Env(t)
	e.Logs = written{}
	m := New(e)
	m.SetSize(120, 35)
	m.SetSnapshot(fixture.Lab())
	t.Cleanup(m.closeLogs)
	job := id("train", "resnet-sweep")
	if cmd := m.Open(screen.Target{Job: job, Logs: true}); cmd == nil || m.logs == nil || m.logs.job != job {
		t.Fatalf("no log is open:\n%s", fixture.Picture(m.View()))
	}
	if m.Back() || m.logs != nil {
		t.Error("esc closes the log and goes on to where the jump came from")
	}
	m.follow(job, "")
	if !m.Back() || m.logs != nil {
		t.Error("a log that was opened here closes, and that is all")
	}
}

func filter(t *testing.T, m screen.Screen, text string) {
	t.Helper()
	if err := m.(*Model).SetFilter(text); err != nil {
		t.Fatal(err)
	}
}

// play runs commands as Bubble Tea does, until stop or a deadline, and feeds
// their messages back from this goroutine.
func play(t *testing.T, m *Model, cmd tea.Cmd, stop func() bool) {
	t.Helper()
	msgs := make(chan tea.Msg, 64)
	run := func(c tea.Cmd) {
		if c != nil {
			go func() { msgs <- c() }()
		}
	}
	run(cmd)
	deadline := time.After(10 * time.Second)
	for !stop() {
		select {
		case msg := <-msgs:
			if batch, ok := msg.(tea.BatchMsg); ok {
				for _, c := range batch {
					run(c)
				}
				continue
			}
			run(m.Update(msg))
		case <-deadline:
			t.Fatalf("not within the time:\n%s", fixture.Picture(m.View()))
		}
	}
}

func TestLogsOfAllAllocationsMeet(t *testing.T) {
	s := fixture.Lab()
	job := id("prod", "llm-chat")
	w := written{lines: map[string][]string{}}
	for _, a := range s.JobAllocs(job) {
		w.lines[logKey(string(a.ID), false)] = []string{"hello from " + a.Name}
		w.lines[logKey(string(a.ID), true)] = []string{"\x1b[31mcareful\x1b[0m " + a.Name}
	}
	e := fixture.Env(t)
	e.Logs = w
	m := New(e)
	m.SetSize(120, 30)
	m.SetSnapshot(s)
	m.Select(job)
	play(t, m, m.Update(fixture.Key(keys.Logs)), func() bool { return len(m.logs.ring.lines) == 6 })
	view := fixture.Picture(m.View())
	for _, want := range []string{"server[0]  out  hello from llm-chat.server[0]", "server[2]  err  careful llm-chat.server[2]", "● following", "3 allocations", "6 lines"} {
		if !strings.Contains(view, want) {
			t.Errorf("missing %q in\n%s", want, view)
		}
	}
	ctx := m.logs.ctx
	if !m.Back() || m.logs != nil || ctx.Err() == nil {
		t.Error("back closes the log and ends its commands")
	}
}

func TestANewAllocationJoins(t *testing.T) {
	s := fixture.Lab()
	job := id("train", "digits-cnn")
	alloc := s.JobAllocs(job)[0].ID
	before := *s // its task has not started yet
	before.Allocs = slices.Clone(s.Allocs)
	for i := range before.Allocs {
		if a := &before.Allocs[i]; a.ID == alloc {
			a.Tasks = []cluster.Task{{Name: "train", State: "pending"}}
		}
	}
	e := fixture.Env(t)
	asked := make(chan cluster.LogRequest, 8)
	e.Logs = written{asked: asked, lines: map[string][]string{logKey(string(alloc), false): {"epoch 1"}}}
	m := New(e)
	m.SetSize(120, 30)
	m.SetSnapshot(&before)
	cmd := m.follow(job, "")
	defer m.closeLogs()
	if len(m.logs.sources) != 0 || !strings.Contains(m.View(), "no task of train/digits-cnn has started") {
		t.Fatalf("%d sources", len(m.logs.sources))
	}
	m.SetSnapshot(s)
	play(t, m, tea.Batch(cmd, m.Update(screen.TickMsg{Now: fixture.Now()})), func() bool { return len(m.logs.ring.lines) == 1 })
	if r := <-asked; r.Alloc != alloc || !r.Follow || r.Tail == 0 {
		t.Errorf("%+v", r)
	}
	if m.Update(screen.TickMsg{}); len(m.logs.sources) != 2 {
		t.Errorf("%d sources after another tick", len(m.logs.sources))
	}
}

func TestAReplyOfAClosedLogIsDropped(t *testing.T) {
	s := fixture.Lab()
	m := logs(t, s, id("prod", "llm-chat"))(fixture.Env(t)).(*Model)
	old := m.stream
	m.closeLogs()
	m.follow(id("prod", "xray-classify"), "")
	defer m.closeLogs()
	for _, msg := range []tea.Msg{logLinesMsg{old, []piece{{0, "late"}}}, logEndedMsg{old, 0, errGone}} {
		if cmd := m.Update(msg); cmd != nil || len(m.logs.ring.lines) != 0 {
			t.Errorf("%T of a closed view was taken", msg)
		}
	}
	m.closeLogs()
	if cmd := m.Update(logLinesMsg{m.stream, []piece{{0, "later"}}}); cmd != nil {
		t.Error("a closed view asks again")
	}
}

func TestScrollingUpPauses(t *testing.T) {
	s := fixture.Lab()
	m := logs(t, s, id("prod", "llm-chat"))(fixture.Env(t)).(*Model)
	m.SetSize(100, 12)
	v := m.logs
	if !v.follow || v.top != len(v.rows)-10 {
		t.Fatalf("begins at %d of %d", v.top, len(v.rows))
	}
	m.Update(fixture.Key(keys.PageUp))
	at, seq := v.top, v.rows[v.top].seq
	m.Update(logLinesMsg{m.stream, []piece{{0, "more"}, {0, "and more"}}})
	if v.follow || v.top != at || v.rows[v.top].seq != seq {
		t.Errorf("moved from %d to %d while paused", at, v.top)
	}
	if !strings.Contains(fixture.Picture(m.View()), "paused, 12 lines below") {
		t.Error(fixture.Picture(m.View()))
	}
	m.Update(fixture.Key(keys.Bottom))
	m.Update(logLinesMsg{m.stream, []piece{{0, "the end"}}})
	if !v.follow || !strings.Contains(m.View(), "the end") {
		t.Error("at the end it follows again")
	}
}

func TestTheRingLetsGoAndStaysInPlace(t *testing.T) {
	s := fixture.Lab()
	m := logs(t, s, id("prod", "llm-chat"))(fixture.Env(t)).(*Model)
	m.SetSize(100, 12)
	v := m.logs
	v.ring.most = 30
	m.Update(fixture.Key(keys.Up))
	seq := v.rows[v.top].seq
	for i := range 10 {
		m.Update(logLinesMsg{m.stream, []piece{{0, fmt.Sprint("line ", i)}}})
	}
	if v.ring.dropped != 4 || len(v.ring.lines) != 30 || v.rows[0].seq != 4 {
		t.Errorf("dropped %d, kept %d, first %d", v.ring.dropped, len(v.ring.lines), v.rows[0].seq)
	}
	if v.rows[v.top].seq != seq {
		t.Errorf("at %d, was at %d", v.rows[v.top].seq, seq)
	}
	if !strings.Contains(fixture.Picture(m.View()), "last 30 lines, 4 let go") {
		t.Error(fixture.Picture(m.View()))
	}
	m.Update(logLinesMsg{m.stream, []piece{{0, strings.Repeat("x", 40<<10)}}})
	if n := len(v.ring.lines[29].text); n > maxLineText+3 {
		t.Errorf("a line of %d bytes was kept", n)
	}
}

func TestFilterHidesAndSearchMarks(t *testing.T) {
	s := fixture.Lab()
	m := logs(t, s, id("prod", "llm-chat"))(fixture.Env(t)).(*Model)
	m.SetSize(120, 8)
	filter(t, m, "ERROR")
	if shown, all := m.Counts(); shown != 1 || all != 24 || len(m.logs.rows) != 1 {
		t.Fatalf("%d of %d, %d rows", shown, all, len(m.logs.rows))
	}
	m.Update(fixture.Key(keys.NextMatch))
	if len(m.logs.rows) != 24 || m.logs.mark != 14 || m.logs.follow {
		t.Errorf("%d rows, match %d", len(m.logs.rows), m.logs.mark)
	}
	if !strings.Contains(fixture.Picture(m.View()), "▌ server[") {
		t.Error(fixture.Picture(m.View()))
	}
	note, _ := fixture.Reply(m.Update(fixture.Key(keys.NextMatch))).(screen.NoteMsg)
	if note.Text != "no other line matches ERROR" {
		t.Errorf("%q", note.Text)
	}
	m.Update(fixture.Key(keys.OnlyMatches))
	if len(m.logs.rows) != 1 {
		t.Errorf("%d rows", len(m.logs.rows))
	}
}

func TestALogThatCannotBeReadHasNotEnded(t *testing.T) {
	job := id("prod", "llm-chat")
	for name, c := range map[string]struct {
		snap *cluster.Snapshot
		live bool
		want string
	}{
		"unreachable": {fixture.Lost(), true, "nomad is not reachable"},
		"broken off":  {fixture.Lab(), true, "broke off, it is tried again"},
		"ended":       {fixture.Lab(), false, "ended"},
	} {
		m := logs(t, c.snap, job)(fixture.Env(t)).(*Model)
		for i := range m.logs.sources {
			m.logs.sources[i].live = c.live
			m.Update(logEndedMsg{m.stream, i, nil})
		}
		head, _, _ := strings.Cut(fixture.Picture(m.View()), "\n")
		if !strings.Contains(head, c.want) || strings.Contains(head, "ended") != (c.want == "ended") {
			t.Errorf("%s: %s", name, head)
		}
	}
}

func TestABrokenLogIsReadAgain(t *testing.T) {
	s := fixture.Lab()
	e := fixture.Env(t)
	now := fixture.Now()
	e.Now = func() time.Time { return now }
	e.Logs = written{}
	m := New(e)
	m.SetSize(120, 30)
	m.SetSnapshot(s)
	m.follow(id("prod", "llm-chat"), "")
	defer m.closeLogs()
	for range 3 { // it is said once
		m.Update(logEndedMsg{m.stream, 0, errGone})
	}
	if n := len(m.logs.ring.lines); n != 1 || !strings.Contains(m.View(), "no route to host; it is tried again") {
		t.Fatalf("%d lines\n%s", n, fixture.Picture(m.View()))
	}
	m.Update(screen.TickMsg{})
	if m.logs.sources[0].open {
		t.Error("tried again at once")
	}
	now = now.Add(retryAfter)
	if cmd := m.Update(screen.TickMsg{}); cmd == nil || !m.logs.sources[0].open {
		t.Error("not tried again")
	}
}

func BenchmarkLogBatch(b *testing.B) {
	s := fixture.Lab()
	e := fixture.Env(b)
	e.Logs = written{}
	m := New(e)
	m.SetSize(120, 35)
	m.SetSnapshot(s)
	m.follow(id("prod", "llm-chat"), "")
	defer m.closeLogs()
	lines := chat(s)
	for b.Loop() {
		m.Update(logLinesMsg{m.stream, lines})
		_ = m.View()
	}
}
