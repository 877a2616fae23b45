//go:build cgo && linux

package wire

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// answer is what stoker top --once -o json said.
type answer struct {
	code   int
	rows   []map[string]any
	stderr string
}

func top1(t *testing.T, folder string, env ...string) answer {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := stoker(t, folder, env, "top", "--once", "-d", "0.1", "-o", "json")
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	a := answer{code: cmd.ProcessState.ExitCode(), stderr: errs.String()}
	if strings.Contains(a.stderr, "symbol lookup error") || strings.Contains(a.stderr, "panic") || strings.Contains(a.stderr, "SIG") {
		t.Fatalf("the process died:\n%s", a.stderr)
	}
	if a.code != ExitDone && out.Len() == 0 {
		return a
	}
	if err := json.Unmarshal(out.Bytes(), &a.rows); err != nil {
		t.Fatalf("exit code %d, not JSON: %v\n%s%s", a.code, err, out.Bytes(), a.stderr)
	}
	for _, r := range a.rows {
		delete(r, "as_of")
	}
	slices.SortFunc(a.rows, func(a, b map[string]any) int { return cmp.Compare(a["index"].(float64), b["index"].(float64)) })
	return a
}

// rowsOf are the rows of GPUs, which must be there.
func (a answer) rowsOf(t *testing.T, indices ...float64) []map[string]any {
	t.Helper()
	var out []map[string]any
	for _, n := range indices {
		i := slices.IndexFunc(a.rows, func(r map[string]any) bool { return r["index"] == n })
		if i < 0 {
			t.Fatalf("there is no GPU %v: exit code %d, %v\n%s", n, a.code, a.rows, a.stderr)
		}
		out = append(out, a.rows[i])
	}
	return out
}

// wantSame holds that a row says what it should, or less: nothing wrong.
func wantSame(t *testing.T, want, got map[string]any, but ...string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		g := got[name]
		switch {
		case name == "state" && g == "unknown": // its word for null
			continue
		case want[name] == nil && strings.HasSuffix(name, "_per_second"): // a reading that came late had time for it
			continue
		}
		if g != nil && !gocmp.Equal(g, want[name]) && !slices.Contains(but, name) {
			t.Errorf("%s of GPU %v is %v, want %v or null", name, want["index"], g, want[name])
		}
	}
}

func lacksAreTold(t *testing.T, where, said, function string) {
	t.Helper()
	if !strings.Contains(said, function) {
		t.Errorf("%s does not say that the library lacks %s:\n%s", where, function, said)
	}
}

// versions are the functions that stoker asks for, with those that do the same.
func versions(t *testing.T) (out [][]string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`\{("nvml\w+"(?:, "nvml\w+")*)\}`).FindAllStringSubmatch(projectFile(t, "gpu/nvml/symbols.go"), -1) {
		out = append(out, strings.Split(strings.ReplaceAll(m[1], `"`, ""), ", "))
	}
	if len(out) < 50 {
		t.Fatalf("found %d functions in symbols.go: this test reads it wrongly", len(out))
	}
	return out
}

func TestEveryFunctionMayBeMissing(t *testing.T) {
	d := newDriver(t)
	base := top1(t, d.without(t))
	if base.code != ExitDone || len(base.rows) != 3 || base.stderr != "" {
		t.Fatalf("exit code %d with %d rows from the whole library\n%s", base.code, len(base.rows), base.stderr)
	}
	for _, name := range []string{"util_percent", "memory_used_bytes", "power_watts", "temperature_celsius", "energy_joules", "throttle", "ecc_corrected", "pci", "driver"} {
		if base.rows[0][name] == nil {
			t.Errorf("the whole library leaves %s unknown", name)
		}
	}
	known := versions(t)
	for _, function := range d.functions {
		alone := slices.ContainsFunc(known, func(vs []string) bool { return slices.Equal(vs, []string{function}) })
		t.Run(function, func(t *testing.T) {
			t.Parallel()
			a := top1(t, d.without(t, function))
			if a.code != ExitDone {
				t.Errorf("exit code %d\n%s", a.code, a.stderr)
			}
			for i, row := range a.rowsOf(t, 0, 1, 2) {
				switch function {
				case "nvmlDeviceGetUUID":
					wantSame(t, base.rows[i], row, "uuid")
					if want := fmt.Sprintf("GPU-unnamed-%d", i); row["uuid"] != want {
						t.Errorf("GPU %d has the UUID %v, want %s", i, row["uuid"], want)
					}
				case "nvmlDeviceGetName":
					wantSame(t, base.rows[i], row, "model")
					if row["model"] != "NVIDIA GPU" {
						t.Errorf("GPU %d is a %v", i, row["model"])
					}
				case "nvmlDeviceGetMemoryInfo_v2": // the older one does not set apart what the driver reserves
					wantSame(t, base.rows[i], row, "memory_free_bytes")
				case "nvmlDeviceGetPciInfo_v3": // the older ones know no more
					wantSame(t, base.rows[i], row, "pci")
				default:
					wantSame(t, base.rows[i], row)
				}
			}
			if alone {
				lacksAreTold(t, "top --once", a.stderr, function)
			}
		})
	}
}

