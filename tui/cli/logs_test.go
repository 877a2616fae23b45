package cli

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"stoker/cluster"
	"stoker/tui/screen/fixture"
)

func TestOneLogThatCannotBeRead(t *testing.T) {
	gone := errors.New("the allocation was collected")
	denied := &cluster.Fault{Kind: cluster.ErrDenied, Text: "nomad: permission denied"}
	for _, tt := range []struct {
		name     string
		fails    func(i int) error // the i-th log that is asked for
		err      error             // nil: none
		part     bool
		printed  bool
		warnings int
	}{
		{"none", func(int) error { return nil }, nil, false, true, 0},
		{"one", func(i int) error { return map[bool]error{true: gone}[i == 0] }, nil, true, true, 1},
		{"every", func(int) error { return gone }, gone, false, false, -1},
		{"denied", func(int) error { return denied }, cluster.ErrDenied, false, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			snap := fixture.Lab()
			job := snap.Job(cluster.JobID{Namespace: "prod", Name: "llm-chat"})
			order := make(chan int, 100)
			for i := range cap(order) {
				order <- i
			}
			read := func(_ context.Context, _ cluster.LogRequest, emit func(cluster.LogLine)) error {
				if err := tt.fails(<-order); err != nil {
					return err
				}
				emit(cluster.LogLine{Text: "hello"})
				return nil
			}
			var out, warn bytes.Buffer
			a := &App{Out: &out, Err: &warn}
			err := a.logs(t.Context(), &Session{Logs: read}, snap, job, logOptions{})
			if tt.part != IsPartial(err) || !tt.part && !errors.Is(err, tt.err) {
				t.Errorf("error %v", err)
			}
			if got := strings.Contains(out.String(), "hello"); got != tt.printed {
				t.Errorf("printed %q", out.String())
			}
			if got := strings.Count(warn.String(), "no log of"); tt.warnings >= 0 && got != tt.warnings {
				t.Errorf("warned %q", warn.String())
			}
		})
	}
}
