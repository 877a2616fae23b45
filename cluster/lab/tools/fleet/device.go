package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"stoker/gpu"
)

// What the task that holds a GPU does with it.
const (
	loadTrain  = "train"  // nearly all of it, with pauses for checkpoints
	loadServe  = "serve"  // as much as the requests of the hour ask for
	loadBursts = "bursts" // somebody tries something, now and then
	loadIdle   = "idle"   // nothing, though it is held
)

func loadOfKind(kind string) string {
	switch kind {
	case "training":
		return loadTrain
	case "inference":
		return loadServe
	}
	return loadBursts
}

const mib = 1 << 20

// device is one simulated GPU. The node's lock guards it. Its sample points into
// its own numbers, so that a reading allocates nothing.
type device struct {
	device gpu.Device
	board  *board
	rand   uint64 // state of its random numbers
	hot    bool   // it is cooled badly
	rogue  bool   // somebody uses it past the scheduler

	holder *alloc
	since  time.Time // of the holder
	wave   float64   // phase of its load
	util   float64
	heat   float64 // degrees
	now    numbers
	sample gpu.Sample
	detail gpu.Detail
	json   encoded

	record gpu.Record
	events []gpu.Event // not told yet
	xids   []uint64    // that were injected and not cleared
	faults map[string]bool
}

// numbers is what a sample points to.
type numbers struct {
	util, memUtil, power, limit, energy, temp, sm, mem, zero, tx, rx float64
	used, corrected, uncorrected                                     uint64
	pstate                                                           int
	pending, failure                                                 bool
	free, reserved, bar1                                             uint64
	memTemp, margin                                                  float64
	smPercent, tensor                                                float64
}

func newDevice(id identity, s shape, i int, now time.Time) *device {
	key := []string{"gpu", s.name, strconv.Itoa(i)}
	b := s.board
	d := &device{board: b, rand: id.number(key...) | 1, faults: map[string]bool{}}
	d.wave = d.random()
	d.hot, d.rogue = d.random() < 0.01, d.random() < 0.002
	limit, sm, mem, slow, shut := b.limitWatts, b.fullMHz, b.memFullMHz, b.slowdownC+7, b.shutdownC
	bar1, gen, width, yes, no := b.bar1MiB*mib, b.pcieGen, 16, true, false
	d.device = gpu.Device{
		UUID: gpu.UUID("GPU-" + id.uuid(key...)), Index: i, Model: b.name, PCI: pci(i), Serial: strconv.FormatUint(1600000000000+d.rand%100000000000, 10),
		MemoryBytes: b.memoryMiB * mib, PowerLimitWatts: &limit, PowerDefaultLimitWatts: &limit, MaxSMClockMHz: &sm, MaxMemClockMHz: &mem,
		SlowdownCelsius: &slow, ShutdownCelsius: &shut, BAR1Bytes: &bar1, MaxPCIeGen: &gen, MaxPCIeWidth: &width, VBIOS: b.vbios,
		ComputeMode: "default", Persistence: &yes, ECC: &yes,
	}
	if b.mig {
		d.device.MIG, d.device.MIGPending = &no, &no
	}
	d.heat = 30
	d.now.limit, d.now.energy = limit, math.Floor(d.random()*1e9)
	d.link()
	d.record.Health = gpu.Health{Verdict: gpu.VerdictOK, Since: now.UTC()}
	d.setHealth(d.record.Health)
	d.hold(nil)
	d.advance(now, 0)
	d.json.detail = toJSON(&d.detail)
	return d
}

func (d *device) setHealth(h gpu.Health) {
	if d.json.health == nil || h != d.sample.Health {
		d.json.health = toJSON(h)
	}
	d.sample.Health = h
}

