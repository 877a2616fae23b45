package facts

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster"
	"stoker/gpu"
)

// TestShape holds what programs rely on, of every view, full and bare.
func TestShape(t *testing.T) {
	snake := regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	snapshots := map[string]*cluster.Snapshot{"filled": filled(t), "bare": bare(t), "none": fed(t)}
	for _, v := range Views() {
		t.Run(v.Name, func(t *testing.T) {
			var names []string
			for _, c := range v.Columns {
				if !snake.MatchString(c.Name) {
					t.Errorf("column %q is not snake_case", c.Name)
				}
				if slices.Contains(names, c.Name) {
					t.Errorf("two columns are called %q", c.Name)
				}
				names = append(names, c.Name)
			}
			if n := len(names); !slices.Equal(names[:2], []string{"cluster", "region"}) || !slices.Equal(names[n-2:], []string{"source", "as_of"}) {
				t.Errorf("a row begins with its place and ends with its source: %v", names)
			}
			if v.Help == "" || len(v.Needs) == 0 {
				t.Error("a view says what it is for and what it needs")
			}
			for name, s := range snapshots {
				rows := v.Rows(s)
				if name == "filled" && len(rows) == 0 {
					t.Error("no rows")
				}
				for _, r := range rows {
					if len(r) != len(v.Columns) {
						t.Fatalf("%s: a row has %d values and the view %d columns: %v", name, len(r), len(v.Columns), r)
					}
					if r[0] != "lab" || r[1] != "global" {
						t.Errorf("%s: the row is not of this place: %v", name, r[:2])
					}
					for i, value := range r {
						plainValue(t, name, &v.Columns[i], value)
					}
				}
			}
		})
	}
}

// plainValue holds that line mode and expressions know what to do with a value.
func plainValue(t *testing.T, snapshot string, column *Column, value any) {
	t.Helper()
	is := column.Type
	switch v := value.(type) {
	case nil:
	case bool:
		is = Bool
	case int, uint64:
		is = Int
	case float64:
		is = Float
	case string:
		is = Text
	case time.Time:
		is = Time
		if v.IsZero() {
			t.Errorf("%s: %s: a time that never was is unknown, not the year 1", snapshot, column.Name)
		}
	default:
		t.Errorf("%s: %s holds a %T", snapshot, column.Name, value)
	}
	if text, ok := value.(string); ok && column.Words != nil && !slices.Contains(column.Words, text) {
		t.Errorf("%s: %s is %q and is said to be one of %q", snapshot, column.Name, text, column.Words)
	}
	if is != column.Type {
		t.Errorf("%s: %s holds a %T and is said to be %s", snapshot, column.Name, value, column.Type)
	}
	if _, err := json.Marshal(value); err != nil {
		t.Errorf("%s: %s: %v", snapshot, column.Name, err)
	}
}

// TestNames holds that a name or an alias means one view.
func TestNames(t *testing.T) {
	seen := map[string]string{}
	for _, v := range Views() {
		for _, name := range append([]string{v.Name}, v.Aliases...) {
			if was, taken := seen[name]; taken {
				t.Errorf("%s means %s and %s", name, was, v.Name)
			}
			seen[name] = v.Name
			if got, ok := Find(name); !ok || got.Name != v.Name {
				t.Errorf("Find(%s) does not find %s", name, v.Name)
			}
		}
	}
	if _, ok := Find("pods"); ok {
		t.Error("found a view that is not there")
	}
}

// TestEverythingKnown holds that no column is always nil: the first row of each
// view of the filled snapshot has the values that its sources gave.
func TestEverythingKnown(t *testing.T) {
	s := filled(t)
	for view, want := range map[string]struct {
		column string
		value  any
		unset  []string // what this row has no reason to have
	}{
		"nodes":     {"node", "gpu-a", []string{"clock_ahead_seconds"}},
		"gpus":      {"uuid", "GPU-1", []string{"parent_uuid", "mig_profile"}},
		"processes": {"pid", 7, nil},
		"jobs":      {"job", "chat", []string{"waiting_since", "gpus_wanted"}},
		"allocs":    {"id", "a1-1111", nil},
		"pools":     {"pool", "gpu", nil},
		"services":  {"service", "chat-api", nil},
		"variables": {"path", "stoker/models/llm", nil},
		"models":    {"job", "chat", []string{"latency_p50_bound", "latency_p95_bound"}},
		"training":  {"job", "train", nil},
		"keys":      {"key", "models", nil},
		"events":    {"subject", "gpu-a/0", nil},
		"sources":   {"name", "agent gpu-b", []string{"last", "retry_at", "as_of", "expires_at"}},

		"deployments": {"id", "d1", nil},
		"evaluations": {"id", "e1", nil},

		"usage":      {"job", "train", []string{"idle_since"}},
		"namespaces": {"namespace", "default", []string{"idle_since"}},
		"idle":       {"uuid", "GPU-2", nil},
		"history":    {"uuid", "GPU-1", nil},
	} {
		var unset []string
		for name, value := range row(t, s, view, want.column, want.value) {
			if value == nil {
				unset = append(unset, name)
			}
		}
		slices.Sort(unset)
		slices.Sort(want.unset)
		if d := cmp.Diff(want.unset, unset); d != "" {
			t.Errorf("%s: unknown columns: %s", view, d)
		}
	}
}

