//go:build cgo

package nvml

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"stoker/gpu"
)

// detail reads what only somebody who opens this GPU asks for.
func (p *probe) detail(now time.Time) *gpu.Detail {
	h := p.handle
	m := p.memory(h)
	d := &gpu.Detail{
		MemoryFreeBytes: m.free, MemoryReservedBytes: m.reserved, BAR1UsedBytes: p.slow.bar1Used,
		ECCCorrectedTotal: p.slow.eccCorrected, ECCUncorrectedTotal: p.slow.eccUncorrected,
		PagesSingleBit: p.slow.pagesSingle, PagesDoubleBit: p.slow.pagesDouble, PagesPending: p.slow.pagesPending,
		VideoClockMHz: scaled(&p.asker, ask(&p.asker, callVideoClock, of(h.GetClockInfo, nvml.CLOCK_VIDEO)), 1),
		JPEGPercent:   percent(&p.asker, ask(&p.asker, callJPEG, first(h.GetJpgUtilization))),
		OFAPercent:    percent(&p.asker, ask(&p.asker, callOFA, first(h.GetOfaUtilization))),
		PCIeGen:       ask(&p.asker, callPCIeLink, h.GetCurrPcieLinkGeneration),
		PCIeWidth:     ask(&p.asker, callPCIeWidth, h.GetCurrPcieLinkWidth),
	}
	if n := ask(&p.asker, callPCIeReplays, h.GetPcieReplayCounter); n != nil && *n >= 0 {
		replays := uint64(*n)
		d.PCIeReplays = &replays
	}
	if margin := ask(&p.asker, callMargin, h.GetMarginTemperature); margin != nil {
		c := float64(margin.MarginTemperature)
		d.TempMarginCelsius = &c
	}
	if rows := p.rows(); rows != nil {
		d.RowsCorrectable, d.RowsUncorrectable = &rows.correctable, &rows.uncorrectable
	}
	p.fields(now, d)
	d.GPM = p.gpm.read()
	return d
}

// counter is a throttle reason that has one, in nanoseconds.
type counter struct {
	field uint32
	name  string
}

func counters() [5]counter {
	return [5]counter{
		{nvml.FI_DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP, "sw_power_cap"},
		{nvml.FI_DEV_CLOCKS_EVENT_REASON_SYNC_BOOST, "sync_boost"},
		{nvml.FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN, "sw_thermal_slowdown"},
		{nvml.FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN, "hw_thermal_slowdown"},
		{nvml.FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN, "hw_power_brake_slowdown"},
	}
}

// fields asks in one call for all that the driver keeps as numbered fields: the
// temperature of the memory, the throttle counters and what the links carried,
// in this order.
func (p *probe) fields(now time.Time, d *gpu.Detail) {
	want := append(p.want[:0], nvml.FieldValue{FieldId: nvml.FI_DEV_MEMORY_TEMP})
	reasons := counters()
	for _, c := range reasons {
		want = append(want, nvml.FieldValue{FieldId: c.field})
	}
	want = p.links.fields(want)
	p.want = want // the next reading uses the room again
	if ask(&p.asker, callFields, func() (struct{}, nvml.Return) { return struct{}{}, p.handle.GetFieldValues(want) }) == nil {
		d.NVLinks = p.links.read(p, now, nil)
		return
	}
	if v, ok := number(want[0]); ok && v > 0 { // where there is no sensor some drivers say 0
		d.MemTempCelsius = &v
	}
	for i, c := range reasons {
		if v, ok := number(want[1+i]); ok {
			if d.ThrottleSeconds == nil {
				d.ThrottleSeconds = make(map[string]float64, len(reasons))
			}
			d.ThrottleSeconds[c.name] = v / 1e9
		}
	}
	d.NVLinks = p.links.read(p, now, want[1+len(reasons):])
}

// number reads a field, whatever its type.
func number(f nvml.FieldValue) (float64, bool) {
	if nvml.Return(f.NvmlReturn) != nvml.SUCCESS {
		return 0, false
	}
	raw := binary.NativeEndian.Uint64(f.Value[:])
	switch nvml.ValueType(f.ValueType) {
	case nvml.VALUE_TYPE_DOUBLE:
		v := math.Float64frombits(raw)
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
	case nvml.VALUE_TYPE_UNSIGNED_INT:
		return float64(binary.NativeEndian.Uint32(f.Value[:])), true
	case nvml.VALUE_TYPE_SIGNED_INT:
		return float64(int32(binary.NativeEndian.Uint32(f.Value[:]))), true
	case nvml.VALUE_TYPE_UNSIGNED_SHORT:
		return float64(binary.NativeEndian.Uint16(f.Value[:])), true
	case nvml.VALUE_TYPE_UNSIGNED_LONG, nvml.VALUE_TYPE_UNSIGNED_LONG_LONG:
		return float64(raw), true
	case nvml.VALUE_TYPE_SIGNED_LONG_LONG:
		return float64(int64(raw)), true
	}
	return 0, false
}