// link points the sample at the numbers.
func (d *device) link() {
	v := &d.now
	d.sample = gpu.Sample{
		UUID: d.device.UUID, UtilPercent: &v.util, MemoryUtilPercent: &v.memUtil, MemoryUsedBytes: &v.used, PowerWatts: &v.power, PowerLimitWatts: &v.limit,
		EnergyJoules: &v.energy, TempCelsius: &v.temp, SMClockMHz: &v.sm, MemClockMHz: &v.mem, PState: &v.pstate, EncoderPercent: &v.zero, DecoderPercent: &v.zero,
		PCIeTxBytesPerSec: &v.tx, PCIeRxBytesPerSec: &v.rx, ECCCorrected: &v.corrected, ECCUncorrected: &v.uncorrected,
		RowRemapPending: &v.pending, RowRemapFailure: &v.failure, Throttle: []string{},
	}
	gen, width, none := d.board.pcieGen, 16, uint64(0)
	d.detail = gpu.Detail{
		MemoryFreeBytes: &v.free, MemoryReservedBytes: &v.reserved, BAR1UsedBytes: &v.bar1, TempMarginCelsius: &v.margin, VideoClockMHz: &v.sm,
		PCIeGen: &gen, PCIeWidth: &width, PCIeReplays: &none,
		ThrottleSeconds:   map[string]float64{"hw_power_brake_slowdown": 0, "hw_thermal_slowdown": 0, "sw_power_cap": 0, "sw_thermal_slowdown": 0, "sync_boost": 0},
		ECCCorrectedTotal: &none, ECCUncorrectedTotal: &none, RowsCorrectable: &none, RowsUncorrectable: &none,
	}
	v.reserved, v.bar1 = 560*mib, 4*mib
	for i := range d.board.nvlinks {
		speed := d.board.nvlinkMBps
		d.detail.NVLinks = append(d.detail.NVLinks, gpu.NVLink{
			Link: i, Up: true, SpeedMBPerSec: &speed, TxBytesPerSec: &v.tx, RxBytesPerSec: &v.rx, Replays: &none, Recoveries: &none, CRCErrors: &none,
		})
	}
	if d.board.nvlinks > 0 {
		d.detail.MemTempCelsius = &v.memTemp
	}
	if d.board.gpm {
		d.detail.GPM = &gpu.GPM{
			SMPercent: &v.smPercent, OccupancyPercent: &v.memUtil, TensorPercent: &v.tensor, DRAMPercent: &v.memUtil,
			FP16Percent: &v.tensor, FP32Percent: &v.zero, FP64Percent: &v.zero,
		}
	}
}

// random gives the next number in [0, 1) of the device's own sequence.
func (d *device) random() float64 {
	d.rand ^= d.rand << 13
	d.rand ^= d.rand >> 7
	d.rand ^= d.rand << 17
	return float64(d.rand>>11) / (1 << 53)
}

// hold gives the device to an allocation, or frees it.
func (d *device) hold(a *alloc) {
	d.holder, d.since = a, time.Now()
	d.sample.Processes = nil
	v := &d.now
	v.used = 0
	total := float64(d.device.MemoryBytes)
	switch {
	case a != nil && a.load != loadIdle:
		v.used = uint64(total * (0.55 + 0.4*d.random()))
		d.sample.Processes = []gpu.Process{{
			PID: 2000 + int(d.rand%4000000), Start: d.rand % 1e9, Name: "python3", User: "ml", Type: "C", MemoryBytes: v.used, AllocID: a.id, Task: a.task,
		}}
	case a == nil && d.rogue:
		v.used = uint64(total * 0.3)
		d.sample.Processes = []gpu.Process{{PID: 2000 + int(d.rand%4000000), Name: "python3", User: "eve", Type: "C", MemoryBytes: v.used}}
	}
	d.json.processes = nil
	if d.sample.Processes != nil {
		d.json.processes = toJSON(d.sample.Processes)
	}
}

// demand is the util that its task asks for now, in percent.
func (d *device) demand(now time.Time) float64 {
	if d.holder == nil {
		if d.rogue {
			return 55 + 20*d.random()
		}
		return 0
	}
	t := float64(now.UnixMilli()) / 1000
	switch d.holder.load {
	case loadTrain:
		if math.Mod(t+600*d.wave, 600) < 15 {
			return 3 // it writes a checkpoint
		}
		return 97 - 5*d.random()
	case loadServe:
		return 48 + 30*math.Sin(2*math.Pi*(t/1200+d.wave)) + 14*(d.random()-0.5)
	case loadBursts:
		if math.Mod(t+900*d.wave, 900) < 200 {
			return 70 * d.random()
		}
	}
	return 0
}

