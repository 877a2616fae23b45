package sim

import (
	"math"
	"time"

	"stoker/gpu/sim/load"
)

const (
	ambientC  = 27.0 // the air that comes in
	fullRiseC = 40.0 // above it, at the power limit
	hotAirC   = 65.0 // added by FaultThermal: even an idle GPU gets too hot
	inertia   = 20 * time.Second
	// substep bounds how long power is taken as constant; after so many the
	// temperature has settled whatever the time.
	substep     = time.Second
	maxSubsteps = 600
	minClock    = 0.3 // of full, however hot
)

// reading is what one GPU shows at one moment.
type reading struct {
	util, watts, tempC, energyJoules float64
	smMHz, memMHz                    float64
	memoryUsed                       uint64
	pstate                           int
	swThermal, hwThermal, powerCap   bool
	idle                             bool
	processes                        []load.Report
	faults                           faults
}

// step moves one GPU on by elapsed under the given load.
func (p profile) step(t thermal, reports []load.Report, elapsed time.Duration) (thermal, reading) {
	r := reading{processes: reports, faults: effects(t.Faults)}
	used := uint64(0)
	for _, rep := range reports {
		r.util += rep.UtilPercent
		used += min(rep.MemoryBytes, p.memoryMiB*mib)
	}
	r.util = min(r.util, 100)
	r.memoryUsed = min(used, (p.memoryMiB-p.reservedMiB)*mib)
	r.idle = len(reports) == 0

	steps := max(1, min(int((elapsed+substep-1)/substep), maxSubsteps))
	dt := elapsed.Seconds() / float64(steps)
	decay := math.Exp(-dt / inertia.Seconds())
	for range steps {
		watts := p.watts(r.util, t.TempC)
		settled := ambientC + fullRiseC*watts/p.limitWatts
		if r.faults.thermal {
			settled += hotAirC
		}
		t.EnergyJoules += watts * dt
		t.TempC = settled + (t.TempC-settled)*decay
	}
	r.tempC, r.energyJoules = t.TempC, t.EnergyJoules
	r.watts = p.watts(r.util, t.TempC)
	r.swThermal, r.hwThermal = t.TempC >= p.slowdownC, t.TempC >= p.hwSlowdownC
	r.powerCap = r.util >= 98 && !r.swThermal
	r.smMHz, r.memMHz, r.pstate = p.smMHz[1]*p.slowed(t.TempC), p.memMHz[1], 0
	if r.powerCap {
		r.smMHz *= 0.93 // at the limit the boost clock is out of reach
	}
	if r.idle {
		r.smMHz, r.memMHz, r.pstate = p.smMHz[0], p.memMHz[0], p.idlePState
	}
	return t, r
}

// watts is the power drawn at a util in percent and a temperature: heat
// slows the clocks, and slower clocks draw less.
func (p profile) watts(util, tempC float64) float64 {
	return p.idleWatts + (0.98*p.limitWatts-p.idleWatts)*util/100*p.slowed(tempC)
}

// slowed is the part of the full clock that a temperature leaves.
func (p profile) slowed(tempC float64) float64 {
	over := (tempC - p.slowdownC) / (p.hwSlowdownC - p.slowdownC)
	return max(minClock, min(1, 1-0.5*over))
}
