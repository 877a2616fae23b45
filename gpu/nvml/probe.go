//go:build cgo

package nvml

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"stoker/gpu"
)

// reading is one device and its instances as one probe found them.
type reading struct {
	devices []gpu.Device // the device, then its MIG instances
	samples []gpu.Sample // of the same, without health
	fault   nvml.Return  // not SUCCESS: the device answers nothing, the rest is empty
}

// probe reads one device. It is used by one goroutine at a time.
type probe struct {
	asker
	lib     Library
	index   int
	missing unsupported
	watch   *watcher // nil when the library has no events

	handle    Device // nil until known, and after the device was lost
	device    gpu.Device
	slow      slow
	slowAt    time.Time // when slow was read
	pcieTx    *float64
	pcieRx    *float64
	links     *links
	want      []nvml.FieldValue // room for the fields of a reading
	gpm       *gpm
	procs     processUtil
	places    int               // that MIG instances can have
	instances map[int]*instance // MIG instances by their place
	parts     map[int]*gpm      // by the GPU instance that they watch
}

// asker makes the calls for one device or one instance of it.
type asker struct {
	cannot unsupported // what it does not support
	fault  nvml.Return // of the read under way
	calls  int         // made to the driver so far
	room   []float64   // for numbers of samples; never written twice
}

// ask makes one call, unless the device has said before that it cannot
// answer it, or answers nothing any more. It is nil too where the answer is
// NVML's number for "not available".
func ask[T any](p *asker, c call, f func() (T, nvml.Return)) (answer *T) {
	if p.cannot[c] || p.fault != nvml.SUCCESS {
		return nil
	}
	p.calls++
	v, ret := f()
	switch {
	case ret == nvml.SUCCESS:
		if unavailable(v) {
			return nil
		}
		return &v
	case permanent(ret):
		p.cannot[c] = true
	case fatal(ret):
		p.fault = ret
	}
	return nil
}

// unavailable tells a number of which all bits are set, of 32 or 64.
func unavailable(v any) bool {
	switch v := v.(type) {
	case uint32:
		return v == math.MaxUint32
	case int: // go-nvml makes one of 32 bits without a sign
		return v == math.MaxUint32 || v == -1
	case uint64:
		return v == math.MaxUint64
	}
	return false
}

// settings is how long what an operator sets, and what wears out, is taken as
// unchanged: these calls tell nothing new at most readings.
const settings = 10 * time.Second

// read asks the device for everything.
func (p *probe) read(now time.Time, withPCIe bool) reading {
	p.fault = nvml.SUCCESS
	if p.handle == nil {
		if ret := p.describe(); ret != nvml.SUCCESS {
			return reading{fault: ret}
		}
		p.slowAt = time.Time{}
	}
	if p.watch != nil && p.watch.wasRecut(p.device.UUID) {
		p.slowAt = time.Time{}
	}
	if age := now.Sub(p.slowAt); p.slowAt.IsZero() || age < 0 || age >= settings {
		was := p.device.MIG
		p.refresh()
		if is := p.device.MIG; was != nil && is != nil && *was != *is {
			// What a device can answer depends on that: it is asked for all anew.
			p.forget()
			if ret := p.describe(); ret != nvml.SUCCESS {
				return reading{fault: ret}
			}
			p.refresh()
		}
		p.slowAt = now
	}
	if withPCIe {
		p.measurePCIe()
	}
	s := p.sample(now)
	s.Detail = p.detail(now)
	r := reading{devices: []gpu.Device{p.device}, samples: []gpu.Sample{s}}
	if m := p.device.MIG; m != nil && *m {
		r.samples[0].Processes = nil // each is its instance's
		p.readInstances(now, &r)
	}
	if p.fault != nvml.SUCCESS {
		p.forget()
		return reading{fault: p.fault}
	}
	return r
}

// forget drops what belongs to the handle of a device that was lost.
func (p *probe) forget() {
	p.gpm.free()
	for _, g := range p.parts {
		g.free()
	}
	p.handle, p.gpm, p.instances, p.parts, p.links = nil, nil, nil, nil, nil
}