// advance moves the device on to now, which is dt seconds after the last time.
func (d *device) advance(now time.Time, dt float64) {
	v, b := &d.now, d.board
	d.util += (d.demand(now) - d.util) * 0.7
	v.util = math.Round(min(100, max(0, d.util)))
	load := v.util / 100
	power := b.idleWatts + load*(b.limitWatts-b.idleWatts)*0.88 + 1.5*d.random()
	cooling := 46.0
	if d.hot {
		cooling = 66
	}
	if d.faults[faultThermal] {
		cooling = 95
	}
	target := 27 + power/b.limitWatts*cooling
	d.heat += (target - d.heat) * (1 - math.Exp(-dt/25))
	d.sample.Throttle = d.sample.Throttle[:0]
	clock := b.idleMHz
	if load > 0 {
		clock = b.fullMHz - 45*math.Round(3*load)
	}
	if d.heat >= b.slowdownC {
		d.sample.Throttle = append(d.sample.Throttle, "sw_thermal_slowdown")
		clock, power = clock*0.7, power*0.8
	}
	v.power, v.temp, v.sm = math.Round(power*1000)/1000, math.Round(d.heat), math.Round(clock)
	v.energy = math.Round((v.energy+power*dt)*1000) / 1000
	v.mem, v.pstate = b.memIdleMHz, b.idlePState
	if load > 0 {
		v.mem, v.pstate = b.memFullMHz, 0
	}
	v.memUtil = math.Round(v.util * 0.45)
	v.tx, v.rx = math.Round(load*2e9), math.Round(load*5e8)
	v.free, v.memTemp, v.margin = d.device.MemoryBytes-v.used, v.temp+8, b.slowdownC-v.temp
	v.smPercent, v.tensor = math.Round(v.util*0.9), math.Round(v.util*0.4)
	d.sample.At = now
}

// judge gives the device its verdict, and tells whether it began or ceased to be failed.
func (d *device) judge(now time.Time) (changed bool) {
	calm := len(d.events) == 0 && len(d.faults) == 0 && len(d.sample.Throttle) == 0 && d.record.Health.Verdict == gpu.VerdictOK
	if calm {
		return false // nothing could change: not worth the time
	}
	was, _ := d.failed()
	e := gpu.Evidence{Device: d.device, Sample: d.sample, Events: d.events}
	// The rules remember the energy: that it went down tells them of a reset.
	energy := d.now.energy
	e.Sample.EnergyJoules = &energy
	if d.faults[faultLost] {
		e.Silent, e.Lost = "it is gone from the bus", true
	}
	d.record = gpu.DefaultRules().Judge(d.record, e)
	d.setHealth(d.record.Health)
	is, _ := d.failed()
	return was != is
}

func (d *device) failed() (bool, string) {
	h := d.record.Health
	return h.Verdict == gpu.VerdictFailed, h.Reason
}

// reading is the sample, with its details or without. It shares memory with the
// device: it is for the moment.
func (d *device) reading(details bool) gpu.Sample {
	s := d.sample
	if d.faults[faultLost] {
		return gpu.Sample{UUID: s.UUID, At: s.At, Health: s.Health}
	}
	if details {
		s.Detail = &d.detail
	}
	return s
}

// The faults that a device can be made to suffer, by package stoker/gpu/sim's names.
const (
	faultXid     = "xid"
	faultECC     = "ecc"
	faultThermal = "thermal"
	faultLost    = "lost"
)

// inject lets the device suffer.
func (d *device) inject(kind string, xid uint64, now time.Time) error {
	switch kind {
	case faultXid:
		x, _ := gpu.LookupXid(xid)
		d.events = append(d.events, gpu.Event{UUID: d.device.UUID, At: now.UTC(), Kind: gpu.EventXid, Xid: xid, Text: x.Name})
		if !slices.Contains(d.xids, xid) {
			d.xids = append(d.xids, xid)
		}
	case faultECC:
		d.now.uncorrected++
		d.events = append(d.events, gpu.Event{UUID: d.device.UUID, At: now.UTC(), Kind: gpu.EventECC, Text: "uncorrectable memory error"})
	case faultThermal:
	case faultLost:
		d.events = append(d.events, gpu.Event{UUID: d.device.UUID, At: now.UTC(), Kind: gpu.EventLost, Verdict: gpu.VerdictFailed, Text: "gone from the bus"})
	default:
		return fmt.Errorf("a simulated node's GPU cannot suffer %q: xid, ecc, thermal or lost", kind)
	}
	d.faults[kind] = true
	return nil
}

// clear resets the device. The energy counter starts again, as after a reset:
// by that the rules know.
func (d *device) clear(now time.Time) {
	if d.faults[faultLost] {
		d.events = append(d.events, gpu.Event{UUID: d.device.UUID, At: now.UTC(), Kind: gpu.EventBack, Text: "back"})
	}
	clear(d.faults)
	d.xids, d.now.uncorrected, d.now.energy = nil, 0, 0
}