func TestOldLibraries(t *testing.T) {
	d := newDriver(t)
	base := top1(t, d.without(t))
	var suffixed []string
	for _, f := range d.functions {
		if regexp.MustCompile(`_v\d$`).MatchString(f) {
			suffixed = append(suffixed, f)
		}
	}
	t.Run("without newer versions", func(t *testing.T) {
		a := top1(t, d.without(t, suffixed...))
		if a.code != ExitDone {
			t.Errorf("exit code %d\n%s", a.code, a.stderr)
		}
		for i, row := range a.rowsOf(t, 0, 1, 2) {
			wantSame(t, base.rows[i], row, "memory_free_bytes")
			for _, name := range []string{"util_percent", "memory_used_bytes", "power_watts", "pci", "processes"} {
				if row[name] == nil {
					t.Errorf("%s of GPU %d is unknown", name, i)
				}
			}
		}
	})
	t.Run("of three functions", func(t *testing.T) {
		a := top1(t, d.only(t, "nvmlInitWithFlags", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2"))
		if a.code != ExitDone {
			t.Errorf("exit code %d\n%s", a.code, a.stderr)
		}
		for i, row := range a.rowsOf(t, 0, 1, 2) {
			if row["uuid"] != fmt.Sprintf("GPU-unnamed-%d", i) || row["util_percent"] != nil || row["memory_total_bytes"] != nil || row["power_watts"] != nil {
				t.Errorf("GPU %d is %v", i, row)
			}
		}
		lacksAreTold(t, "top --once", a.stderr, "nvmlDeviceGetPowerUsage")
	})
	for _, vs := range versions(t) {
		if len(vs) == 1 {
			continue
		}
		t.Run("without any "+vs[0], func(t *testing.T) {
			a := top1(t, d.without(t, vs...))
			if a.code != ExitDone {
				t.Errorf("exit code %d\n%s", a.code, a.stderr)
			}
			for i, row := range a.rowsOf(t, 0, 1, 2) {
				wantSame(t, base.rows[i], row, "processes")
			}
			lacksAreTold(t, "top --once", a.stderr, vs[0])
		})
	}
	for _, missing := range [][]string{
		{"nvmlInit_v2", "nvmlInit", "nvmlInitWithFlags"},
		{"nvmlDeviceGetCount_v2", "nvmlDeviceGetCount"},
		{"nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex"},
	} {
		t.Run("without any "+missing[0], func(t *testing.T) {
			a := top1(t, d.without(t, missing...))
			if a.code != ExitFailed || !strings.Contains(a.stderr, "has no function "+missing[0]) || len(a.rows) > 0 {
				t.Errorf("exit code %d\n%s", a.code, a.stderr)
			}
		})
	}
}

const anyCode = -1

func TestOddLibraries(t *testing.T) {
	d := newDriver(t)
	whole := d.without(t)
	base := top1(t, whole)
	sameBut := func(but string, gpus ...float64) func(*testing.T, answer) {
		return func(t *testing.T, a answer) {
			for _, row := range a.rowsOf(t, gpus...) {
				wantSame(t, base.rows[int(row["index"].(float64))], row, "health", "health_reason", but)
				if row["util_percent"] == nil {
					t.Errorf("GPU %v, which is well, has no reading", row["index"])
				}
			}
		}
	}
	same := func(gpus ...float64) func(*testing.T, answer) { return sameBut("", gpus...) }
	fails := func(words ...string) func(*testing.T, answer) {
		return func(t *testing.T, a answer) {
			for _, w := range words {
				if !strings.Contains(a.stderr, w) {
					t.Errorf("stderr lacks %q:\n%s", w, a.stderr)
				}
			}
			if len(a.rows) > 0 {
				t.Errorf("there are rows: %v", a.rows)
			}
		}
	}
	unknown := func(names ...string) func(*testing.T, answer) {
		return func(t *testing.T, a answer) {
			for _, row := range a.rowsOf(t, 0, 1, 2) {
				for _, name := range names {
					if row[name] != nil {
						t.Errorf("%s of GPU %v is %v, want null", name, row["index"], row[name])
					}
				}
			}
		}
	}
	for name, tt := range map[string]struct {
		ret, odd, gpus string
		code           int
		check          func(*testing.T, answer)
	}{
		"the driver is not loaded":        {ret: "nvmlInit_v2=9", code: ExitUnreachable, check: fails("driver not loaded", "hint:")},
		"library and driver differ":       {ret: "nvmlInit_v2=18", code: ExitFailed, check: fails("differ in version")},
		"no permission":                   {ret: "nvmlInit_v2=4", code: ExitFailed, check: fails("no permission")},
		"init knows no code for it":       {ret: "nvmlInit_v2=4242", code: ExitFailed, check: fails("return code 4242")},
		"the count fails":                 {ret: "nvmlDeviceGetCount_v2=999", code: ExitFailed, check: fails("count GPUs", "unknown error")},
		"shutdown fails":                  {ret: "nvmlShutdown=999", check: same(0, 1, 2)},
		"a GPU is lost":                   {ret: "*@1=15", check: same(0, 2)},
		"a GPU needs a reset":             {ret: "*@1=16", check: same(0, 2)},
		"a GPU has no handle":             {ret: "nvmlDeviceGetHandleByIndex_v2@1=999", check: same(0, 2)},
		"the first GPU has no handle":     {ret: "nvmlDeviceGetHandleByIndex_v2@0=15", check: same(1, 2)},
		"a GPU is lost, handle and all":   {ret: "nvmlDeviceGetHandleByIndex_v2@1=15,*@1=15", check: same(0, 2)},
		"a GPU hangs":                     {ret: "nvmlDeviceGetUtilizationRates@1=hang", check: same(0, 2)},
		"a GPU answers with other errors": {ret: "*@1=999", check: same(0, 2)},
		"a GPU times out":                 {ret: "nvmlDeviceGetPowerUsage@1=10", check: same(0, 1, 2)},
		"one call fails":                  {ret: "nvmlDeviceGetPowerUsage=999", check: unknown("power_watts")},
		"one call knows no code for it":   {ret: "nvmlDeviceGetPowerUsage=4242", check: unknown("power_watts")},
		"events fail at once":             {ret: "nvmlEventSetWait_v2=999", check: same(0, 1, 2)},
		"there are no events":             {ret: "nvmlEventSetCreate=3", check: same(0, 1, 2)},
		"nothing can be registered":       {ret: "nvmlDeviceRegisterEvents=999", check: same(0, 1, 2)},
		"an Xid is there at once":         {odd: "xid", check: sameBut("state", 0, 1, 2)}, // it may be there before the second reading or not
		"another process at each look":    {odd: "processes-more", check: same(0, 1, 2)},
		"more processes than room":        {odd: "processes-beyond", check: sameBut("processes", 0, 1, 2)},
		"too many processes, but none":    {odd: "processes-zero", check: sameBut("processes", 0, 1, 2)},
		"values of another type":          {odd: "field-types", check: same(0, 1, 2)},
		"a cut GPU":                       {odd: "mig", check: same(1, 2)},
		"nothing is supported":            {ret: "*=3", check: unknown("util_percent", "memory_used_bytes", "power_watts", "temperature_celsius", "energy_joules")},
		"absurd numbers": {odd: "absurd", check: unknown("util_percent", "memory_used_bytes", "power_watts", "power_limit_watts",
			"temperature_celsius", "sm_clock_mhz", "memory_clock_mhz", "energy_joules")},
		"an endless name": {odd: "name-endless", check: func(t *testing.T, a answer) {
			if m := a.rowsOf(t, 0)[0]["model"].(string); len(m) > 96 || !strings.HasPrefix(m, "AAAA") {
				t.Errorf("the model is %q", m)
			}
		}},
		"an empty name": {odd: "name-empty", check: func(t *testing.T, a answer) {
			if m := a.rowsOf(t, 0)[0]["model"]; m != "NVIDIA GPU" {
				t.Errorf("the model is %q", m)
			}
		}},
		"a name that is no text": {odd: "name-binary", check: func(t *testing.T, a answer) { a.rowsOf(t, 0, 1, 2) }},
		"no UUID": {odd: "uuid-empty", check: func(t *testing.T, a answer) {
			if u := a.rowsOf(t, 0, 1, 2)[1]["uuid"]; u != "GPU-unnamed-1" {
				t.Errorf("the UUID is %q", u)
			}
		}},
		"one UUID for all": {odd: "uuid-same", check: func(t *testing.T, a answer) {
			uuids := map[any]bool{}
			for _, row := range a.rowsOf(t, 0, 1, 2) {
				uuids[row["uuid"]] = true
			}
			if len(uuids) != 3 {
				t.Errorf("three GPUs are called %v", uuids)
			}
		}},
		"no GPUs": {gpus: "0", code: anyCode, check: func(t *testing.T, a answer) {
			if len(a.rows) != 0 {
				t.Errorf("rows %v", a.rows)
			}
		}},
		"sixteen GPUs": {gpus: "16", check: same(0, 1, 2)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := []string{"NVML_RETURN=" + tt.ret, "NVML_ODD=" + tt.odd}
			if tt.gpus != "" {
				env = append(env, "NVML_GPUS="+tt.gpus)
			}
			a := top1(t, whole, env...)
			if a.code != tt.code && tt.code != anyCode {
				t.Errorf("exit code %d, want %d\n%s", a.code, tt.code, a.stderr)
			}
			tt.check(t, a)
		})
	}
}

// TestAgentOnOddLibraries runs stoker agent, which lives on.
func TestAgentOnOddLibraries(t *testing.T) {
	d := newDriver(t)
	for name, tt := range map[string]struct {
		missing []string
		env     []string
		gpus    int // with a temperature
	}{
		"whole":              {gpus: 3},
		"without power":      {missing: []string{"nvmlDeviceGetPowerUsage"}, gpus: 3},
		"without events":     {missing: []string{"nvmlEventSetCreate"}, gpus: 3},
		"a GPU is lost":      {env: []string{"NVML_RETURN=*@1=15"}, gpus: 2},
		"a GPU hangs":        {env: []string{"NVML_RETURN=nvmlDeviceGetUtilizationRates@1=hang"}, gpus: 2},
		"events fail":        {env: []string{"NVML_RETURN=nvmlEventSetWait_v2=999"}, gpus: 3},
		"processes overflow": {env: []string{"NVML_ODD=processes-beyond"}, gpus: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			metrics, log := agentMetrics(t, d.without(t, tt.missing...), tt.env)
			if n := len(regexp.MustCompile(`(?m)^stoker_gpu_temperature_celsius\{`).FindAllString(metrics, -1)); n != tt.gpus {
				t.Errorf("%d GPUs have a temperature, want %d\n%s", n, tt.gpus, metrics)
			}
			if has := strings.Contains(metrics, "stoker_gpu_power_watts{"); has == slices.Contains(tt.missing, "nvmlDeviceGetPowerUsage") {
				t.Errorf("power is in the metrics: %v", has)
			}
			for _, m := range tt.missing {
				lacksAreTold(t, "the agent's log", log, m)
			}
		})
	}
}

// agentMetrics starts an agent, waits until it has a reading, ends it and
// returns its metrics and its log.
func agentMetrics(t *testing.T, folder string, env []string) (metrics, log string) {
	t.Helper()
	cmd := stoker(t, folder, env, "agent", "--listen", "127.0.0.1:0", "--node", "n1")
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	lines := bufio.NewScanner(pipe)
	address := ""
	for address == "" && lines.Scan() {
		fmt.Fprintln(&said, lines.Text())
		_, address, _ = strings.Cut(lines.Text(), "serving GPUs on ")
	}
	deadline := time.Now().Add(time.Minute)
	for address != "" && !strings.Contains(metrics, "\nstoker_gpu_temperature_celsius{") && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond) // between two looks
		metrics = get(t, address+"/metrics")
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	for lines.Scan() {
		fmt.Fprintln(&said, lines.Text())
	}
	if err := cmd.Wait(); err != nil && cmd.ProcessState.ExitCode() != ExitInterrupted {
		t.Errorf("the agent ended with %v\n%s", err, said.String())
	}
	return metrics, said.String()
}

func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
