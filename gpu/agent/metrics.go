package agent

import (
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"stoker/gpu"
	"stoker/gpu/stream"
)

// metric is one family that has a value for each GPU.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*gpu.Device, *gpu.Sample) (float64, bool) // false: unknown, no series
}

// collector exports the last batch under stoker's own names. It is unchecked
// (it describes nothing) because which series exist depends on the hardware.
type collector struct {
	agent   *Agent
	perGPU  []metric
	info    *prometheus.Desc
	health  *prometheus.Desc
	held    *prometheus.Desc
	ecc     *prometheus.Desc
	xids    *prometheus.Desc
	taskMem *prometheus.Desc
	hung    *prometheus.Desc
	detail  detailDescs
	self    selfDescs
}

type selfDescs struct{ duration, last, up, errs, streams, build, expires *prometheus.Desc }

func newCollector(a *Agent) *collector {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("stoker_"+name, help, labels, nil)
	}
	gpuDesc := func(name, help string, more ...string) *prometheus.Desc {
		return d("gpu_"+name, help, append([]string{"uuid", "gpu"}, more...)...)
	}
	return &collector{
		agent:  a,
		perGPU: slices.Concat(gpuMetrics(gpuDesc), deviceMetrics(gpuDesc), detailMetrics(gpuDesc)),
		detail: newDetailDescs(gpuDesc),
		info: gpuDesc("info", "What the GPU is; always 1.",
			"model", "pci", "parent", "driver", "cuda", "serial", "vbios", "compute_mode", "mig_profile"),
		health:  gpuDesc("health", "1 for the verdict that holds, 0 for the others; absent while unknown.", "verdict"),
		held:    gpuDesc("throttled", "1 for each reason for which clocks are held back, 0 for the others.", "reason"),
		ecc:     gpuDesc("ecc_errors_total", "ECC errors since the driver was loaded.", "type"),
		xids:    gpuDesc("xid_errors_total", "Xid errors seen since the agent began.", "xid"),
		hung:    gpuDesc("sampler_hung", "1 while the driver does not come back from a reading of this GPU."),
		taskMem: gpuDesc("task_memory_used_bytes", "GPU memory that the processes of a Nomad task use.", "alloc_id", "task"),
		self: selfDescs{
			duration: d("agent_sample_duration_seconds", "Time that readings of all GPUs took."),
			last:     d("agent_last_sample_timestamp_seconds", "When the last reading was taken."),
			up:       d("agent_sampler_up", "1 while readings arrive; 0 while the sampler hangs, fails or has just begun."),
			errs:     d("agent_errors_total", "Failures since the agent began.", "operation"),
			streams:  d("agent_streams", "Streams open now."),
			expires:  d("agent_certificate_expiry_timestamp_seconds", "When the certificate that the agent serves with ends."),
			build:    d("agent_build_info", "What was built; always 1.", "version", "goversion"),
		},
	}
}

type describe func(name, help string, more ...string) *prometheus.Desc

