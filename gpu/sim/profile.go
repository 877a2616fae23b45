package sim

import (
	"fmt"
	"strings"
)

// The profiles of simulated GPUs.
const (
	H100 = "h100" // NVIDIA H100 80GB HBM3
	A100 = "a100" // NVIDIA A100-SXM4-80GB
	L40S = "l40s" // NVIDIA L40S
)

const mib = 1 << 20

// profile is what a model of GPU is and can do.
type profile struct {
	name        string
	memoryMiB   uint64
	reservedMiB uint64 // kept by the driver, beside what is free or used
	idleWatts   float64
	limitWatts  float64
	smMHz       [2]float64 // idle, full
	memMHz      [2]float64 // idle, full
	idlePState  int
	slowdownC   float64 // software slows the clocks down from here on
	hwSlowdownC float64 // and hardware from here on
	mig         bool
	pcieBytes   float64 // per second and direction under full load
	pcieGen     int
	shutdownC   float64
	memMaxC     float64 // 0 without a sensor in the memory
	bar1MiB     uint64
	videoMHz    [2]float64 // idle, full
	nvlinks     int
	nvlinkMBps  float64 // of one link and direction
	gpm         bool
	media       bool // has JPEG and optical flow engines
	vbios       string
	cut         []cut // its MIG instances; none unless the spec says so
}

// profileOf finds a profile by its name, which may say how the GPU is cut into
// MIG instances: "h100:3g.40gb,1g.10gb".
func profileOf(name string) (profile, error) {
	model, cuts, sliced := strings.Cut(name, ":")
	p, err := modelOf(model)
	if err == nil && sliced {
		p.cut, err = p.slice(strings.Split(cuts, ","))
	}
	return p, err
}

func modelOf(name string) (profile, error) {
	switch name {
	case H100:
		return profile{
			name: "NVIDIA H100 80GB HBM3", memoryMiB: 81559, reservedMiB: 551, idleWatts: 70, limitWatts: 700,
			smMHz: [2]float64{345, 1980}, memMHz: [2]float64{2619, 2619},
			slowdownC: 85, hwSlowdownC: 92, shutdownC: 95, memMaxC: 95, mig: true, pcieBytes: 8e9, pcieGen: 5, bar1MiB: 131072,
			videoMHz: [2]float64{345, 1545}, nvlinks: 18, nvlinkMBps: 26562, gpm: true, media: true, vbios: "96.00.89.00.01",
		}, nil
	case A100:
		return profile{
			name: "NVIDIA A100-SXM4-80GB", memoryMiB: 81920, reservedMiB: 618, idleWatts: 60, limitWatts: 400,
			smMHz: [2]float64{210, 1410}, memMHz: [2]float64{1593, 1593},
			slowdownC: 85, hwSlowdownC: 92, shutdownC: 95, memMaxC: 95, mig: true, pcieBytes: 4e9, pcieGen: 4, bar1MiB: 131072,
			videoMHz: [2]float64{585, 1275}, nvlinks: 12, nvlinkMBps: 25000, media: true, vbios: "92.00.45.00.05",
		}, nil
	case L40S:
		return profile{
			name: "NVIDIA L40S", memoryMiB: 46068, reservedMiB: 577, idleWatts: 35, limitWatts: 350,
			smMHz: [2]float64{210, 2520}, memMHz: [2]float64{405, 9001}, idlePState: 8,
			slowdownC: 87, hwSlowdownC: 95, shutdownC: 98, pcieBytes: 4e9, pcieGen: 4, bar1MiB: 65536,
			videoMHz: [2]float64{1185, 2115}, vbios: "95.02.66.00.02",
		}, nil
	}
	return profile{}, fmt.Errorf("no simulated GPU is called %q: use %s, %s or %s", name, H100, A100, L40S)
}
