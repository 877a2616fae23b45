package nomad

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
)

func digits() cluster.JobID { return cluster.JobID{Namespace: "default", Name: "digits"} }

func parseDigits(t *testing.T, srv *server, c *Client) cluster.ParsedJob {
	t.Helper()
	srv.on("PUT /v1/jobs/parse", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(file(t, "parsed.json")) })
	job, err := c.Parse(t.Context(), cluster.JobFile{Name: "digits.hcl", HCL: `job "digits" {}`, Vars: map[string]string{"rev": `"2"`, "count": "3"}})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func TestParse(t *testing.T) {
	srv := newServer(t)
	c := open(t, srv.URL)
	job := parseDigits(t, srv, c)
	if job.ID != digits() || job.Type != "service" {
		t.Errorf("parsed %v of type %s", job.ID, job.Type)
	}
	var asked struct {
		JobHCL, Variables string
		Canonicalize      bool
	}
	if err := json.Unmarshal([]byte(srv.last("/v1/jobs/parse").body), &asked); err != nil {
		t.Fatal(err)
	}
	if asked.JobHCL != `job "digits" {}` || asked.Variables != "count = 3\nrev = \"2\"\n" || !asked.Canonicalize {
		t.Errorf("asked %+v", asked)
	}
}

func TestParseRefusals(t *testing.T) {
	srv := newServer(t)
	c := open(t, srv.URL)
	srv.on("PUT /v1/jobs/parse", status(http.StatusBadRequest,
		`Failed to parse job: input.hcl:6,15-20: Error in function call; Call to function "file" failed: filesystem function disabled., and 1 other diagnostic(s)`))
	_, err := c.Parse(t.Context(), cluster.JobFile{Name: "f.hcl", HCL: "x"})
	var f *cluster.Fault
	if !errors.As(err, &f) || !strings.Contains(err.Error(), "f.hcl reads a file") || !strings.Contains(f.Hint(), "nomad job run -output f.hcl | stoker submit -") {
		t.Errorf("a file function: %v", err)
	}
	srv.on("PUT /v1/jobs/parse", status(http.StatusBadRequest, `Failed to parse job: input.hcl:1,1-2: Argument required`))
	if _, err = c.Parse(t.Context(), cluster.JobFile{Name: "f.hcl", HCL: "x"}); err == nil || !strings.Contains(err.Error(), "input.hcl:1,1-2: Argument required") {
		t.Errorf("a mistake: %v", err)
	}
	for name, doc := range map[string]string{"no JSON": "job x", "no job": `{"Job":{"Name":"x"}}`, "something else": `[1]`} {
		if _, err := c.Parse(t.Context(), cluster.JobFile{Name: "f.json", JSON: []byte(doc)}); err == nil || !strings.Contains(err.Error(), "f.json") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseJSON(t *testing.T) {
	c := open(t, "http://127.0.0.1:1")
	for name, doc := range map[string]string{
		"as nomad job run -output prints it": `{"Job":{"ID":"a","Namespace":"n","Type":"batch"}}`,
		"bare":                               `{"ID":"a","Namespace":"n","Type":"batch"}`,
	} {
		job, err := c.Parse(t.Context(), cluster.JobFile{Name: "f.json", JSON: []byte(doc)})
		if err != nil || job.ID != (cluster.JobID{Namespace: "n", Name: "a"}) || job.Type != "batch" {
			t.Errorf("%s: %v, %v", name, job.ID, err)
		}
	}
}

func TestPlan(t *testing.T) {
	srv := newServer(t)
	c := open(t, srv.URL)
	job := parseDigits(t, srv, c)
	srv.on("PUT /v1/job/digits/plan", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(file(t, "plan.json")) })
	got, err := c.Plan(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	got.Job = cluster.ParsedJob{}
	want := cluster.JobPlan{
		CheckIndex: 270, GPUs: 3,
		Diff: []cluster.DiffLine{
			{Mark: '~', Text: `job "digits"`},
			{Mark: '~', Indent: 1, Text: `group "serve"`},
			{Mark: '~', Indent: 2, Text: `Count: "1" → "3"`},
			{Mark: '~', Indent: 2, Text: `task "server"`},
			{Mark: '~', Indent: 3, Text: `Env[REV]: "1" → "9"`},
		},
		Changes: []cluster.GroupChange{{Group: "serve", Place: 2, Ignore: 1}},
		Failures: []cluster.PlacementFailure{{
			Group: "serve", Unplaced: 1, Evaluated: 1, Exhausted: 1,
			Dimensions: map[string]int{"devices: no devices match request": 1},
		}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if body := srv.last("/v1/job/digits/plan").body; !strings.Contains(body, `"Diff":true`) {
		t.Error("no difference was asked for")
	}
	if _, err := c.Plan(t.Context(), cluster.ParsedJob{ID: digits()}); err == nil {
		t.Error("a job of nobody was planned")
	}
}

func TestSubmit(t *testing.T) {
	srv := newServer(t)
	c := open(t, srv.URL)
	job := parseDigits(t, srv, c)
	srv.on("PUT /v1/jobs", status(http.StatusOK, `{"EvalID":"e1","Warnings":"mind the gap"}`))
	got, err := c.Submit(t.Context(), job, 270)
	if want := (cluster.Submitted{Eval: "e1", Warnings: "mind the gap"}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	var asked struct {
		EnforceIndex   bool
		JobModifyIndex uint64
		Submission     struct{ Source, Format, Variables string }
	}
	if err := json.Unmarshal([]byte(srv.last("/v1/jobs").body), &asked); err != nil {
		t.Fatal(err)
	}
	if !asked.EnforceIndex || asked.JobModifyIndex != 270 || asked.Submission.Source != `job "digits" {}` || asked.Submission.Format != "hcl2" {
		t.Errorf("asked %+v", asked)
	}
	srv.on("PUT /v1/jobs", status(http.StatusInternalServerError, "Enforcing job modify index 3: job exists with conflicting job modify index: 270"))
	var hinter interface{ Hint() string }
	if _, err = c.Submit(t.Context(), job, 3); !errors.Is(err, cluster.ErrConflict) || !errors.As(err, &hinter) || !strings.Contains(hinter.Hint(), "plan again") {
		t.Errorf("a job that changed meanwhile: %v", err)
	}
}

func TestVerbs(t *testing.T) {
	ctx := t.Context()
	odd := cluster.JobID{Namespace: "prod", Name: "a/b"}
	for name, test := range map[string]struct {
		route, answer string
		do            func(*Client) (cluster.Submitted, error)
		want          cluster.Submitted
		query, body   []string
	}{
		"scale": {
			"PUT /v1/job/digits/scale", `{"EvalID":"e1","Warnings":"w"}`,
			func(c *Client) (cluster.Submitted, error) { return c.Scale(ctx, digits(), "serve", 0) },
			cluster.Submitted{Eval: "e1", Warnings: "w"},
			[]string{"namespace=default"},
			[]string{`"Count":0`, `"Group":"serve"`},
		},
		"stop": {
			"DELETE /v1/job/digits", `{"EvalID":"e1"}`,
			func(c *Client) (cluster.Submitted, error) { return c.Stop(ctx, digits(), false) },
			cluster.Submitted{Eval: "e1"},
			[]string{"purge=false", "namespace=default"},
			nil,
		},
		"purge, with a slash in the name": {
			"DELETE /v1/job/a/b", `{"EvalID":"e1"}`,
			func(c *Client) (cluster.Submitted, error) { return c.Stop(ctx, odd, true) },
			cluster.Submitted{Eval: "e1"},
			[]string{"purge=true", "namespace=prod"},
			nil,
		},
		"restart": {
			"PUT /v1/client/allocation/a1/restart", `{}`,
			func(c *Client) (cluster.Submitted, error) { return cluster.Submitted{}, c.RestartAlloc(ctx, "a1") },
			cluster.Submitted{},
			nil,
			[]string{`"TaskName":""`},
		},
		"drain": {
			"PUT /v1/node/n1/drain", `{"EvalIDs":["e1","e2"]}`,
			func(c *Client) (cluster.Submitted, error) { return c.Drain(ctx, "n1", time.Hour) },
			cluster.Submitted{Eval: "e1"},
			nil,
			[]string{`"Deadline":3600000000000`, `"MarkEligible":false`},
		},
		"drain with a deadline": {
			"PUT /v1/node/n1/drain", `{"EvalIDs":[]}`,
			func(c *Client) (cluster.Submitted, error) { return c.Drain(ctx, "n1", time.Minute) },
			cluster.Submitted{},
			nil,
			[]string{`"Deadline":60000000000`},
		},
		"undrain": {
			"PUT /v1/node/n1/drain", `{"EvalIDs":null}`,
			func(c *Client) (cluster.Submitted, error) { return c.Undrain(ctx, "n1") },
			cluster.Submitted{},
			nil,
			[]string{`"DrainSpec":null`, `"MarkEligible":true`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := newServer(t)
			c := open(t, srv.URL)
			if _, err := test.do(c); !errors.Is(err, cluster.ErrNotFound) {
				t.Errorf("of what is not there: %v", err)
			}
			srv.on(test.route, status(http.StatusOK, test.answer))
			got, err := test.do(c)
			if err != nil || got != test.want {
				t.Errorf("%+v, %v", got, err)
			}
			_, path, _ := strings.Cut(test.route, " ")
			asked := srv.last(path)
			for _, q := range test.query {
				if !strings.Contains(asked.query.Encode(), q) {
					t.Errorf("query %s lacks %s", asked.query.Encode(), q)
				}
			}
			for _, b := range test.body {
				if !strings.Contains(asked.body, b) {
					t.Errorf("body %s lacks %s", asked.body, b)
				}
			}
		})
	}
}

func TestVariables(t *testing.T) {
	srv := newServer(t)
	c := open(t, srv.URL)
	srv.on("GET /v1/vars", status(http.StatusOK, `[{"Path":"stoker/a"},{"Path":"stoker/b"}]`))
	paths, err := c.ListVariables(t.Context(), "stoker/")
	if d := cmp.Diff([]string{"stoker/a", "stoker/b"}, paths); d != "" || err != nil {
		t.Error(d, err)
	}
	if q := srv.last("/v1/vars").query.Encode(); q != "namespace=default&prefix=stoker%2F" {
		t.Errorf("asked %s", q)
	}
	if _, err := c.ReadVariable(t.Context(), "stoker/a"); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("a variable that is not there: %v", err)
	}
	srv.on("GET /v1/var/stoker/a", status(http.StatusOK, `{"Path":"stoker/a","Items":{"k":"v"}}`))
	items, err := c.ReadVariable(t.Context(), "stoker/a")
	if d := cmp.Diff(map[string]string{"k": "v"}, items); d != "" || err != nil {
		t.Error(d, err)
	}
	srv.on("PUT /v1/var/stoker/a", status(http.StatusOK, `{}`))
	if err := c.WriteVariable(t.Context(), "stoker/a", map[string]string{"k": "v2"}); err != nil {
		t.Error(err)
	}
	if body := srv.last("/v1/var/stoker/a").body; !strings.Contains(body, `"Items":{"k":"v2"}`) || !strings.Contains(body, `"Path":"stoker/a"`) {
		t.Errorf("wrote %s", body)
	}
}
