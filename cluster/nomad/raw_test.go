package nomad

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
)

func TestRaw(t *testing.T) {
	srv := newServer(t)
	c := open(t, srv.URL)
	srv.on("GET /v1/job/a", status(http.StatusOK, `{"Name":"a","ID":"a","Unknown":{"to":["stoker"]}}`))
	raw, err := c.Raw(t.Context(), cluster.Ref{Kind: cluster.RefJob, Namespace: "prod", ID: "a"})
	want := "{\n  \"Name\": \"a\",\n  \"ID\": \"a\",\n  \"Unknown\": {\n    \"to\": [\n      \"stoker\"\n    ]\n  }\n}"
	if d := cmp.Diff(want, string(raw)); d != "" || err != nil {
		t.Error(d, err)
	}
	if q := srv.last("/v1/job/a").query.Get("namespace"); q != "prod" {
		t.Errorf("asked in %q", q)
	}
	for kind, path := range map[cluster.RefKind]string{
		cluster.RefNode: "/v1/node/x", cluster.RefAlloc: "/v1/allocation/x", cluster.RefDeployment: "/v1/deployment/x", cluster.RefEvaluation: "/v1/evaluation/x",
		cluster.RefService: "/v1/service/x", cluster.RefPool: "/v1/node/pool/x", cluster.RefNamespace: "/v1/namespace/x",
	} {
		srv.on("GET "+path, status(http.StatusOK, `[]`))
		if raw, err := c.Raw(t.Context(), cluster.Ref{Kind: kind, ID: "x"}); err != nil || string(raw) != "[]" {
			t.Errorf("%s: %s %v", kind, raw, err)
		}
	}
	if _, err := c.Raw(t.Context(), cluster.Ref{Kind: cluster.RefNode, ID: "gone"}); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("a node that is not there: %v", err)
	}
	if _, err := c.Raw(t.Context(), cluster.Ref{Kind: "GPU", ID: "x"}); err == nil {
		t.Error("Nomad keeps no GPUs")
	}
}

// TestRawVariable: its name is told, and it is never asked what it holds.
func TestRawVariable(t *testing.T) {
	srv := newServer(t)
	c := open(t, srv.URL)
	srv.on("GET /v1/vars", status(http.StatusOK, `[{"Namespace":"prod","Path":"a/b/c"},{"Namespace":"prod","Path":"a/b","ModifyIndex":7}]`))
	ref := cluster.Ref{Kind: cluster.RefVariable, Namespace: "prod", ID: "a/b"}
	raw, err := c.Raw(t.Context(), ref)
	if err != nil || !strings.Contains(string(raw), `"ModifyIndex": 7`) {
		t.Errorf("%s %v", raw, err)
	}
	if q := srv.last("/v1/vars").query; q.Get("prefix") != "a/b" || q.Get("namespace") != "prod" {
		t.Errorf("asked %v", q)
	}
	if n := srv.count("/v1/var/a/b"); n != 0 {
		t.Errorf("read what it holds %d times", n)
	}
	ref.ID = "a"
	if _, err := c.Raw(t.Context(), ref); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("a prefix alone: %v", err)
	}
}