func gpuMetrics(d describe) []metric {
	g, c := gauge, counter
	return []metric{
		{d("utilization_ratio", "Share of time in which the GPU worked."), g, sampleF(0.01, func(s *gpu.Sample) *float64 { return s.UtilPercent })},
		{d("memory_bandwidth_utilization_ratio", "Share of time in which memory was read or written."), g, sampleF(0.01, func(s *gpu.Sample) *float64 { return s.MemoryUtilPercent })},
		{d("memory_used_bytes", "Memory in use."), g, func(_ *gpu.Device, s *gpu.Sample) (float64, bool) { return num(s.MemoryUsedBytes, 1) }},
		{d("memory_total_bytes", "Memory installed."), g, func(v *gpu.Device, _ *gpu.Sample) (float64, bool) { return float64(v.MemoryBytes), v.MemoryBytes > 0 }},
		{d("power_watts", "Power drawn."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.PowerWatts })},
		{d("power_limit_watts", "Power limit enforced."), g, powerLimit},
		{d("energy_joules_total", "Energy used since the driver was loaded."), c, sampleF(1, func(s *gpu.Sample) *float64 { return s.EnergyJoules })},
		{d("temperature_celsius", "Temperature of the core."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.TempCelsius })},
		{d("sm_clock_hertz", "Clock of the multiprocessors."), g, sampleF(1e6, func(s *gpu.Sample) *float64 { return s.SMClockMHz })},
		{d("sm_clock_max_hertz", "Highest clock of the multiprocessors."), g, func(v *gpu.Device, _ *gpu.Sample) (float64, bool) { return num(v.MaxSMClockMHz, 1e6) }},
		{d("memory_clock_hertz", "Clock of the memory."), g, sampleF(1e6, func(s *gpu.Sample) *float64 { return s.MemClockMHz })},
		{d("memory_clock_max_hertz", "Highest clock of the memory."), g, func(v *gpu.Device, _ *gpu.Sample) (float64, bool) { return num(v.MaxMemClockMHz, 1e6) }},
		{d("fan_speed_ratio", "Fan speed, 1 being the most intended."), g, sampleF(0.01, func(s *gpu.Sample) *float64 { return s.FanPercent })},
		{d("performance_state", "P-state: 0 is the fastest."), g, func(_ *gpu.Device, s *gpu.Sample) (float64, bool) { return num(s.PState, 1) }},
		{d("encoder_utilization_ratio", "Share of time in which the video encoder worked."), g, sampleF(0.01, func(s *gpu.Sample) *float64 { return s.EncoderPercent })},
		{d("decoder_utilization_ratio", "Share of time in which the video decoder worked."), g, sampleF(0.01, func(s *gpu.Sample) *float64 { return s.DecoderPercent })},
		{d("pcie_transmit_bytes_per_second", "Sent over PCIe."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.PCIeTxBytesPerSec })},
		{d("pcie_receive_bytes_per_second", "Received over PCIe."), g, sampleF(1, func(s *gpu.Sample) *float64 { return s.PCIeRxBytesPerSec })},
		{d("row_remap_pending", "1 when rows are remapped at the next reset."), g, func(_ *gpu.Device, s *gpu.Sample) (float64, bool) { return flag(s.RowRemapPending) }},
		{d("row_remap_failure", "1 when no spare rows were left."), g, func(_ *gpu.Device, s *gpu.Sample) (float64, bool) { return flag(s.RowRemapFailure) }},
		{d("processes", "Processes with a context on the GPU."), g, processCount},
		{d("sample_timestamp_seconds", "When this GPU was read."), g, func(_ *gpu.Device, s *gpu.Sample) (float64, bool) { return unixSeconds(s.At), !s.At.IsZero() }},
	}
}

// processCount is unknown of a GPU of which nothing was read: it may have any.
func processCount(_ *gpu.Device, s *gpu.Sample) (float64, bool) {
	return float64(len(s.Processes)), len(s.Processes) > 0 || hasNumbers(s)
}

func sampleF(scale float64, get func(*gpu.Sample) *float64) func(*gpu.Device, *gpu.Sample) (float64, bool) {
	return func(_ *gpu.Device, s *gpu.Sample) (float64, bool) { return num(get(s), scale) }
}

func num[T int | uint64 | float64](p *T, scale float64) (float64, bool) {
	if p == nil {
		return 0, false
	}
	return float64(*p) * scale, true
}

func flag(p *bool) (float64, bool) {
	if p == nil {
		return 0, false
	}
	return boolValue(*p), true
}

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func powerLimit(d *gpu.Device, s *gpu.Sample) (float64, bool) {
	if v, ok := num(s.PowerLimitWatts, 1); ok {
		return v, true
	}
	return num(d.PowerLimitWatts, 1)
}

// Describe describes nothing: see collector.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the last batch, without the GPUs when it is too old.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.collectSelf(ch)
	b, ok := c.agent.fresh()
	if !ok {
		return
	}
	samples := bySample(b)
	for i := range b.Devices {
		c.collectGPU(ch, b, &b.Devices[i], samples[b.Devices[i].UUID])
	}
	c.collectXids(ch, b)
}

// bySample indexes samples; a device that did not answer gets an empty one.
func bySample(b gpu.Batch) map[gpu.UUID]*gpu.Sample {
	out := make(map[gpu.UUID]*gpu.Sample, len(b.Devices))
	for i := range b.Samples {
		out[b.Samples[i].UUID] = &b.Samples[i]
	}
	return out
}

func gpuLabels(d *gpu.Device, more ...string) []string {
	return append([]string{string(d.UUID), strconv.Itoa(d.Index)}, more...)
}