// describe takes the handle and what does not change.
func (p *probe) describe() nvml.Return {
	h, ret := p.lib.DeviceGetHandleByIndex(p.index)
	if ret != nvml.SUCCESS {
		return ret
	}
	p.cannot = p.missing // the device may have been exchanged or reset
	// What names the device must be known, or at least known to be unknowable.
	d := nameless(p.index)
	for _, id := range []struct {
		call call
		get  func() (string, nvml.Return)
		set  func(string)
	}{
		{callUUID, h.GetUUID, func(s string) { d.UUID = gpu.UUID(s) }},
		{callName, h.GetName, func(s string) { d.Model = s }},
		{callPCI, func() (string, nvml.Return) {
			info, ret := h.GetPciInfo()
			return busID(info), ret
		}, func(s string) { d.PCI = s }},
	} {
		if p.cannot[id.call] {
			continue
		}
		p.calls++
		s, ret := id.get()
		switch {
		case ret == nvml.SUCCESS && s != "":
			id.set(strings.ToValidUTF8(s, "\uFFFD"))
		case ret != nvml.SUCCESS && !permanent(ret):
			return ret
		}
	}
	p.limits(h, &d)
	if p.fault == nvml.SUCCESS {
		p.handle, p.device = h, d
		p.links = p.findLinks()
		p.gpm = newGPM(p, h, nil)
		if p.watch != nil && !p.cannot[callEvents] {
			p.watch.register(h, d.UUID, p.eventTypes())
		}
	}
	return p.fault
}

// nameless is a device of which nothing is known but its place.
func nameless(index int) gpu.Device {
	return gpu.Device{UUID: gpu.Unnamed(index), Index: index, Model: "NVIDIA GPU"}
}

// limits describes what a device can do.
func (p *probe) limits(h Device, d *gpu.Device) {
	if s := ask(&p.asker, callSerial, h.GetSerial); s != nil {
		d.Serial = *s
	}
	if s := ask(&p.asker, callVBIOS, h.GetVbiosVersion); s != nil {
		d.VBIOS = *s
	}
	d.MemoryBytes = p.memory(h).total
	if b := ask(&p.asker, callBAR1, h.GetBAR1MemoryInfo); b != nil {
		d.BAR1Bytes = &b.Bar1Total
	}
	d.PowerDefaultLimitWatts = scaled(&p.asker, ask(&p.asker, callPowerDefault, h.GetPowerManagementDefaultLimit), 1e-3)
	d.MaxSMClockMHz = scaled(&p.asker, ask(&p.asker, callMaxClock, of(h.GetMaxClockInfo, nvml.CLOCK_SM)), 1)
	d.MaxMemClockMHz = scaled(&p.asker, ask(&p.asker, callMaxMemClock, of(h.GetMaxClockInfo, nvml.CLOCK_MEM)), 1)
	d.SlowdownCelsius = scaled(&p.asker, ask(&p.asker, callThreshold, of(h.GetTemperatureThreshold, nvml.TEMPERATURE_THRESHOLD_SLOWDOWN)), 1)
	d.ShutdownCelsius = scaled(&p.asker, ask(&p.asker, callShutdown, of(h.GetTemperatureThreshold, nvml.TEMPERATURE_THRESHOLD_SHUTDOWN)), 1)
	d.MaxMemTempCelsius = scaled(&p.asker, ask(&p.asker, callMemThreshold, of(h.GetTemperatureThreshold, nvml.TEMPERATURE_THRESHOLD_MEM_MAX)), 1)
	d.MaxPCIeGen = ask(&p.asker, callMaxPCIeLink, h.GetMaxPcieLinkGeneration)
	d.MaxPCIeWidth = ask(&p.asker, callMaxPCIeWidth, h.GetMaxPcieLinkWidth)
}

// eventTypes are those that the device can report, of those that are of use.
func (p *probe) eventTypes() uint64 {
	const wanted = nvml.EventTypeXidCriticalError | nvml.EventTypeSingleBitEccErrorStorm | nvml.EventTypeDoubleBitEccError |
		nvml.EventTypeDramRetirementEvent | nvml.EventTypeDramRetirementFailure | nvml.EventTypeFatalPoisonError | nvml.EventTypeNonFatalPoisonError |
		nvml.EventTypeClock | nvml.EventTypePowerSourceChange | nvml.EventMigConfigChange
	can := ask(&p.asker, callEventTypes, func() (uint64, nvml.Return) {
		h, ret := p.lib.DeviceGetHandleByIndex(p.index)
		if ret != nvml.SUCCESS {
			return 0, ret
		}
		return h.GetSupportedEventTypes()
	})
	if can == nil {
		return nvml.EventTypeXidCriticalError
	}
	return *can & wanted
}

// slow is what is read now and then.
type slow struct {
	bar1Used                     *uint64
	eccCorrected, eccUncorrected *uint64
	pagesSingle, pagesDouble     *uint64
	pagesPending                 *bool
}

