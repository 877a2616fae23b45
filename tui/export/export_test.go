package export

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/charmbracelet/x/exp/golden"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"

	"stoker/cluster"
	"stoker/tui/screen/fixture"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func exporter(s *cluster.Snapshot) *Exporter {
	return &Exporter{Latest: func() *cluster.Snapshot { return s }, Now: fixture.Now, Version: "v0.0.0-test"}
}

func get(t *testing.T, h http.Handler, path, token string) (code int, body string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// withNodes is a snapshot whose list of nodes has its source, as Nomad's adapter
// tells it.
func withNodes(s *cluster.Snapshot) *cluster.Snapshot {
	with := *s
	nodes := cluster.SourceStatus{Name: "nomad/nodes", State: cluster.SourceLive, AsOf: fixture.Now()}
	at := slices.IndexFunc(s.Sources, func(src cluster.SourceStatus) bool { return src.Name == "nomad" }) + 1 // they are sorted
	with.Sources = slices.Insert(slices.Clone(s.Sources), at, nodes)
	return &with
}

// series are the lines of a page without comments and the build of this test.
// Numbers are rounded: the last digits of a sum differ between machines.
func series(t *testing.T, page string) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "stoker_export_build_info") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString(line[:at+1] + strconv.FormatFloat(v, 'f', 2, 64) + "\n")
	}
	return out.String()
}

func TestPage(t *testing.T) {
	code, page := get(t, exporter(withNodes(fixture.Lab())).Handler(), "/metrics", "")
	if code != http.StatusOK {
		t.Fatal(code, page)
	}
	golden.RequireEqual(t, series(t, page))
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %+v", err, problems)
	}
}

// TestOnlyWhatIsTrue: what is not known has no series, whatever it was before.
func TestOnlyWhatIsTrue(t *testing.T) {
	for name, c := range map[string]struct {
		snap     *cluster.Snapshot
		has, not []string
		healthy  bool
	}{
		"all is known": {
			withNodes(fixture.Lab()), []string{"stoker_gpu_holder_info{", "stoker_job_power_watts{", "stoker_namespace_gpus_held{", "stoker_node_info{"}, nil, true,
		},
		"nothing yet": {
			&cluster.Snapshot{}, []string{"stoker_export_build_info{"}, []string{"stoker_gpu", "stoker_job", "stoker_node", "stoker_source", "stoker_export_snapshot"}, false,
		},
		"Nomad is gone for two minutes": {
			withNodes(fixture.Lost()), []string{`stoker_source_up{source="nomad"} 0`, "stoker_node_info{"}, []string{"stoker_gpu", "stoker_job", "stoker_namespace"}, false,
		},
		"allocations may not be read": {
			fixture.Narrow(), []string{`stoker_source_up{source="nomad"} 0`, "stoker_node_info{"}, []string{"stoker_gpu", "stoker_job"}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := exporter(c.snap).Handler()
			_, page := get(t, h, "/metrics", "")
			for _, want := range c.has {
				if !strings.Contains(page, "\n"+want) {
					t.Errorf("no %s", want)
				}
			}
			for _, wrong := range c.not {
				if strings.Contains(page, "\n"+wrong) {
					t.Errorf("there is %s", wrong)
				}
			}
			if code, _ := get(t, h, "/healthz", ""); (code == http.StatusOK) != c.healthy {
				t.Errorf("healthz says %d", code)
			}
		})
	}
}

// TestSeveralClusters: each series says of which cluster it is, none comes twice,
// and whoever is gone is so alone.
func TestSeveralClusters(t *testing.T) {
	h := exporter(fixture.Several()).Handler()
	code, page := get(t, h, "/metrics", "")
	for _, want := range []string{
		`stoker_job_gpus_held{cluster="eu",job="llm-chat",namespace="prod",region="global"} 2`,
		`stoker_job_gpus_held{cluster="lab",job="llm-chat",namespace="prod",region="global"} 3`,
		`stoker_source_up{cluster="eu",region="global",source="nomad"} 1`,
		`stoker_gpus{cluster="eu",region="global",state="free"} 3`,
	} {
		if code != http.StatusOK || !strings.Contains(page, "\n"+want+"\n") {
			t.Errorf("%d: no %s", code, want)
		}
	}
	if code, text := get(t, h, "/healthz", ""); code != http.StatusOK {
		t.Errorf("%d: %s", code, text)
	}
	h = exporter(fixture.NeverThere()).Handler()
	if _, page = get(t, h, "/metrics", ""); !strings.Contains(page, `stoker_job_gpus_held{cluster="lab"`) || strings.Contains(page, `stoker_job_gpus_held{cluster="eu"`) {
		t.Error("the lab is not there alone")
	}
	if code, text := get(t, h, "/healthz", ""); code != http.StatusServiceUnavailable || text != "eu: nomad does not answer\n" {
		t.Errorf("%d: %q", code, text)
	}
}

// TestALateNomadCountsForAWhile: a break of a few seconds makes no gap.
func TestALateNomadCountsForAWhile(t *testing.T) {
	s := *fixture.Lost()
	e := exporter(&s)
	for ago, want := range map[time.Duration]bool{30 * time.Second: true, 90 * time.Second: false} {
		s.Sources = []cluster.SourceStatus{{Name: "nomad", State: cluster.SourceRetrying, AsOf: fixture.Now().Add(-ago)}}
		if _, page := get(t, e.Handler(), "/metrics", ""); strings.Contains(page, "\nstoker_gpu_holder_info{") != want {
			t.Errorf("after %s: %v", ago, !want)
		}
	}
}

func TestWhoIsNotAdmitted(t *testing.T) {
	e := exporter(fixture.Lab())
	e.Admits = func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer right" }
	h := e.Handler()
	for sent, want := range map[string]int{"right": http.StatusOK, "wrong": http.StatusUnauthorized, "": http.StatusUnauthorized} {
		if code, body := get(t, h, "/metrics", sent); code != want || code != http.StatusOK && strings.Contains(body, "stoker_") {
			t.Errorf("%q: %d", sent, code)
		}
	}
	if code, _ := get(t, h, "/healthz", ""); code != http.StatusOK {
		t.Errorf("healthz needs no token: %d", code)
	}
}

// Who announces a body and does not send it is not waited for.
func TestABodyThatDoesNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		srv := exporter(fixture.Lab()).Server()
		ended := make(chan error, 1)
		go func() { ended <- srv.Serve(&one{conn: theirs, closed: make(chan struct{})}) }()
		go func() { _, _ = io.WriteString(ours, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n") }()
		began := time.Now()
		_, _ = io.ReadAll(ours)
		if took := time.Since(began); took > time.Minute {
			t.Errorf("the connection stayed for %s", took)
		}
		ours.Close()
		srv.Close()
		<-ended
	})
}

// one is a listener to which one connection comes.
type one struct {
	conn   net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *one) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *one) Addr() net.Addr { return &net.TCPAddr{} }

func (l *one) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}
