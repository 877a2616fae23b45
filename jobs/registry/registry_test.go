package registry

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stoker/cluster"
	"stoker/secrets"
)

var digest = "sha256:" + strings.Repeat("0a", 32)

func artifact(t *testing.T, name, version string) cluster.Artifact {
	t.Helper()
	urn, err := secrets.NewURN(name, version)
	if err != nil {
		t.Fatal(err)
	}
	return cluster.Artifact{
		URN: urn, Model: name, Version: version, Digest: digest, Key: "models", KeyVersion: 3, Bytes: 123456,
		Created:    time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
		Evaluation: map[string]float64{"accuracy": 0.9638888888888889, "f1": 1},
		TrainedBy:  cluster.JobID{Namespace: "default", Name: "train/digits"},
	}
}

func TestRoundTrip(t *testing.T) {
	plain := artifact(t, "digits", "1")
	plain.Evaluation, plain.TrainedBy = nil, cluster.JobID{}
	for _, tt := range []struct {
		path string
		a    cluster.Artifact
	}{
		{"stoker/models/digits/1", plain},
		{"stoker/models/chat-8b_x/1~2e2~2e0~2brc1", artifact(t, "chat-8b_x", "1.2.0+rc1")},
	} {
		items, err := Encode(tt.a)
		if err != nil {
			t.Fatal(err)
		}
		path, err := Path(tt.a.URN)
		if err != nil || path != tt.path {
			t.Errorf("path %q, %v, want %q", path, err, tt.path)
		}
		items["note"] = "what others wrote stays out of the way"
		got, err := Decode(path, items)
		if diff := cmp.Diff(tt.a, got); err != nil || diff != "" {
			t.Errorf("error %v, difference:\n%s", err, diff)
		}
	}
}

