package events

import (
	"testing"

	"stoker/cluster"
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/fixture"
)

func open1(e *screen.Env) screen.Screen { return New(e) }

func TestGolden(t *testing.T) {
	fixture.Goldens(t, "busy", fixture.Lost(), open1)
	fixture.Goldens(t, "calm", fixture.Calm(), open1)
	fixture.Themes(t, "busy", fixture.Lost(), open1)
}

func TestEveryWidth(t *testing.T) { fixture.SweepAll(t, fixture.Lost(), open1) }

func TestFilterAndOpen(t *testing.T) {
	m := New(fixture.Env(t))
	m.SetSize(120, 30)
	m.SetSnapshot(fixture.Lost())
	all := m.All()
	if err := m.SetFilter("gpu-b down"); err != nil {
		t.Fatal(err)
	}
	if shown, total := m.Counts(); shown != 1 || total != all {
		t.Fatalf("%d of %d", shown, total)
	}
	msg, ok := fixture.Reply(m.Update(fixture.Key(keys.Open))).(screen.OpenMsg)
	if !ok || msg.Screen != screen.Nodes || msg.Target.Node == "" {
		t.Errorf("%+v", msg)
	}
}

func TestRemoteTextCannotDraw(t *testing.T) {
	s := *fixture.Calm()
	s.Events = []cluster.Event{{At: fixture.Now(), Subject: "a\x1b]0;title\a\tb\u202e", Text: "x\r\ny\x1b[31mred"}}
	m := New(fixture.Env(t))
	m.SetSize(100, 10)
	m.SetSnapshot(&s)
	if got := m.Selected(); got == nil {
		t.Fatal("no row")
	}
	for _, r := range fixture.Picture(m.View()) {
		if r < ' ' && r != '\n' || r == '\u202e' {
			t.Errorf("%q reached the screen", r)
		}
	}
}

// TestAnEventOfAGPU names who was on it, and leads to the GPU.
func TestAnEventOfAGPU(t *testing.T) {
	m := New(fixture.Env(t))
	m.SetSize(120, 30)
	s := fixture.Lab()
	m.SetSnapshot(s)
	if err := m.SetFilter("gpu-a/3 Xid prod/llm-chat.server[1] !unhealthy"); err != nil {
		t.Fatal(err)
	}
	if shown, _ := m.Counts(); shown != 1 {
		t.Fatalf("%d events of the GPU name who was on it", shown)
	}
	msg, ok := fixture.Reply(m.Update(fixture.Key(keys.Open))).(screen.OpenMsg)
	if !ok || msg.Screen != screen.GPUs || msg.Target.GPU != s.GPUs[3].UUID {
		t.Errorf("%+v", msg)
	}
	if err := m.SetFilter(`jobs == "prod/llm-chat" && kind == "gpu"`); err != nil {
		t.Fatal(err)
	}
	if shown, _ := m.Counts(); shown != 2 {
		t.Errorf("by expression: %d", shown)
	}
}
