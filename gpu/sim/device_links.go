//go:build cgo

package sim

import (
	"encoding/binary"

	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"
)

func (d *device) GetNvLinkState(link int) (gonvml.EnableState, gonvml.Return) {
	switch {
	case d.profile.nvlinks == 0:
		return gonvml.FEATURE_DISABLED, gonvml.ERROR_NOT_SUPPORTED
	case link < 0 || link >= d.profile.nvlinks:
		return gonvml.FEATURE_DISABLED, gonvml.ERROR_INVALID_ARGUMENT
	}
	return answer(d, func(reading) gonvml.EnableState { return gonvml.FEATURE_ENABLED })
}

func (d *device) GetNvLinkErrorCounter(link int, c gonvml.NvLinkErrorCounter) (uint64, gonvml.Return) {
	if link < 0 || link >= d.profile.nvlinks {
		return 0, gonvml.ERROR_INVALID_ARGUMENT
	}
	return answer(d, func(r reading) uint64 {
		if link == damagedLink && c == gonvml.NVLINK_ERROR_DL_CRC_FLIT {
			return uint64(r.linkErrors)
		}
		return 0
	})
}

// GetFieldValues answers the fields that stoker asks for, each with its own
// return code.
func (d *device) GetFieldValues(fields []gonvml.FieldValue) gonvml.Return {
	r, ret := d.read()
	if ret != gonvml.SUCCESS {
		return ret
	}
	for i := range fields {
		f := &fields[i]
		v, kind, ok := d.field(r, f.FieldId, int(f.ScopeId))
		if f.NvmlReturn = uint32(gonvml.SUCCESS); !ok {
			f.NvmlReturn = uint32(gonvml.ERROR_NOT_SUPPORTED)
			continue
		}
		f.ValueType = uint32(kind)
		binary.NativeEndian.PutUint64(f.Value[:], 0)
		if kind == gonvml.VALUE_TYPE_UNSIGNED_INT {
			binary.NativeEndian.PutUint32(f.Value[:], uint32(v))
		} else {
			binary.NativeEndian.PutUint64(f.Value[:], uint64(v))
		}
	}
	return gonvml.SUCCESS
}

func (d *device) field(r reading, id uint32, scope int) (float64, gonvml.ValueType, bool) {
	const u32, u64 = gonvml.VALUE_TYPE_UNSIGNED_INT, gonvml.VALUE_TYPE_UNSIGNED_LONG_LONG
	nanos := func(reason string) (float64, gonvml.ValueType, bool) { return r.throttled[reason] * 1e9, u64, true }
	switch id {
	case gonvml.FI_DEV_MEMORY_TEMP:
		return r.tempC + 7 + 0.06*r.util, u32, d.profile.memMaxC > 0
	case gonvml.FI_DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP:
		return nanos("sw_power_cap")
	case gonvml.FI_DEV_CLOCKS_EVENT_REASON_SYNC_BOOST:
		return nanos("sync_boost")
	case gonvml.FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN:
		return nanos("sw_thermal_slowdown")
	case gonvml.FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN:
		return nanos("hw_thermal_slowdown")
	case gonvml.FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN:
		return nanos("hw_power_brake_slowdown")
	case gonvml.FI_DEV_NVLINK_SPEED_MBPS_COMMON:
		return d.profile.nvlinkMBps, u32, d.profile.nvlinks > 0
	case gonvml.FI_DEV_NVLINK_THROUGHPUT_DATA_TX, gonvml.FI_DEV_NVLINK_THROUGHPUT_DATA_RX:
		return r.linkKiB, u64, scope < d.profile.nvlinks
	}
	return 0, 0, false
}