func TestItems(t *testing.T) {
	items, err := Encode(artifact(t, "digits", "1"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"urn": "urn:stoker:model:digits:1", "digest": digest, "key": "models", "key_version": "3", "bytes": "123456",
		"created": "2030-01-02T03:04:05Z", "trained_by": "default/train/digits", "eval.accuracy": "0.9638888888888889", "eval.f1": "1",
	}
	if diff := cmp.Diff(want, items); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good, err := Encode(artifact(t, "digits", "1"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ item, value, want string }{
		{"urn", "urn:stoker:model:digits", "the version is missing"},
		{"urn", "urn:stoker:model:digits:2", "holds urn:stoker:model:digits:2, which does not belong there"},
		{"digest", strings.Repeat("0a", 32), "item digest is"},
		{"digest", digest + "0", "item digest is"},
		{"digest", "", "item digest is"},
		{"key", "../other", "item key is"},
		{"key_version", "0", "item key_version is"},
		{"key_version", "01", "item key_version is"},
		{"bytes", "-1", "item bytes is"},
		{"bytes", "1e3", "item bytes is"},
		{"created", "yesterday", "item created is"},
		{"created", "0001-01-01T00:00:00Z", "item created is"},
		{"trained_by", "train", "item trained_by is"},
		{"eval.accuracy", "NaN", "item eval.accuracy is"},
		{"eval.", "1", "item eval. is"},
	}
	for _, tt := range tests {
		t.Run(tt.item+"="+tt.value, func(t *testing.T) {
			items := maps.Clone(good)
			items[tt.item] = tt.value
			got, err := Decode("stoker/models/digits/1", items)
			if err == nil || !strings.Contains(err.Error(), "stoker/models/digits/1: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if diff := cmp.Diff(cluster.Artifact{}, got); diff != "" {
				t.Errorf("a refused variable gives something: %s", diff)
			}
		})
	}
	for item := range good {
		if item == "trained_by" || strings.HasPrefix(item, "eval.") || item == "urn" {
			continue
		}
		items := maps.Clone(good)
		delete(items, item)
		if _, err := Decode("stoker/models/digits/1", items); err == nil || !strings.Contains(err.Error(), "item "+item+" is missing") {
			t.Errorf("without %s: %v", item, err)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*cluster.Artifact)
		want   string
	}{
		{"no urn", func(a *cluster.Artifact) { a.URN = secrets.URN{} }, "without a URN"},
		{"another name", func(a *cluster.Artifact) { a.Model = "other" }, `called model "other"`},
		{"no time", func(a *cluster.Artifact) { a.Created = time.Time{} }, "creation is missing"},
		{"no digest", func(a *cluster.Artifact) { a.Digest = "" }, "item digest"},
		{"no key version", func(a *cluster.Artifact) { a.KeyVersion = 0 }, "item key_version"},
		{"evaluation", func(a *cluster.Artifact) { a.Evaluation = map[string]float64{"F 1": 1} }, "item eval.F 1"},
		{"too long", func(a *cluster.Artifact) { *a = artifact(t, strings.Repeat("a.", 31), strings.Repeat("1", 60)) }, "too long for a nomad variable by 71"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := artifact(t, "digits", "1")
			tt.change(&a)
			if _, err := Encode(a); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// store is Nomad's part, in memory.
type store struct {
	vars map[string]map[string]string
	err  error
}

func (s *store) ListVariables(_ context.Context, prefix string) ([]string, error) {
	paths := slices.Sorted(maps.Keys(s.vars))
	return slices.DeleteFunc(paths, func(p string) bool { return !strings.HasPrefix(p, prefix) }), s.err
}

func (s *store) ReadVariable(_ context.Context, path string) (map[string]string, error) {
	items, ok := s.vars[path]
	if !ok || items == nil {
		return nil, &cluster.Fault{Kind: cluster.ErrNotFound, Text: "variable not found"}
	}
	return items, nil
}

func (s *store) WriteVariable(_ context.Context, path string, items map[string]string) error {
	s.vars[path] = items
	return s.err
}

func TestRegistry(t *testing.T) {
	ctx := context.Background()
	s := &store{vars: map[string]map[string]string{"stoker/other": {}}}
	r := &Registry{Vars: s, Place: cluster.Place{Cluster: "c"}}
	older, newer, other := artifact(t, "digits", "9"), artifact(t, "digits", "10"), artifact(t, "chat", "1")
	newer.Created = older.Created.Add(time.Hour)
	for _, a := range []cluster.Artifact{newer, older, other} {
		if err := Put(ctx, s, a); err != nil {
			t.Fatal(err)
		}
	}
	s.vars["stoker/models/broken/1"] = map[string]string{"urn": "x"}
	s.vars["stoker/models/gone/1"] = nil
	got, err := r.List(ctx)
	if err == nil || !strings.Contains(err.Error(), "stoker/models/broken/1") || strings.Contains(err.Error(), "gone") {
		t.Errorf("error %v", err)
	}
	want := []cluster.Artifact{other, older, newer}
	for i := range want {
		want[i].Place = r.Place
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if a, err := r.Get(ctx, newer.URN); err != nil || a.Version != "10" {
		t.Errorf("get: %+v, %v", a, err)
	}
	missing, _ := secrets.NewURN("digits", "11")
	if _, err := r.Get(ctx, missing); !errors.Is(err, cluster.ErrNotFound) || !strings.Contains(err.Error(), "model digits version 11 is not registered") {
		t.Errorf("get a missing one: %v", err)
	}
}

func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := &store{vars: map[string]map[string]string{}}
	var states []cluster.SourceState
	r := &Registry{Vars: s, Every: time.Millisecond}
	emitted := 0
	r.Status = func(st cluster.SourceStatus) {
		states = append(states, st.State)
		switch len(states) {
		case 1:
			s.err = &cluster.Fault{Kind: cluster.ErrDenied, Text: "permission denied"}
		case 2:
			s.err = errors.New("no route")
		case 3:
			s.err = nil
		case 4:
			cancel()
		}
	}
	err := r.Run(ctx, func(rows []cluster.Artifact) {
		emitted++
		if len(rows) != 0 {
			t.Errorf("rows %v", rows)
		}
	})
	want := []cluster.SourceState{cluster.SourceLive, cluster.SourceDenied, cluster.SourceRetrying, cluster.SourceLive}
	if diff := cmp.Diff(want, states, cmpopts.EquateEmpty()); diff != "" || emitted != 2 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d emissions, error %v, states:\n%s", emitted, err, diff)
	}
}

// taskDir is a secrets folder with Nomad's socket in it, answered by handler.
func taskDir(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "task") // t.TempDir is too long for a socket on some systems
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "api.sock"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(handler)
	_ = s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return dir
}

func environment(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func TestTaskAPI(t *testing.T) {
	var seen struct {
		method, uri, auth string
		body              map[string]any
	}
	dir := taskDir(t, func(w http.ResponseWriter, r *http.Request) {
		seen.method, seen.uri, seen.auth = r.Method, r.RequestURI, r.Header.Get("Authorization")
		text, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(text, &seen.body)
		_, _ = w.Write([]byte(`{}`))
	})
	if err := os.WriteFile(filepath.Join(dir, "nomad_token"), []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	task, err := NewTaskAPI(environment(map[string]string{"NOMAD_SECRETS_DIR": dir, "NOMAD_NAMESPACE": "ml", "NOMAD_TOKEN": "from-env"}))
	if err != nil {
		t.Fatal(err)
	}
	a := artifact(t, "digits", "1.5")
	if err := Put(context.Background(), task, a); err != nil {
		t.Fatal(err)
	}
	items, err := Encode(a)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"Namespace": "ml", "Path": "stoker/models/digits/1~2e5"}
	sent := map[string]any{}
	for k, v := range items {
		sent[k] = v
	}
	want["Items"] = sent
	if diff := cmp.Diff(want, seen.body); diff != "" {
		t.Error(diff)
	}
	if seen.method != "PUT" || seen.uri != "/v1/var/stoker/models/digits/1~2e5?namespace=ml" || seen.auth != "Bearer from-file" {
		t.Errorf("request %+v", seen)
	}
}

func TestTaskAPIErrors(t *testing.T) {
	answer := func(code int, text string) string {
		return taskDir(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, text)
		})
	}
	tests := []struct {
		name string
		env  map[string]string
		kind error
		want string
	}{
		{"denied", map[string]string{"NOMAD_SECRETS_DIR": answer(403, "Permission denied"), "NOMAD_TOKEN": "t"}, cluster.ErrDenied, "403 Forbidden: Permission denied"},
		{"conflict", map[string]string{"NOMAD_SECRETS_DIR": answer(409, ""), "NOMAD_TOKEN": "t"}, cluster.ErrConflict, "409"},
		{"server", map[string]string{"NOMAD_SECRETS_DIR": answer(500, "No cluster leader"), "NOMAD_TOKEN": "t"}, nil, "No cluster leader"},
		{"no socket", map[string]string{"NOMAD_SECRETS_DIR": t.TempDir(), "NOMAD_TOKEN": "t"}, cluster.ErrUnreachable, "no such file"},
		{"no identity", map[string]string{"NOMAD_SECRETS_DIR": t.TempDir()}, nil, "identity { file = true }"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			task, err := NewTaskAPI(environment(tt.env))
			if err != nil {
				t.Fatal(err)
			}
			err = Put(context.Background(), task, artifact(t, "digits", "1"))
			if err == nil || !strings.Contains(err.Error(), tt.want) || tt.kind != nil && !errors.Is(err, tt.kind) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := NewTaskAPI(environment(nil)); err == nil {
		t.Error("outside a task there is no task API")
	}
}
