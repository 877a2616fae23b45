package wire

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/gpu"
	"stoker/gpu/agent"
	"stoker/secrets"
	"stoker/tui/cli"
)

// exporting runs the command's work on a cluster of one job, and returns its
// address and what ends it.
func exporting(t *testing.T, token func() string) (url string, end func() error) {
	t.Helper()
	feed := cluster.NewFeed(cluster.Place{Cluster: "lab", Region: "global"}, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	snapshots, stop := feed.Subscribe()
	defer stop()
	fed := make(chan error, 1)
	go func() { fed <- feed.Run(ctx) }()
	id := cluster.JobID{Namespace: "prod", Name: "chat"}
	feed.Source(cluster.SourceStatus{Name: "nomad", State: cluster.SourceLive, AsOf: time.Now()})
	feed.Scheduler(cluster.Update{
		Lists: cluster.SetAll, Index: 9,
		Nodes: []cluster.Node{{ID: "n1", Name: "gpu-a", Status: cluster.NodeReady, Devices: []cluster.NodeDevice{{UUID: "GPU-1", Healthy: true}}}},
		Allocs: []cluster.Alloc{{
			ID: "a1", Name: "chat.g[0]", Job: id, Node: "n1", Desired: "run", Client: "running", Created: time.Now(), ModifyIndex: 1,
			Tasks: []cluster.Task{{Name: "t", GPUs: []gpu.UUID{"GPU-1"}}},
		}},
	})
	for s := range snapshots {
		if s.Ready {
			break
		}
	}
	said, out := io.Pipe()
	closed := false
	app := &cli.App{Err: out, Now: time.Now, Version: "v1", Connect: func(context.Context, cli.ConnectOptions) (*cli.Session, error) {
		return &cli.Session{Context: contexts.Context{Name: "lab", Configured: true}, Feed: feed, Close: func() { closed = true }}, nil
	}}
	ended := make(chan error, 1)
	go func() { ended <- runExport(ctx, app, cli.ConnectOptions{}, "127.0.0.1:0", token) }()
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url = regexp.MustCompile(`http://\S+`).FindString(line)
	if !strings.HasPrefix(line, "serving lab on ") || url == "" {
		t.Fatalf("it says %q", line)
	}
	return url, func() error {
		cancel()
		err := <-ended
		<-fed
		if !closed {
			t.Error("the session stays open")
		}
		return err
	}
}

func fetch(t *testing.T, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestExport(t *testing.T) {
	url, end := exporting(t, nil)
	want := `stoker_gpu_holder_info{alloc_id="a1",gpu="0",job="chat",namespace="prod",node="gpu-a",task="t",uuid="GPU-1"} 1`
	if code, page := fetch(t, url, ""); code != http.StatusOK || !strings.Contains(page, want) {
		t.Errorf("%d %s", code, page)
	}
	if err := end(); err != nil {
		t.Errorf("interrupting it is no error: %v", err)
	}
}

func TestExportWithAToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first-of-all\n")
	redactor := secrets.NewRedactor()
	url, end := exporting(t, exportToken(t.Context(), redactor, file, io.Discard))
	if code, _ := fetch(t, url, ""); code != http.StatusUnauthorized {
		t.Errorf("without: %d", code)
	}
	if code, _ := fetch(t, url, "first-of-all"); code != http.StatusOK {
		t.Errorf("with: %d", code)
	}
	write("second-of-all\n")
	if code, _ := fetch(t, url, "second-of-all"); code != http.StatusOK {
		t.Errorf("with the one that replaced it: %d", code)
	}
	if got := redactor.Clean("it is second-of-all"); strings.Contains(got, "second") {
		t.Error("the token may be printed")
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// Without a token in its file nobody is let in, and who starts it is told.
func TestExportWithoutATokenYet(t *testing.T) {
	var warn strings.Builder
	file := filepath.Join(t.TempDir(), "token")
	url, end := exporting(t, exportToken(t.Context(), secrets.NewRedactor(), file, &warn))
	if code, _ := fetch(t, url, ""); code != http.StatusUnauthorized {
		t.Errorf("it answers %d", code)
	}
	if !strings.Contains(warn.String(), "there is no token in "+file) {
		t.Errorf("it warns %q", warn.String())
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

func TestExportIsNotExposed(t *testing.T) {
	app := &cli.App{Connect: func(context.Context, cli.ConnectOptions) (*cli.Session, error) {
		t.Error("it connects before it knows that it may listen")
		return nil, errors.New("no")
	}}
	if err := runExport(t.Context(), app, cli.ConnectOptions{}, ":0", nil); !errors.Is(err, agent.ErrExposed) {
		t.Errorf("got %v", err)
	}
}
