package pack

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/x/exp/golden"
	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
)

func TestBuiltIn(t *testing.T) {
	packs, err := Library{}.List()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range packs {
		names = append(names, p.Name)
		t.Run(p.Name, func(t *testing.T) {
			if p.Err != nil {
				t.Fatal(p.Err)
			}
			golden.RequireEqual(t, []byte(describe(p)))
		})
	}
	if want := []string{"agent", "digits", "train-digits"}; !slices.Equal(names, want) {
		t.Errorf("packs %v, want %v", names, want)
	}
}

// describe writes what was read of a pack.
func describe(p Pack) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (job %s)\n%s\n\n%s\n", p.Name, p.Job, p.Title, p.Description)
	for _, v := range p.Variables {
		text := "required"
		if v.Default != nil {
			text = fmt.Sprintf("default %q", *v.Default)
		}
		fmt.Fprintf(&b, "\n%s %s, %s\n  %s\n", v.Name, v.Type, text, v.Description)
		for _, r := range v.Validations {
			fmt.Fprintf(&b, "  rule %s: %s\n", r.Condition, r.Message)
		}
	}
	return b.String()
}

const example = `// A job for tests
//
// It has one variable
// of each type.

variable "name" {
  description = "who"
  type        = string
  default     = "x"
  validation {
    condition     = strlen(var.name) < 4 && uuidv5("dns", var.name) != ""
    error_message = "Use a short name."
  }
}
variable "count" {
  type    = number
  default = 2
  validation {
    condition     = var.count > 0 && floor(var.count) == var.count
    error_message = "Use a whole number above 0."
  }
}
variable "fast" {
  type    = bool
  default = false
}
variable "tags" {
  type    = list(string)
  default = ["a", "b"]
}
variable "limits" {
  type    = map(number)
  default = {}
}
variable "api_token" {}
variables {
  later = "no"
  ports = [80, 443]
}
job "example" {}
`

func TestFromFile(t *testing.T) {
	p, err := FromFile("dir/try.nomad.hcl", []byte(example))
	if err != nil {
		t.Fatal(err)
	}
	golden.RequireEqual(t, []byte(describe(p)))
	if v, _ := p.Variable("api_token"); !v.Sensitive {
		t.Error("api_token is not marked sensitive")
	}
	if v, _ := p.Variable("name"); v.Sensitive {
		t.Error("name is marked sensitive")
	}
}

func TestRender(t *testing.T) {
	p, err := FromFile("try.nomad.hcl", []byte(example))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		vars map[string]string
		want map[string]string // literals
		errs []string          // variable: start of the message
	}{
		{name: "defaults", vars: map[string]string{"api_token": ""}, want: map[string]string{"api_token": `""`}},
		{name: "literals", vars: map[string]string{
			"api_token": `a"b${x}`, "count": " 10 ", "fast": "true", "tags": `["x"]`, "limits": "{a=1, \"b c\"=2}", "later": "42", "ports": "[1, 2]",
		}, want: map[string]string{
			"api_token": `"a\"b$${x}"`, "count": "10", "fast": "true", "tags": `["x"]`, "limits": `{ a = 1, "b c" = 2 }`, "later": `"42"`, "ports": `[1, 2]`,
		}},
		{name: "missing", errs: []string{"api_token: must be set"}},
		{name: "types", vars: map[string]string{"api_token": "t", "count": "two", "fast": "yes", "tags": "a,b", "limits": `{a="x"}`}, errs: []string{
			`count: "two" is not a number`, `fast: "yes" is neither true nor false`, `tags: "a,b" is not a list(string), write it as ["a", "b"]`, `limits: "{a=\"x\"}" is not a map(number): `,
		}},
		{name: "bare words", vars: map[string]string{"api_token": "t", "tags": "[a]"}, errs: []string{`tags: "[a]" is not a list(string), write it as ["a", "b"] (texts in quotes)`}},
		{name: "validation", vars: map[string]string{"api_token": "t", "count": "1.5"}, errs: []string{"count: Use a whole number above 0."}},
		{name: "rule with a function of Nomad's", vars: map[string]string{"api_token": "t", "name": "abc"}, want: map[string]string{"api_token": `"t"`, "name": `"abc"`}},
		{name: "unknown", vars: map[string]string{"api_token": "t", "cuont": "1"}, errs: []string{"cuont: try has no such variable; did you mean count?"}},
		{name: "quite unknown", vars: map[string]string{"api_token": "t", "zzzzzzzz": "1"}, errs: []string{"zzzzzzzz: try has no such variable; it has api_token, count, fast,"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := p.Render(tt.vars)
			if len(tt.errs) > 0 {
				expectErrors(t, err, tt.errs)
				return
			}
			want := cluster.JobFile{Name: "try.nomad.hcl", HCL: example, Vars: tt.want}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("error %v, difference:\n%s", err, diff)
			}
		})
	}
}