// refresh reads what an operator sets, and what wears out.
func (p *probe) refresh() {
	h, d := p.handle, &p.device
	d.PowerLimitWatts = scaled(&p.asker, ask(&p.asker, callPowerLimit, h.GetEnforcedPowerLimit), 1e-3)
	d.ComputeMode = computeMode(ask(&p.asker, callComputeMode, h.GetComputeMode))
	d.Persistence = enabled(ask(&p.asker, callPersistence, h.GetPersistenceMode))
	d.ECC = enabled(ask(&p.asker, callECCMode, func() (nvml.EnableState, nvml.Return) {
		current, _, ret := h.GetEccMode()
		return current, ret
	}))
	p.refreshMIG()
	s := slow{
		eccCorrected:   ask(&p.asker, callECCTotal, p.ecc(nvml.MEMORY_ERROR_TYPE_CORRECTED, nvml.AGGREGATE_ECC)),
		eccUncorrected: ask(&p.asker, callECCTotal, p.ecc(nvml.MEMORY_ERROR_TYPE_UNCORRECTED, nvml.AGGREGATE_ECC)),
		pagesSingle:    p.retired(nvml.PAGE_RETIREMENT_CAUSE_MULTIPLE_SINGLE_BIT_ECC_ERRORS),
		pagesDouble:    p.retired(nvml.PAGE_RETIREMENT_CAUSE_DOUBLE_BIT_ECC_ERROR),
		pagesPending:   enabled(ask(&p.asker, callPagesPending, h.GetRetiredPagesPendingStatus)),
	}
	if b := ask(&p.asker, callBAR1, h.GetBAR1MemoryInfo); b != nil {
		s.bar1Used = &b.Bar1Used
	}
	p.slow = s
}

func (p *probe) retired(cause nvml.PageRetirementCause) *uint64 {
	pages := ask(&p.asker, callRetiredPages, of(p.handle.GetRetiredPages, cause))
	if pages == nil {
		return nil
	}
	n := uint64(len(*pages))
	return &n
}

func (p *probe) ecc(t nvml.MemoryErrorType, c nvml.EccCounterType) func() (uint64, nvml.Return) {
	return func() (uint64, nvml.Return) { return p.handle.GetTotalEccErrors(t, c) }
}

func computeMode(m *nvml.ComputeMode) string {
	if m == nil {
		return ""
	}
	switch *m {
	case nvml.COMPUTEMODE_DEFAULT:
		return "default"
	case nvml.COMPUTEMODE_EXCLUSIVE_THREAD:
		return "exclusive_thread"
	case nvml.COMPUTEMODE_PROHIBITED:
		return "prohibited"
	case nvml.COMPUTEMODE_EXCLUSIVE_PROCESS:
		return "exclusive_process"
	}
	return ""
}

func enabled(s *nvml.EnableState) *bool {
	if s == nil {
		return nil
	}
	on := *s == nvml.FEATURE_ENABLED
	return &on
}

// of binds the argument of a call.
func of[A, T any](f func(A) (T, nvml.Return), a A) func() (T, nvml.Return) {
	return func() (T, nvml.Return) { return f(a) }
}

// scaled converts a number, and keeps unknown unknown.
func scaled[T uint32 | uint64](p *asker, v *T, by float64) *float64 {
	if v == nil {
		return nil
	}
	return p.num(float64(*v) * by)
}

// num gives room for a number of a sample. A sample has some hundred of them:
// they lie together, since each on its own would cost more than its reading.
func (p *asker) num(v float64) *float64 {
	if len(p.room) == cap(p.room) {
		p.room = make([]float64, 0, 64)
	}
	p.room = append(p.room, v)
	return &p.room[len(p.room)-1]
}

// first drops the sampling period of an engine's utilisation.
func first(f func() (uint32, uint32, nvml.Return)) func() (uint32, nvml.Return) {
	return func() (uint32, nvml.Return) {
		v, _, ret := f()
		return v, ret
	}
}

// busID writes the bus id as the kernel does: "0000:1b:00.0".
func busID(info nvml.PciInfo) string {
	function := "0"
	var id strings.Builder
	for _, c := range info.BusId {
		if c == 0 {
			break
		}
		id.WriteByte(byte(c))
	}
	if _, f, ok := strings.Cut(id.String(), "."); ok && f != "" {
		function = f
	}
	return fmt.Sprintf("%04x:%02x:%02x.%s", info.Domain, info.Bus, info.Device, function)
}
