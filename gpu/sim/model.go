package sim

import (
	"maps"
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
	brakedClock = 0.5 // of full, under a power brake
	// damagedLink is the NVLink that FaultNVLink damages.
	damagedLink         = 3
	linkErrorsPerSecond = 20.0
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
	instances                        []instanceReading
	faults                           faults
	throttled                        map[string]float64
	linkKiB, linkErrors              float64
	eccLife                          uint64
}

// instanceReading is what one MIG instance shows.
type instanceReading struct {
	util       float64
	memoryUsed uint64
	processes  []load.Report
}

// work is what tasks ask of one GPU: of the whole, and of its MIG instances.
type work struct {
	whole     []load.Report
	instances [][]load.Report
}

// step moves one GPU on by elapsed under the given load.
func (p profile) step(t thermal, w work, elapsed time.Duration) (thermal, reading) {
	r := reading{faults: effects(t.Faults), eccLife: t.ECCLife}
	p.take(&r, w)
	steps := max(1, min(int((elapsed+substep-1)/substep), maxSubsteps))
	dt := elapsed.Seconds() / float64(steps)
	decay := math.Exp(-dt / inertia.Seconds())
	t.Throttled = maps.Clone(t.Throttled)
	for range steps {
		watts := p.watts(r, t.TempC)
		settled := ambientC + fullRiseC*watts/p.limitWatts
		if r.faults.thermal {
			settled += hotAirC
		}
		t.EnergyJoules += watts * dt
		t.TempC = settled + (t.TempC-settled)*decay
		p.count(&t, r, dt)
	}
	r.tempC, r.energyJoules = t.TempC, t.EnergyJoules
	r.throttled, r.linkKiB, r.linkErrors = t.Throttled, t.LinkKiB, t.LinkErrors
	r.watts = p.watts(r, t.TempC)
	r.swThermal, r.hwThermal, r.powerCap = p.held(r, t.TempC)
	r.smMHz, r.memMHz, r.pstate = p.smMHz[1]*p.slowed(t.TempC), p.memMHz[1], 0
	if r.powerCap {
		r.smMHz *= 0.93 // at the limit the boost clock is out of reach
	}
	if r.idle {
		r.smMHz, r.memMHz, r.pstate = p.smMHz[0], p.memMHz[0], p.idlePState
	}
	if r.faults.powerBrake {
		r.smMHz = min(r.smMHz, p.smMHz[1]*brakedClock)
	}
	return t, r
}

// take adds up what the tasks ask for.
func (p profile) take(r *reading, w work) {
	used := uint64(0)
	for _, rep := range w.whole {
		r.util += rep.UtilPercent
		used += min(rep.MemoryBytes, p.memoryMiB*mib)
	}
	r.processes = w.whole
	for i, c := range p.cut {
		var is instanceReading
		for _, rep := range w.instances[i] {
			is.util += rep.UtilPercent
			is.memoryUsed += min(rep.MemoryBytes, p.memoryOf(c))
		}
		is.util, is.memoryUsed = min(is.util, 100), min(is.memoryUsed, p.memoryOf(c))
		is.processes = w.instances[i]
		r.instances = append(r.instances, is)
		r.util += is.util * float64(c.computes) / computeSlices
		used += is.memoryUsed
		r.processes = append(r.processes[:len(r.processes):len(r.processes)], w.instances[i]...)
	}
	r.util = min(r.util, 100)
	r.memoryUsed = min(used, (p.memoryMiB-p.reservedMiB)*mib)
	r.idle = len(r.processes) == 0
}

// held tells what holds the clocks back.
func (p profile) held(r reading, tempC float64) (swThermal, hwThermal, powerCap bool) {
	swThermal, hwThermal = tempC >= p.slowdownC, tempC >= p.hwSlowdownC
	return swThermal, hwThermal, r.util >= 98 && !swThermal && !r.faults.powerBrake
}

// count moves the counters on.
func (p profile) count(t *thermal, r reading, dt float64) {
	sw, hw, powerCap := p.held(r, t.TempC)
	for reason, on := range map[string]bool{
		"sw_power_cap": powerCap, "sw_thermal_slowdown": sw, "hw_thermal_slowdown": hw,
		"hw_power_brake_slowdown": r.faults.powerBrake,
	} {
		if t.Throttled == nil {
			t.Throttled = map[string]float64{}
		}
		if on {
			t.Throttled[reason] += dt
		}
	}
	t.LinkKiB += p.nvlinkMBps * 1e6 / 1024 * 0.1 * r.util / 100 * dt
	if r.faults.nvlink {
		t.LinkErrors += linkErrorsPerSecond * dt
	}
}

// watts is the power drawn at a temperature: heat slows the clocks, and so does
// a brake, and slower clocks draw less.
func (p profile) watts(r reading, tempC float64) float64 {
	slowed := p.slowed(tempC)
	if r.faults.powerBrake {
		slowed = min(slowed, brakedClock)
	}
	return p.idleWatts + (0.98*p.limitWatts-p.idleWatts)*r.util/100*slowed
}

// slowed is the part of the full clock that a temperature leaves.
func (p profile) slowed(tempC float64) float64 {
	over := (tempC - p.slowdownC) / (p.hwSlowdownC - p.slowdownC)
	return max(minClock, min(1, 1-0.5*over))
}