func expectErrors(t *testing.T, err error, want []string) {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != len(want) {
		t.Fatalf("error %v, want %d errors", err, len(want))
	}
	for i, e := range joined.Unwrap() {
		var value *ValueError
		if !errors.As(e, &value) || !strings.HasPrefix(value.Variable+": "+value.Message, want[i]) {
			t.Errorf("error %q, want one that begins with %q", e, want[i])
		}
	}
}

func TestForms(t *testing.T) {
	tests := []struct {
		name, path, text string
		job, err         string
		json             bool
	}{
		{name: "hcl", path: "-", text: `job "a" {}`, job: "a"},
		{name: "api", path: "a.json", text: `{"Job": {"ID": "a", "TaskGroups": []}}`, job: "a", json: true},
		{name: "bare api", path: "a.json", text: ` {"ID": "a", "TaskGroups": []}`, job: "a", json: true},
		{name: "hcl as json", path: "a.json", text: `{"variable": {"x": {"default": 1}}, "job": {"a": {}}}`, job: "a"},
		{name: "empty", path: "a.hcl", text: "\n", err: "a.hcl is empty"},
		{name: "no job", path: "a.hcl", text: `variable "x" {}`, err: "a.hcl has 0 job blocks"},
		{name: "broken", path: "a.hcl", text: `job "a" {`, err: "a.hcl:1,9-10: Unclosed configuration block"},
		{name: "unknown part", path: "a.hcl", text: "variable \"x\" {\n  sensitive = true\n}\njob \"a\" {}", err: "a.hcl:2,3-12: Unsupported argument"},
		{name: "default against type", path: "a.hcl", text: "variable \"x\" {\n  type = number\n  default = \"y\"\n}\njob \"a\" {}", err: "a.hcl:3,3-16: the default of variable x does not fit its type: a number is required"},
		{name: "twice", path: "a.hcl", text: "variable \"x\" {}\nvariable \"x\" {}\njob \"a\" {}", err: "a.hcl declares variable x twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := FromFile(tt.path, []byte(tt.text))
			if tt.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
					t.Fatalf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			file, err := p.Render(nil)
			if err != nil || p.Job != tt.job || (len(file.JSON) > 0) != tt.json || (file.HCL != "") == tt.json {
				t.Errorf("job %q, file %+v, error %v", p.Job, file, err)
			}
		})
	}
}

