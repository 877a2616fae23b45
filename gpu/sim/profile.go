package sim

import "fmt"

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
}

func profileOf(name string) (profile, error) {
	switch name {
	case H100:
		return profile{
			name: "NVIDIA H100 80GB HBM3", memoryMiB: 81559, reservedMiB: 551, idleWatts: 70, limitWatts: 700,
			smMHz: [2]float64{345, 1980}, memMHz: [2]float64{2619, 2619},
			slowdownC: 85, hwSlowdownC: 92, mig: true, pcieBytes: 8e9,
		}, nil
	case A100:
		return profile{
			name: "NVIDIA A100-SXM4-80GB", memoryMiB: 81920, reservedMiB: 618, idleWatts: 60, limitWatts: 400,
			smMHz: [2]float64{210, 1410}, memMHz: [2]float64{1593, 1593},
			slowdownC: 85, hwSlowdownC: 92, mig: true, pcieBytes: 4e9,
		}, nil
	case L40S:
		return profile{
			name: "NVIDIA L40S", memoryMiB: 46068, reservedMiB: 577, idleWatts: 35, limitWatts: 350,
			smMHz: [2]float64{210, 2520}, memMHz: [2]float64{405, 9001}, idlePState: 8,
			slowdownC: 87, hwSlowdownC: 95, pcieBytes: 4e9,
		}, nil
	}
	return profile{}, fmt.Errorf("no simulated GPU is called %q: use %s, %s or %s", name, H100, A100, L40S)
}
