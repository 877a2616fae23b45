package nomad

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
)

const logPath = "/v1/client/fs/logs/a1"

func TestLogs(t *testing.T) {
	long := strings.Repeat("x", maxLogLine+10)
	for name, test := range map[string]struct {
		body string
		want []string
	}{
		"lines":                {"one\ntwo\n\nfour\n", []string{"one", "two", "", "four"}},
		"carriage returns":     {"one\r\ntwo\r\n", []string{"one", "two"}},
		"no newline at last":   {"one\ntw", []string{"one", "tw"}},
		"a line of all memory": {long + "\nend\n", []string{long[:maxLogLine], long[maxLogLine:], "end"}},
		"nothing":              {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			srv := newServer(t)
			srv.on("GET "+logPath, status(http.StatusOK, test.body))
			var got []string
			err := open(t, srv.URL).Logs(t.Context(), cluster.LogRequest{Alloc: "a1", Task: "t", Stderr: true, Tail: 100}, func(l cluster.LogLine) {
				if l.Alloc != "a1" || l.Task != "t" || !l.Stderr {
					t.Errorf("line %+v", l)
				}
				got = append(got, l.Text)
			})
			if d := cmp.Diff(test.want, got); d != "" || err != nil {
				t.Error(d, err)
			}
			if q := srv.last(logPath).query.Encode(); q != "follow=false&namespace=%2A&offset=100&origin=end&plain=true&task=t&type=stderr" {
				t.Errorf("asked %s", q)
			}
		})
	}
}

func TestLogsFollow(t *testing.T) {
	srv := newServer(t)
	more, hungUp := make(chan string), make(chan struct{})
	srv.on("GET "+logPath, func(w http.ResponseWriter, r *http.Request) {
		defer close(hungUp)
		for {
			select {
			case text := <-more:
				_, _ = w.Write([]byte(text))
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				return
			}
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	got, ended := make(chan string), make(chan error, 1)
	go func() {
		ended <- open(t, srv.URL).Logs(ctx, cluster.LogRequest{Alloc: "a1", Task: "t", Follow: true}, func(l cluster.LogLine) { got <- l.Text })
	}()
	for _, step := range []struct{ send, want string }{{"one\ntw", "one"}, {"o\n", "two"}} {
		more <- step.send
		select {
		case text := <-got:
			if text != step.want {
				t.Errorf("got %q, want %q", text, step.want)
			}
		case <-time.After(patience):
			t.Fatalf("%q never came", step.want)
		}
	}
	cancel()
	for range 2 {
		select {
		case err := <-ended:
			if err != nil {
				t.Error("stopping to follow is no error:", err)
			}
		case <-hungUp:
			hungUp = nil
		case <-time.After(patience):
			t.Fatal("following did not end")
		}
	}
	if q := srv.last(logPath).query; q.Get("follow") != "true" || q.Get("origin") != "start" {
		t.Errorf("asked %v", q)
	}
}

func TestLogsOfNobody(t *testing.T) {
	srv := newServer(t)
	srv.on("GET "+logPath, status(http.StatusNotFound, `Unknown allocation "a1"`))
	err := open(t, srv.URL).Logs(t.Context(), cluster.LogRequest{Alloc: "a1", Task: "t"}, func(cluster.LogLine) {})
	if !errors.Is(err, cluster.ErrNotFound) || !strings.Contains(err.Error(), "Unknown allocation") {
		t.Error(err)
	}
}