func TestDefaultThatItsRuleRefuses(t *testing.T) {
	p, err := FromFile("a.hcl", []byte(`variable "x" {
  default = ""
  validation {
    condition     = var.x != ""
    error_message = "Say x."
  }
}
job "a" {}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Render(nil); err == nil || err.Error() != "variable x: Say x." {
		t.Errorf("error %v", err)
	}
}

func TestLibrary(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	write := func(dir, name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(first, "agent.nomad.hcl", "# Mine\njob \"my-agent\" {}")
	write(first, "broken.hcl", `job "x" {`)
	write(first, "notes.txt", "not a pack")
	write(second, "agent.hcl", "# Also mine\njob \"other-agent\" {}")
	write(second, "own.nomad", `job "own" {}`)
	l := Library{Dirs: []string{first, second, filepath.Join(first, "missing")}}
	packs, err := l.List()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range packs {
		got[p.Name] = p.Title
		if (p.Err != nil) != (p.Name == "broken") {
			t.Errorf("%s: %v", p.Name, p.Err)
		}
	}
	want := map[string]string{"agent": "Mine", "broken": "", "digits": "Serve the digit classifier", "own": "", "train-digits": "Train the digit classifier"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if p, err := l.Find("own"); err != nil || p.Job != "own" {
		t.Errorf("find own: %+v, %v", p, err)
	}
	if _, err := l.Find("broken"); err == nil || !strings.Contains(err.Error(), "Unclosed configuration block") {
		t.Errorf("find broken: %v", err)
	}
	if _, err := l.Find("digist"); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "did you mean digits?") {
		t.Errorf("find digist: %v", err)
	}
}

// TestNomadReadsThePacks gives every pack, with every driver, to Nomad's own
// parser in the form in which it is submitted.
func TestNomadReadsThePacks(t *testing.T) {
	nomad := os.Getenv("STOKER_NOMAD")
	if nomad == "" {
		var err error
		if nomad, err = exec.LookPath("nomad"); err != nil {
			t.Skip("needs the nomad program on PATH or in STOKER_NOMAD: make e2e")
		}
	}
	given := map[string]map[string]string{
		"agent": {
			"interval": "500ms", "token_file": "/etc/stoker/token", "tls_cert": "/etc/stoker/tls/c.pem", "tls_key": "/etc/stoker/tls/k.pem",
			"client_ca": "/etc/stoker/ca.pem", "user": "nobody", "read_environ": "true", "open_metrics": "true", "remember": "/var/lib/stoker/gpus.json",
		},
		"digits":       {"vault_addr": "http://127.0.0.1:8200", "digest": "sha256:00", "replicas": "2", "gpu_model": "NVIDIA L40S"},
		"train-digits": {"vault_addr": "http://127.0.0.1:8200", "job_id": "train-2", "gpus": "0"},
	}
	packs, err := Library{}.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packs {
		for _, driver := range []string{"docker", "exec", "raw_exec"} {
			vars := maps.Clone(given[p.Name])
			vars["driver"] = driver
			if v, _ := p.Variable("driver"); v.Check(driver) != nil {
				continue
			}
			t.Run(p.Name+"/"+driver, func(t *testing.T) {
				file, err := p.Render(vars)
				if err != nil {
					t.Fatal(err)
				}
				expectContract(t, p, parse(t, nomad, file))
			})
		}
	}
}

type nomadJob struct {
	Job struct {
		ID         string
		Type       string
		Meta       map[string]string
		TaskGroups []struct {
			Services []struct {
				Provider string
				Tags     []string
			}
			Tasks []struct {
				Name, Driver string
				Config       struct {
					Command string
					Args    []string // numbers among them fail here, and in the driver
				}
				Vault *struct{ Env bool }
			}
		}
	}
}

func parse(t *testing.T, nomad string, file cluster.JobFile) nomadJob {
	t.Helper()
	dir := t.TempDir()
	var vars strings.Builder
	for name, literal := range file.Vars {
		fmt.Fprintf(&vars, "%s = %s\n", name, literal)
	}
	for name, text := range map[string]string{"job.nomad.hcl": file.HCL, "vars.hcl": vars.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(nomad, "job", "run", "-output", "-var-file", filepath.Join(dir, "vars.hcl"), filepath.Join(dir, "job.nomad.hcl")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var job nomadJob
	if err := json.Unmarshal(out, &job); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	return job
}

func expectContract(t *testing.T, p Pack, job nomadJob) {
	t.Helper()
	kind, ofModel := map[string]string{"digits": "inference", "train-digits": "training"}[p.Name]
	if job.Job.Meta["stoker.kind"] != kind || ofModel && (job.Job.Meta["stoker.model"] != "digits" || job.Job.Meta["stoker.version"] != "1") {
		t.Errorf("meta %v", job.Job.Meta)
	}
	for _, g := range job.Job.TaskGroups {
		if len(g.Services) != 1 || g.Services[0].Provider != "nomad" || ofModel && !slices.Contains(g.Services[0].Tags, "stoker.metrics=/metrics") {
			t.Errorf("services %+v", g.Services)
		}
		for _, task := range g.Tasks {
			if task.Config.Command == "" || len(task.Config.Args) == 0 {
				t.Errorf("task %s has no command line: %+v", task.Name, task.Config)
			}
			if task.Vault != nil && task.Vault.Env {
				t.Errorf("task %s gets its Vault token in the environment", task.Name)
			}
		}
	}
}
