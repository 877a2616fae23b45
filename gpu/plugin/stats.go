package main

import (
	"context"
	"math"
	"time"

	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/structs"
)

// notAvailable stands for a number that the hardware does not give, as in
// other GPU plugins for Nomad: a missing statistic would look like an old one.
const notAvailable = "N/A"

// Stats sends the latest sample of every device once each interval. The
// names and units are those that readers of Nomad's statistics know from its
// older GPU plugin; what that one lacks is added.
func (p *plugin) Stats(ctx context.Context, interval time.Duration) (<-chan *device.StatsResponse, error) {
	m, _, period, err := p.configured()
	if err != nil {
		return nil, err
	}
	out := make(chan *device.StatsResponse)
	go func() {
		defer close(out)
		every(ctx, interval, func() {
			select {
			case out <- &device.StatsResponse{Groups: statsOf(m.devices(min(interval, period)))}:
			case <-ctx.Done():
			}
		})
	}()
	return out, nil
}

func statsOf(devices []offered) []*device.DeviceGroupStats {
	var groups []*device.DeviceGroupStats
	byName := map[string]*device.DeviceGroupStats{}
	for _, o := range devices {
		g := byName[o.device.Model]
		if g == nil {
			g = &device.DeviceGroupStats{
				Vendor: vendor, Type: device.DeviceTypeGPU, Name: o.device.Model,
				InstanceStats: map[string]*device.DeviceStats{},
			}
			byName[o.device.Model] = g
			groups = append(groups, g)
		}
		g.InstanceStats[string(o.device.UUID)] = statsOfOne(o)
	}
	return groups
}

func statsOfOne(o offered) *device.DeviceStats {
	s := o.sample
	var total *uint64
	if o.device.MemoryBytes > 0 {
		total = &o.device.MemoryBytes
	}
	memory := fraction(mebi(s.MemoryUsedBytes), mebi(total), structs.UnitMiB, "used / total memory")
	health := string(s.Health.Verdict)
	if s.Health.Reason != "" {
		health += ": " + s.Health.Reason
	}
	return &device.DeviceStats{
		Summary:   memory,
		Timestamp: s.At,
		Stats: &structs.StatObject{Attributes: map[string]*structs.StatValue{
			"Power usage":            fraction(s.PowerWatts, s.PowerLimitWatts, "W", "power drawn / power limit"),
			"GPU utilization":        whole(s.UtilPercent, "%", "share of time in which a kernel ran"),
			"Memory utilization":     whole(s.MemoryUtilPercent, "%", "share of the memory bandwidth in use"),
			"Encoder utilization":    whole(s.EncoderPercent, "%", "share of time in which the encoder ran"),
			"Decoder utilization":    whole(s.DecoderPercent, "%", "share of time in which the decoder ran"),
			"Temperature":            whole(s.TempCelsius, "C", "temperature of the GPU"),
			"Memory state":           memory,
			"SM clock":               whole(s.SMClockMHz, "MHz", "clock of the multiprocessors"),
			"Memory clock":           whole(s.MemClockMHz, "MHz", "clock of the memory"),
			"ECC corrected errors":   whole(count(s.ECCCorrected), "#", "corrected memory errors since the driver was loaded"),
			"ECC uncorrected errors": whole(count(s.ECCUncorrected), "#", "uncorrectable memory errors since the driver was loaded"),
			"Health":                 {StringVal: &health, Desc: "what stoker concludes about the GPU"},
		}},
	}
}

// whole is a number without a fraction.
func whole(v *float64, unit, desc string) *structs.StatValue {
	s := &structs.StatValue{Unit: unit, Desc: desc}
	if v == nil {
		na := notAvailable
		s.StringVal = &na
		return s
	}
	n := int64(math.Round(*v))
	s.IntNumeratorVal = &n
	return s
}

// fraction is a number out of another; both must be known.
func fraction(v, of *float64, unit, desc string) *structs.StatValue {
	if v == nil || of == nil {
		return whole(nil, unit, desc)
	}
	s := whole(v, unit, desc)
	s.IntDenominatorVal = whole(of, unit, desc).IntNumeratorVal
	return s
}

func count(v *uint64) *float64 {
	if v == nil {
		return nil
	}
	f := float64(*v)
	return &f
}

func mebi(v *uint64) *float64 {
	if v == nil {
		return nil
	}
	f := float64(*v / mib)
	return &f
}
