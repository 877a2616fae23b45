package main

import (
	"context"
	"reflect"

	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/structs"

	"stoker/gpu"
)

const mib = 1 << 20

// Fingerprint sends the node's devices at once and whenever they or their
// health change.
func (p *plugin) Fingerprint(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
	m, simDir, period, err := p.configured()
	if err != nil {
		return nil, err
	}
	out := make(chan *device.FingerprintResponse)
	go func() {
		defer close(out)
		var sent []*device.DeviceGroup
		first := true
		every(ctx, period, func() {
			groups := groupsOf(m.devices(period), simDir != "")
			// Nomad waits for the first, even when it is empty.
			if !first && reflect.DeepEqual(groups, sent) {
				return
			}
			select {
			case out <- device.NewFingerprint(groups...):
				sent, first = groups, false
			case <-ctx.Done():
			}
		})
	}()
	return out, nil
}

// groupsOf groups devices by product, in the order of their index.
func groupsOf(devices []offered, simulated bool) []*device.DeviceGroup {
	var groups []*device.DeviceGroup
	byName := map[string]*device.DeviceGroup{}
	for _, o := range devices {
		g := byName[o.device.Model]
		if g == nil {
			g = &device.DeviceGroup{Vendor: vendor, Type: device.DeviceTypeGPU, Name: o.device.Model, Attributes: attributes(o, simulated)}
			byName[o.device.Model] = g
			groups = append(groups, g)
		}
		d := &device.Device{
			ID: string(o.device.UUID), Healthy: true,
			HwLocality: &device.DeviceLocality{PciBusID: o.device.PCI},
		}
		// A reason without a failure would change the node, and so wake
		// its jobs, for something that nobody has to act on.
		if h := o.sample.Health; h.Verdict == gpu.VerdictFailed {
			d.Healthy, d.HealthDesc = false, h.Reason
		}
		g.Devices = append(g.Devices, d)
	}
	return groups
}

// attributes are facts that hold for a whole product and do not move: jobs
// are constrained on them.
func attributes(o offered, simulated bool) map[string]*structs.Attribute {
	a := map[string]*structs.Attribute{
		"memory":         structs.NewIntAttribute(int64(o.device.MemoryBytes/mib), structs.UnitMiB),
		"model":          structs.NewStringAttribute(o.device.Model),
		"driver_version": structs.NewStringAttribute(o.driver),
		"cuda_version":   structs.NewStringAttribute(o.cuda),
		"simulated":      structs.NewBoolAttribute(simulated),
	}
	for name, v := range map[string]struct {
		value *float64
		unit  string
	}{
		"power":        {o.device.PowerLimitWatts, structs.UnitW},
		"cores_clock":  {o.device.MaxSMClockMHz, structs.UnitMHz},
		"memory_clock": {o.device.MaxMemClockMHz, structs.UnitMHz},
	} {
		if v.value != nil {
			a[name] = structs.NewIntAttribute(int64(*v.value), v.unit)
		}
	}
	return a
}
