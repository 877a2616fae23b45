package main

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device"

	"stoker/gpu"
	"stoker/gpu/sim"
)

// start gives a plugin over simulated GPUs, with a short period. It belongs into
// a bubble: there time passes only while nothing else is left to do, so a slow
// machine is neither a GPU that hangs nor a message that does not come.
func start(t *testing.T, cfg config, gpus ...string) (*plugin, string, []gpu.Device) {
	t.Helper()
	dir := t.TempDir()
	if err := sim.Create(dir, sim.Spec{Node: t.Name(), GPUs: gpus}); err != nil {
		t.Fatal(err)
	}
	devices, err := sim.Devices(dir)
	if err != nil {
		t.Fatal(err)
	}
	cfg.SimDir, cfg.FingerprintPeriod = dir, "50ms"
	p := newPlugin(hclog.NewNullLogger(), time.Now)
	if err := p.SetConfig(&base.Config{PluginConfig: pack(t, cfg)}); err != nil {
		t.Fatal(err)
	}
	closeAfterStreams(t, p)
	return p, dir, devices
}

// closeAfterStreams closes the GPUs when the streams have ended with the test's
// context: one that waits for a lock would stop the time of the bubble, for
// which its holder waits.
func closeAfterStreams(t *testing.T, p *plugin) {
	t.Cleanup(func() {
		synctest.Wait()
		p.monitor.close()
	})
}

func pack(t *testing.T, cfg config) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := codec.NewEncoder(&b, &codec.MsgpackHandle{}).Encode(cfg); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// next waits for one message.
func next[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v, ok := <-from:
		if !ok {
			t.Fatal("the stream ended: Nomad would drop all GPUs of the node")
		}
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was sent")
	}
	panic("unreachable")
}

func healthy(f *device.FingerprintResponse) []bool {
	var hs []bool
	for _, g := range f.Devices {
		for _, d := range g.Devices {
			hs = append(hs, d.Healthy)
		}
	}
	return hs
}

func TestFingerprintOffersEveryGPU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, devices := start(t, config{}, sim.H100, sim.L40S, sim.H100)
		stream, err := p.Fingerprint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f := next(t, stream)
		if len(f.Devices) != 2 || len(f.Devices[0].Devices) != 2 || len(f.Devices[1].Devices) != 1 {
			t.Fatalf("groups %+v, want two H100 and one L40S", f.Devices)
		}
		g := f.Devices[0]
		if err := g.Validate(); err != nil {
			t.Error(err)
		}
		if g.Vendor != "nvidia" || g.Type != "gpu" || g.Name != "NVIDIA H100 80GB HBM3" {
			t.Errorf("group %s/%s/%s", g.Vendor, g.Type, g.Name)
		}
		if d := g.Devices[1]; d.ID != string(devices[2].UUID) || !d.Healthy || d.HwLocality.PciBusID != devices[2].PCI {
			t.Errorf("device %+v, want %+v", d, devices[2])
		}
		if m := g.Attributes["memory"]; *m.Int != 81559 || m.Unit != "MiB" {
			t.Errorf("memory %+v", m)
		}
		if v := g.Attributes["driver_version"]; v.String == nil || *v.String == "" {
			t.Errorf("driver version %+v", v)
		}
	})
}

func TestOneSickGPUIsSeenAndTheOthersStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, dir, _ := start(t, config{HealthyAfter: "300ms"}, sim.H100, sim.H100, sim.H100)
		stream, err := p.Fingerprint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := healthy(next(t, stream)); !slices.Equal(got, []bool{true, true, true}) {
			t.Fatalf("healthy %v", got)
		}
		time.Sleep(5 * time.Second) // uses energy, whose counter tells of the reset
		if err := sim.Inject(dir, sim.Fault{GPU: 1, Kind: sim.FaultXid, Xid: 79}); err != nil {
			t.Fatal(err)
		}
		// That it is lost is read, its Xid is heard of, either may come first. A reset
		// ends what is known by then.
		f := next(t, stream)
		for ; !strings.Contains(f.Devices[0].Devices[1].HealthDesc, "Xid 79"); f = next(t, stream) {
			if got := healthy(f); !slices.Equal(got, []bool{true, false, true}) {
				t.Fatalf("healthy %v after Xid 79", got)
			}
		}
		if err := sim.Clear(dir, 1); err != nil {
			t.Fatal(err)
		}
		for got := healthy(f); !slices.Equal(got, []bool{true, true, true}); got = healthy(next(t, stream)) {
			if !slices.Equal(got, []bool{true, false, true}) { // at most the reason changes
				t.Fatalf("healthy %v on the way back", got)
			}
		}
	})
}

func TestNothingIsSentWhileNothingChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, dir, _ := start(t, config{}, sim.H100)
		stream, err := p.Fingerprint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		next(t, stream)
		// Not a failure, so no change: the GPU gets warmer and is degraded.
		for _, kind := range []sim.Kind{sim.FaultThermal, sim.FaultECC} {
			if err := sim.Inject(dir, sim.Fault{Kind: kind}); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case f := <-stream:
			t.Errorf("sent %+v", f.Devices[0].Devices[0])
		case <-time.After(500 * time.Millisecond):
		}
	})
}

func TestWithoutGPUsTheStreamGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlugin(hclog.NewNullLogger(), time.Now)
		if _, err := p.Fingerprint(t.Context()); err == nil {
			t.Error("a plugin without a config makes a fingerprint")
		}
		if err := p.SetConfig(&base.Config{PluginConfig: pack(t, config{SimDir: t.TempDir(), FingerprintPeriod: "10ms"})}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := p.Fingerprint(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if f := next(t, stream); f.Error != nil || len(f.Devices) != 0 {
			t.Errorf("first message %+v, want no devices and no error", f)
		}
		select {
		case f, ok := <-stream:
			t.Errorf("then %+v, %v", f, ok)
		case <-time.After(100 * time.Millisecond):
		}
		cancel()
		synctest.Wait()
		select {
		case _, ok := <-stream:
			if ok {
				t.Error("a message after the end")
			}
		default:
			t.Error("the stream outlives its context")
		}
	})
}

func TestReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, devices := start(t, config{}, sim.H100, sim.H100)
		ids := []string{string(devices[1].UUID), string(devices[0].UUID)}
		r, err := p.Reserve(ids)
		if err != nil {
			t.Fatal(err)
		}
		list := ids[0] + "," + ids[1]
		for name, want := range map[string]string{
			"NVIDIA_VISIBLE_DEVICES": list, "CUDA_VISIBLE_DEVICES": list, "STOKER_SIM_LOAD": "alloc",
		} {
			if got := r.Envs[name]; got != want {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
		// Nomad lets a device's mounts replace those of the task's volumes.
		if len(r.Mounts) != 0 {
			t.Errorf("mounts %+v, want none", r.Mounts)
		}
		if r, err := p.Reserve([]string{"GPU-other"}); err == nil {
			t.Errorf("an unknown GPU is reserved: %+v", r)
		}
	})
}

func TestIgnoredGPUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, dir, devices := start(t, config{}, sim.H100, sim.H100)
		p := newPlugin(hclog.NewNullLogger(), time.Now)
		cfg := config{SimDir: dir, IgnoredGPUs: []string{string(devices[0].UUID)}}
		if err := p.SetConfig(&base.Config{PluginConfig: pack(t, cfg)}); err != nil {
			t.Fatal(err)
		}
		closeAfterStreams(t, p)
		stream, err := p.Fingerprint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f := next(t, stream)
		if got := f.Devices[0].Devices; len(got) != 1 || got[0].ID != string(devices[1].UUID) {
			t.Errorf("offered %+v", got)
		}
		if _, err := p.Reserve([]string{string(devices[0].UUID)}); err == nil {
			t.Error("an ignored GPU is reserved")
		}
	})
}

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, dir, devices := start(t, config{}, sim.L40S, sim.L40S)
		stream, err := p.Stats(t.Context(), 50*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		s := next(t, stream)
		if s.Error != nil || len(s.Groups) != 1 || s.Groups[0].Name != "NVIDIA L40S" {
			t.Fatalf("stats %+v", s)
		}
		one := s.Groups[0].InstanceStats[string(devices[0].UUID)]
		for name, want := range map[string]struct {
			unit        string
			from, to    int64
			denominator int64
		}{
			"GPU utilization":    {"%", 0, 0, 0},
			"Memory utilization": {"%", 0, 0, 0},
			"Power usage":        {"W", 30, 40, 350},
			"Temperature":        {"C", 20, 40, 0},
			"Memory state":       {"MiB", 0, 0, 46068},
		} {
			v := one.Stats.Attributes[name]
			if v == nil || v.IntNumeratorVal == nil || v.Unit != want.unit || *v.IntNumeratorVal < want.from || *v.IntNumeratorVal > want.to {
				t.Errorf("%s = %+v, want %+v", name, v, want)
				continue
			}
			if want.denominator != 0 && (v.IntDenominatorVal == nil || *v.IntDenominatorVal != want.denominator) {
				t.Errorf("%s = %+v, want it out of %d", name, v, want.denominator)
			}
		}
		if one.Timestamp.IsZero() || one.Summary == nil {
			t.Errorf("timestamp %v, summary %v", one.Timestamp, one.Summary)
		}
		if err := sim.Inject(dir, sim.Fault{GPU: 0, Kind: sim.FaultLost}); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(5 * time.Second)
		for {
			s := next(t, stream)
			lost := s.Groups[0].InstanceStats[string(devices[0].UUID)].Stats.Attributes["Power usage"]
			other := s.Groups[0].InstanceStats[string(devices[1].UUID)].Stats.Attributes["Power usage"]
			if other.IntNumeratorVal == nil {
				t.Fatal("the GPU beside a lost one has no power")
			}
			if lost.StringVal != nil && *lost.StringVal == "N/A" && lost.IntNumeratorVal == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("a lost GPU still has a power: %+v", lost)
			}
		}
	})
}

// A GPU cut into instances is offered as those, and each has its own numbers.
func TestInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, _ := start(t, config{}, sim.H100+":3g.40gb,1g.10gb", sim.H100)
		prints, err := p.Fingerprint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		offers := map[string]int{}
		for _, g := range next(t, prints).Devices {
			offers[g.Name] = len(g.Devices)
		}
		want := map[string]int{"NVIDIA H100 80GB HBM3 MIG 3g.40gb": 1, "NVIDIA H100 80GB HBM3 MIG 1g.10gb": 1, "NVIDIA H100 80GB HBM3": 1}
		if !maps.Equal(want, offers) {
			t.Errorf("offered %v, want %v", offers, want)
		}
		stream, err := p.Stats(t.Context(), 50*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		next(t, stream)
		for _, g := range next(t, stream).Groups { // the performance monitor compares two looks
			for id, one := range g.InstanceStats {
				util, memory := one.Stats.Attributes["GPU utilization"], one.Stats.Attributes["Memory state"]
				if util.IntNumeratorVal == nil || memory.IntDenominatorVal == nil {
					t.Errorf("%s %s: util %+v, memory %+v", g.Name, id, util, memory)
				}
			}
		}
	})
}

func TestBadConfig(t *testing.T) {
	for name, cfg := range map[string]config{
		"no duration": {FingerprintPeriod: "soon"},
		"zero":        {FingerprintPeriod: "0s"},
		"negative":    {HealthyAfter: "-1s"},
	} {
		p := newPlugin(hclog.NewNullLogger(), time.Now)
		if err := p.SetConfig(&base.Config{PluginConfig: pack(t, cfg)}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	p := newPlugin(hclog.NewNullLogger(), time.Now)
	if err := p.SetConfig(&base.Config{PluginConfig: []byte{0xc1}}); err == nil || errors.Unwrap(err) == nil {
		t.Errorf("broken msgpack: %v", err)
	}
}
