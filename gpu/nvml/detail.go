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
		VideoClockMHz: scaled(ask(&p.asker, callVideoClock, of(h.GetClockInfo, nvml.CLOCK_VIDEO)), 1),
		JPEGPercent:   percent(ask(&p.asker, callJPEG, first(h.GetJpgUtilization))),
		OFAPercent:    percent(ask(&p.asker, callOFA, first(h.GetOfaUtilization))),
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

// counted are the throttle reasons that have a counter, in nanoseconds.
func counted() map[uint32]string {
	return map[uint32]string{
		nvml.FI_DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP:            "sw_power_cap",
		nvml.FI_DEV_CLOCKS_EVENT_REASON_SYNC_BOOST:              "sync_boost",
		nvml.FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN:       "sw_thermal_slowdown",
		nvml.FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN:       "hw_thermal_slowdown",
		nvml.FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN: "hw_power_brake_slowdown",
	}
}

// fields asks in one call for all that the driver keeps as numbered fields: the
// temperature of the memory, the throttle counters and what the links carried.
func (p *probe) fields(now time.Time, d *gpu.Detail) {
	want := p.links.fields([]nvml.FieldValue{{FieldId: nvml.FI_DEV_MEMORY_TEMP}})
	names := counted()
	for id := range names {
		want = append(want, nvml.FieldValue{FieldId: id})
	}
	got := ask(&p.asker, callFields, func() ([]nvml.FieldValue, nvml.Return) { return want, p.handle.GetFieldValues(want) })
	if got == nil {
		got = &[]nvml.FieldValue{}
	}
	for _, f := range *got {
		v, ok := number(f)
		switch name := names[f.FieldId]; {
		case !ok:
		case f.FieldId == nvml.FI_DEV_MEMORY_TEMP:
			if v > 0 { // where there is no sensor some drivers say 0
				d.MemTempCelsius = &v
			}
		case name != "":
			if d.ThrottleSeconds == nil {
				d.ThrottleSeconds = map[string]float64{}
			}
			d.ThrottleSeconds[name] = v / 1e9
		}
	}
	d.NVLinks = p.links.read(p, now, *got)
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
