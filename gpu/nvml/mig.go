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

// instance is one MIG instance, as long as it lasts.
type instance struct {
	asker  // what it cannot answer says nothing of the device that it is part of
	handle Device
	device gpu.Device
	part   *int // the GPU instance that it lies in; nil when unknown
}

// readInstances adds the MIG instances. The driver tells their memory and
// processes; how busy they are only the performance monitor knows.
func (p *probe) readInstances(now time.Time, r *reading) {
	if n := ask(&p.asker, callMigCount, p.handle.GetMaxMigDeviceCount); n != nil {
		p.places = *n
	}
	shown := map[int]bool{}
	for i := range p.places {
		if inst := p.instanceAt(i); inst != nil {
			r.devices, r.samples = append(r.devices, inst.device), append(r.samples, p.readInstance(now, inst, shown))
		}
	}
	for id, g := range p.parts {
		if !shown[id] {
			g.free()
			delete(p.parts, id)
		}
	}
}

// instanceAt gives the instance in a place, nil for none. What was there stays
// while the driver stumbles: who else would take it for gone would move its jobs.
func (p *probe) instanceAt(place int) *instance {
	if p.cannot[callMigDevices] || p.fault != nvml.SUCCESS {
		return nil
	}
	p.calls++
	h, ret := p.handle.GetMigDeviceHandleByIndex(place)
	inst := p.instances[place]
	switch {
	case ret == nvml.ERROR_NOT_FOUND, ret == nvml.ERROR_INVALID_ARGUMENT:
		delete(p.instances, place)
		return nil
	case permanent(ret):
		p.cannot[callMigDevices] = true
		return nil
	case fatal(ret):
		p.fault = ret
		return nil
	case ret != nvml.SUCCESS:
		return inst
	}
	if inst != nil && inst.handle == Device(h) {
		return inst
	}
	if inst = p.describeInstance(h); inst == nil {
		return nil
	}
	if p.instances == nil {
		p.instances = map[int]*instance{}
	}
	p.instances[place] = inst
	return inst
}

func (p *probe) describeInstance(h Device) *instance {
	inst := &instance{asker: asker{cannot: p.missing}, handle: h}
	defer func() { p.calls += inst.calls }()
	uuid := ask(&inst.asker, callUUID, h.GetUUID)
	if uuid == nil {
		return nil
	}
	d := gpu.Device{UUID: gpu.UUID(*uuid), Parent: p.device.UUID, Index: p.index, PCI: p.device.PCI, Model: p.device.Model}
	if name := ask(&inst.asker, callName, h.GetName); name != nil {
		d.Model = *name
		if _, profile, ok := strings.Cut(*name, " MIG "); ok {
			d.MIGProfile = profile
		}
	}
	d.MemoryBytes = inst.memory(h).total
	inst.device = d
	inst.part = ask(&inst.asker, callGpuInstance, h.GetGpuInstanceId)
	return inst
}

// readInstance reads one instance. Two compute instances of one GPU instance
// share its counters, which are shown once.
func (p *probe) readInstance(now time.Time, inst *instance, shown map[int]bool) gpu.Sample {
	inst.calls = 0
	inst.fault = nvml.SUCCESS
	m := inst.memory(inst.handle)
	s := gpu.Sample{UUID: inst.device.UUID, At: now, MemoryUsedBytes: m.used, Processes: processes(&inst.asker, inst.handle)}
	p.calls += inst.calls
	s.Detail = &gpu.Detail{MemoryFreeBytes: m.free, MemoryReservedBytes: m.reserved}
	if inst.part == nil || shown[*inst.part] {
		return s
	}
	id := *inst.part
	shown[id] = true
	g, known := p.parts[id]
	if !known {
		if p.parts == nil {
			p.parts = map[int]*gpm{}
		}
		g = newGPM(p, p.handle, &id)
		p.parts[id] = g
	}
	if g != nil {
		s.Detail.GPM = g.read()
		s.UtilPercent = g.util
	}
	return s
}
