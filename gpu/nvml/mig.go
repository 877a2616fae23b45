//go:build cgo

package nvml

import (
	"strings"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"stoker/gpu"
)

// refreshMIG asks whether and how the device is cut.
func (p *probe) refreshMIG() {
	d := &p.device
	mode := ask(&p.asker, callMig, func() (mode [2]bool, ret nvml.Return) {
		current, pending, ret := p.handle.GetMigMode()
		return [2]bool{current == nvml.DEVICE_MIG_ENABLE, pending == nvml.DEVICE_MIG_ENABLE}, ret
	})
	d.MIG, d.MIGPending, d.MIGProfiles = nil, nil, nil
	if mode == nil {
		return
	}
	d.MIG, d.MIGPending = &mode[0], &mode[1]
	if !mode[0] {
		return
	}
	for i := range nvml.GPU_INSTANCE_PROFILE_COUNT {
		p.calls++
		if m, ret := p.lib.MIGProfile(p.handle, i); ret == nvml.SUCCESS {
			d.MIGProfiles = append(d.MIGProfiles, gpu.MIGProfile{Name: strings.TrimPrefix(m.Name, "MIG "), Most: m.Most, Free: m.Free})
		}
	}
}

// readInstances adds the MIG instances. The driver tells their memory and
// processes; how busy they are only the performance monitor knows.
func (p *probe) readInstances(now time.Time, r *reading) {
	count := ask(&p.asker, callMigCount, p.handle.GetMaxMigDeviceCount)
	if count == nil {
		return
	}
	present := map[int]bool{}
	for i := range *count {
		inst := ask(&p.asker, callMigDevices, of(p.handle.GetMigDeviceHandleByIndex, i))
		if inst == nil {
			continue // no instance in this place
		}
		if d, s, ok := p.readInstance(now, *inst, present); ok {
			r.devices, r.samples = append(r.devices, d), append(r.samples, s)
		}
	}
	for id, g := range p.instances {
		if !present[id] {
			g.free()
			delete(p.instances, id)
		}
	}
}

func (p *probe) readInstance(now time.Time, h Device, present map[int]bool) (gpu.Device, gpu.Sample, bool) {
	// What an instance cannot answer says nothing of the device that it is part of.
	a := asker{cannot: p.missing}
	defer func() { p.calls += a.calls }()
	uuid := ask(&a, callUUID, h.GetUUID)
	if uuid == nil {
		return gpu.Device{}, gpu.Sample{}, false
	}
	d := gpu.Device{UUID: gpu.UUID(*uuid), Parent: p.device.UUID, Index: p.index, PCI: p.device.PCI, Model: p.device.Model}
	if name := ask(&a, callName, h.GetName); name != nil {
		d.Model = *name
		if _, profile, ok := strings.Cut(*name, " MIG "); ok {
			d.MIGProfile = profile
		}
	}
	m := a.memory(h)
	d.MemoryBytes = m.total
	s := gpu.Sample{UUID: d.UUID, At: now, MemoryUsedBytes: m.used, Processes: processes(&a, h)}
	s.Detail = &gpu.Detail{MemoryFreeBytes: m.free, MemoryReservedBytes: m.reserved}
	if id := ask(&a, callGpuInstance, h.GetGpuInstanceId); id != nil {
		// Two compute instances of one GPU instance share its counters.
		g, known := p.instances[*id]
		if !known {
			if p.instances == nil {
				p.instances = map[int]*gpm{}
			}
			g = newGPM(p, p.handle, id)
			p.instances[*id] = g
		}
		if !present[*id] {
			present[*id] = true
			s.Detail.GPM = g.read()
			if g != nil {
				s.UtilPercent = g.util
			}
		}
	}
	return d, s, true
}