func (c *collector) collectGPU(ch chan<- prometheus.Metric, b gpu.Batch, d *gpu.Device, s *gpu.Sample) {
	send(ch, c.info, gauge, 1, gpuLabels(d, d.Model, d.PCI, string(d.Parent), b.Driver, b.CUDA, d.Serial, d.VBIOS, d.ComputeMode, d.MIGProfile))
	if s == nil {
		return
	}
	_, hung := c.agent.meter.hungSince()[d.UUID]
	send(ch, c.hung, gauge, boolValue(hung), gpuLabels(d))
	for _, m := range c.perGPU {
		if v, ok := m.value(d, s); ok {
			send(ch, m.desc, m.kind, v, gpuLabels(d))
		}
	}
	if s.Health.Verdict != gpu.VerdictUnknown {
		for _, v := range []gpu.Verdict{gpu.VerdictOK, gpu.VerdictWatch, gpu.VerdictDegraded, gpu.VerdictFailed} {
			send(ch, c.health, gauge, boolValue(v == s.Health.Verdict), gpuLabels(d, string(v)))
		}
	}
	for kind, n := range map[string]*uint64{"corrected": s.ECCCorrected, "uncorrected": s.ECCUncorrected} {
		if v, ok := num(n, 1); ok {
			send(ch, c.ecc, counter, v, gpuLabels(d, kind))
		}
	}
	c.collectThrottle(ch, d, s)
	c.collectTasks(ch, d, s)
	c.detail.collect(ch, d, s)
}

// throttleReasons are those that NVML names, so that a series of one that ends
// goes to 0 and does not just vanish. Others are sent while they hold.
func throttleReasons() []string {
	return []string{
		"applications_clocks_setting", "sw_power_cap", "hw_slowdown", "sync_boost",
		"sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown", "display_clock_setting",
	}
}

func (c *collector) collectThrottle(ch chan<- prometheus.Metric, d *gpu.Device, s *gpu.Sample) {
	if s.Throttle == nil {
		return
	}
	values := map[string]bool{}
	for _, r := range throttleReasons() {
		values[r] = false
	}
	for _, r := range s.Throttle {
		values[r] = true
	}
	for r, v := range values {
		send(ch, c.held, gauge, boolValue(v), gpuLabels(d, r))
	}
}

// collectTasks sends one series a task, not a process: PIDs would make a new
// series at each restart.
func (c *collector) collectTasks(ch chan<- prometheus.Metric, d *gpu.Device, s *gpu.Sample) {
	type owner struct{ alloc, task string }
	used := map[owner]uint64{}
	for _, p := range s.Processes {
		if p.AllocID != "" {
			used[owner{p.AllocID, p.Task}] += p.MemoryBytes
		}
	}
	for o, n := range used {
		if n == 0 {
			continue // unknown
		}
		send(ch, c.taskMem, gauge, float64(n), gpuLabels(d, o.alloc, o.task))
	}
}

func (c *collector) collectXids(ch chan<- prometheus.Metric, b gpu.Batch) {
	index := map[gpu.UUID]*gpu.Device{}
	for i := range b.Devices {
		index[b.Devices[i].UUID] = &b.Devices[i]
	}
	m := c.agent.meter
	m.mu.Lock()
	counts := maps.Clone(m.xids)
	m.mu.Unlock()
	for k, n := range counts {
		if d := index[k.uuid]; d != nil {
			send(ch, c.xids, counter, float64(n), gpuLabels(d, strconv.FormatUint(k.xid, 10)))
		}
	}
}

func (c *collector) collectSelf(ch chan<- prometheus.Metric) {
	m := c.agent.meter
	m.mu.Lock()
	reads, errs, seconds := m.reads, m.errs, m.seconds
	m.mu.Unlock()
	g, s := gauge, c.self
	ch <- prometheus.MustNewConstSummary(s.duration, reads, seconds, nil)
	up := c.agent.samplerState().State == stream.SamplerOK
	send(ch, s.up, g, boolValue(up), nil)
	if b, ok := c.agent.hub.latest(); ok {
		send(ch, s.last, g, unixSeconds(b.At), nil)
	}
	send(ch, s.errs, counter, float64(errs), []string{"sample"})
	if c.agent.eng != nil {
		send(ch, s.errs, counter, float64(c.agent.eng.Failures()), []string{"container_engine"})
	}
	if tls := c.agent.cfg.TLS; tls != nil {
		if at, ok := tls.Expires(); ok {
			send(ch, s.expires, g, unixSeconds(at), nil)
		}
	}
	send(ch, s.streams, g, float64(c.agent.hub.clients()), nil)
	send(ch, s.build, g, 1, []string{c.agent.cfg.Version, runtime.Version()})
}

// send makes a metric. Labels come from hardware and from other programs: what
// is not UTF-8 in them is replaced, since it would fail the whole scrape.
func send(ch chan<- prometheus.Metric, d *prometheus.Desc, t prometheus.ValueType, v float64, labels []string) {
	for i := range labels {
		labels[i] = strings.ToValidUTF8(labels[i], "\uFFFD")
	}
	ch <- prometheus.MustNewConstMetric(d, t, v, labels...)
}