// TestValues spot-checks the joins that the rows add themselves.
func TestValues(t *testing.T) {
	s := filled(t)
	for _, c := range []struct {
		view, column string
		value        any
		want         map[string]any
	}{
		{"nodes", "node", "gpu-a", map[string]any{"gpus": 2, "gpus_held": 2, "gpus_free": 0, "util_percent": 20.0, "power_watts": 1000.0, "temperature_max_celsius": 61.0, "gpu_model": "H100", "allocs": 2}},
		{"nodes", "node", "gpu-b", map[string]any{"state": "ready", "gpus": 1, "gpus_held": 0, "gpus_free": 1, "util_percent": nil, "power_watts": nil, "temperature_max_celsius": nil}},
		{"gpus", "uuid", "GPU-1", map[string]any{"state": "watch", "held": true, "held_by": "default/chat.g[0]", "held_by_job": "default/chat", "held_by_alloc": "a1-1111", "throttle": "sw_power_cap", "source": "agent", "processes": 1}},
		{"gpus", "uuid", "GPU-1", map[string]any{
			"nvlinks": 2, "nvlinks_up": 1, "nvlink_errors": uint64(8), "nvlink_tx_bytes_per_second": 2e9, "throttle_times": "hw_thermal_slowdown=0.000,sw_power_cap=12.500",
			"pcie_generation": 5, "pcie_width_max": 16, "mig": false, "tensor_percent": 40.0, "temperature_margin_celsius": 26.0, "rows_remapped_correctable": uint64(1),
		}},
		{"processes", "pid", 7, map[string]any{"uuid": "GPU-1", "user": "ann", "alloc": "chat.g[0]", "job": "default/chat", "task": "t", "command": "python3 train.py", "cpu_percent": 150.0}},
		{"jobs", "job", "wants", map[string]any{"state": "waiting", "waiting": true, "gpus_wanted": 4, "desired": 4, "gpus_held": 0, "kind": nil, "deployment": nil}},
		{"jobs", "job", "agent", map[string]any{"waiting": false, "desired": nil}}, // a system job runs once a node
		{"allocs", "id", "a1-1111", map[string]any{"gpus": 1, "gpu_uuids": "GPU-1", "restarts": 2, "last_event": "t: Task started", "healthy": true}},
		{"models", "job", "chat", map[string]any{"latency_p99_seconds": 10.0, "latency_p99_bound": "≥", "ttft_p95_bound": "<", "latency_p95_bound": nil, "accuracy": 0.76, "window_seconds": 30.0, "gpu_util_percent": 40.0}},
		{"training", "job", "train", map[string]any{"step": 100.0, "loss": 0.3, "status": "running", "gpus": 1, "gpu_util_percent": 0.0}},
		{"keys", "key", "models", map[string]any{"artifacts": 1, "artifacts_stale": 1, "used_by": "llm:v2", "latest_created": start()}},
		{"usage", "job", "chat", map[string]any{
			"namespace": "default", "gpus": 1, "gpus_reporting": 1, "gpus_idle": 0, "idle_since": nil, "util_percent": 40.0, "power_watts": 500.0, "gpus_with_power": 1,
			"since": start().Add(-2 * time.Second), "energy_joules": 1000.0, "energy_basis": "counter", "energy_complete": true,
			"held_gpu_seconds": 2.0, "busy_gpu_seconds": 0.8, "efficiency_ratio": 0.4, "source": "agent", "as_of": start(),
		}},
		{"namespaces", "namespace", "default", map[string]any{"gpus": 2, "util_percent": 20.0, "power_watts": 1000.0, "energy_joules": 2000.0, "held_gpu_seconds": 4.0, "efficiency_ratio": 0.2}},
		{"namespaces", "namespace", "default", map[string]any{"jobs": 4, "jobs_waiting": 1, "allocs_running": 2, "quota": "small", "pool": "gpu", "meta": "team=ml"}},
		{"namespaces", "namespace", "empty", map[string]any{"gpus": 0, "jobs": 0, "energy_joules": nil, "quota": nil, "source": "nomad"}},
		{"pools", "pool", "gpu", map[string]any{"nodes": 2, "nodes_open": 2, "gpus": 3, "gpus_held": 2, "gpus_free": 1, "gpus_failed": 0, "jobs": 0, "meta": "hall=B,row=7"}},
		{"pools", "pool", "all", map[string]any{"nodes": 2, "gpus": 3}},
		{"deployments", "id", "d1", map[string]any{"desired": 3, "placed": 2, "healthy": 1, "unhealthy": 1, "canaries": 1, "promoted": true, "groups": "g 1/2,h 0/1"}},
		{"evaluations", "id", "e1", map[string]any{
			"unplaced": 4, "node": "gpu-a", "failures": "g: 1 of 2 nodes filtered, 1 exhausted, missing devices (1), memory (1), quota cores", "blocked_id": "e3",
		}},
		{"services", "service", "chat-api", map[string]any{"node": "gpu-a", "alloc": "chat.g[0]", "port": 21001, "tags": "stoker.metrics=/metrics,v2"}},
		{"idle", "uuid", "GPU-2", map[string]any{"state": "quiet", "since": start().Add(-2 * time.Second), "held_by": "default/train.g[0]", "users": "ann", "processes": "python3 (7)"}},
		{"history", "uuid", "GPU-2", map[string]any{"time": time.Unix(start().Unix()-2, 0), "util_percent": 0.0, "memory_percent": 75.0, "power_percent": 71.0, "temperature_celsius": 61.0}},
		{"events", "kind", "gpu", map[string]any{"subject": "gpu-a/0", "level": "warn", "gpu_uuid": "GPU-1", "hit": "default/chat.g[0]", "alloc_ids": "a1-1111", "jobs": "default/chat"}},
		{"events", "kind", "alloc", map[string]any{"gpu_uuid": nil, "hit": nil, "alloc_ids": nil}},
		{"sources", "name", "agent gpu-b", map[string]any{"state": "retrying", "error": "no route to host"}},
	} {
		got := row(t, s, c.view, c.column, c.value)
		for name, want := range c.want {
			if d := cmp.Diff(want, got[name]); d != "" {
				t.Errorf("%s of %s %v: %s", name, c.view, c.value, d)
			}
		}
	}
}

// TestUnknownStaysNil holds that what nobody reported is never 0.
func TestUnknownStaysNil(t *testing.T) {
	s := bare(t)
	for _, c := range []struct {
		view, column string
		value        any
		unknown      []string
	}{
		{"nodes", "node", "gpu-a", []string{"util_percent", "power_watts", "temperature_max_celsius", "as_of"}},
		{"gpus", "uuid", "GPU-1", []string{
			"util_percent", "memory_used_bytes", "memory_total_bytes", "power_watts", "power_limit_watts", "temperature_celsius", "sm_clock_mhz", "memory_clock_mhz",
			"throttle", "ecc_corrected", "ecc_uncorrected", "energy_joules", "health", "health_reason", "processes", "driver", "source", "as_of",
			"vbios", "mig", "persistence", "memory_temperature_celsius", "throttle_times", "pcie_generation", "nvlinks", "nvlinks_up", "nvlink_errors", "ecc_corrected_total",
			"rows_remapped_correctable", "row_remap_pending", "pages_pending", "sm_percent", "tensor_percent", "pstate", "fan_percent", "jpeg_percent",
		}},
		{"jobs", "job", "train", []string{"desired", "waiting_since", "gpus_wanted", "deployment"}},
		{"allocs", "id", "a1-1111", []string{"healthy", "last_event"}},
		{"models", "job", "chat", []string{
			"requests_per_second", "error_ratio", "rejected_ratio", "latency_p50_seconds", "latency_p95_seconds", "latency_p99_seconds", "in_flight", "requests_total",
			"queue", "ttft_p95_seconds", "tokens_per_second", "kv_cache_ratio", "gpu_util_percent", "accuracy", "window_seconds", "source", "as_of",
		}},
		{"training", "job", "train", []string{"step", "planned_steps", "epoch", "loss", "accuracy", "learning_rate", "samples_per_second", "gpu_util_percent", "source", "as_of"}},
		{"namespaces", "namespace", "empty", []string{"util_percent", "power_watts", "energy_joules", "quota", "pool", "description"}},
		{"pools", "pool", "all", []string{"scheduler", "description", "meta", "as_of"}},
		{"variables", "path", "stoker/models/llm", []string{"as_of"}},
		{"keys", "key", "models", []string{"artifacts", "artifacts_stale", "used_by", "latest_created", "as_of"}},
	} {
		got := row(t, s, c.view, c.column, c.value)
		for _, name := range c.unknown {
			if v, ok := got[name]; !ok || v != nil {
				t.Errorf("%s of %s is unknown, not %v", name, c.view, v)
			}
		}
	}
}

// TestUsageBeforeAnyReading: what a job holds is known, and nothing of what it uses.
func TestUsageBeforeAnyReading(t *testing.T) {
	s := fed(t, func(f *cluster.Feed) { f.Scheduler(update()) })
	want := map[string]any{"cluster": "lab", "region": "global", "namespace": "default", "job": "chat", "gpus": 1, "gpus_reporting": 0, "gpus_with_power": 0}
	for name, v := range row(t, s, "usage", "job", "chat") {
		if d := cmp.Diff(want[name], v); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	v, _ := Find("history")
	if rows := v.Rows(s); len(rows) != 0 {
		t.Errorf("a history of nothing: %v", rows)
	}
}

// TestLacks holds that each function is named once, whatever the number of GPUs.
func TestLacks(t *testing.T) {
	s := fed(t, func(f *cluster.Feed) { f.Scheduler(update()) }, func(f *cluster.Feed) { f.GPUs(readings(0)) })
	if got := Lacks(s); got != "" {
		t.Errorf("it has them all: %q", got)
	}
	b := readings(0)
	b.Lacks = []string{"nvmlDeviceGetFanSpeed", "nvmlGpmSampleGet"}
	s = fed(t, func(f *cluster.Feed) { f.Scheduler(update()) }, func(f *cluster.Feed) { f.GPUs(b) })
	want := "this driver's library lacks nvmlDeviceGetFanSpeed, nvmlGpmSampleGet: what they tell is unknown"
	if got := Lacks(s); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := s.GPU("GPU-2").Lacks; len(got) != 2 {
		t.Errorf("on the device: %v", got)
	}
}

func TestEvents(t *testing.T) {
	s := fed(
		t, func(f *cluster.Feed) { f.Scheduler(update()) },
		func(f *cluster.Feed) {
			n := update().Nodes[1]
			n.Status, n.ModifyIndex = cluster.NodeDown, 11
			f.Scheduler(cluster.Update{Index: 11, Nodes: []cluster.Node{n}})
		},
		source("vault", cluster.SourceLive, ""), source("vault", cluster.SourceRetrying, "connection refused"),
	)
	got := row(t, s, "events", "subject", "gpu-b")
	want := map[string]any{
		"cluster": "lab", "region": "global", "time": start().Add(time.Second), "level": "bad", "kind": "node", "subject": "gpu-b", "text": "down",
		"gpu_uuid": nil, "hit": nil, "alloc_ids": nil, "jobs": nil,
		"source": "node", "as_of": start().Add(time.Second),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got := row(t, s, "events", "subject", "vault")["level"]; got != "warn" {
		t.Errorf("a source that is late is a warning, not %v", got)
	}
}

// 0 is what a source says that does not know.
func TestMemoryOfAProcessIsUnknown(t *testing.T) {
	v, _ := Find("processes")
	at := slices.IndexFunc(v.Columns, func(c Column) bool { return c.Name == "memory_used_bytes" })
	for memory, want := range map[uint64]any{0: nil, 5: uint64(5)} {
		row := ProcessRow(&cluster.Snapshot{}, &cluster.GPU{Host: &cluster.Host{}, Device: &gpu.Device{}, Reading: &cluster.Reading{}}, &gpu.Process{PID: 1, MemoryBytes: memory})
		if row[at] != want {
			t.Errorf("%d is told as %v", memory, row[at])
		}
	}
}

// TestKey: no two rows of a view have the same key.
func TestKey(t *testing.T) {
	s := filled(t)
	for _, v := range Views() {
		key := v.Key()
		if key == nil && v.Name != "events" && v.Name != "history" {
			t.Errorf("%s have no key", v.Name)
		}
		seen := map[string]bool{}
		for _, r := range v.Rows(s) {
			name := ""
			for _, i := range key { // a column that is not there is -1
				name += v.Text(r, i) + "\x00"
			}
			if key != nil && seen[name] {
				t.Errorf("%s: two rows are %q", v.Name, name)
			}
			seen[name] = true
		}
	}
}

// TestNoNodesToLookAt: where Nomad looked at no node, none was filtered out of none.
func TestNoNodesToLookAt(t *testing.T) {
	if got := failure(&cluster.PlacementFailure{Group: "g", Unplaced: 1, Quota: []string{"cores"}}); got != "g: no nodes to look at, quota cores" {
		t.Error(got)
	}
}
