package facts

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"stoker/cluster"
	"stoker/gpu"
)

func gpusView() View {
	return View{
		Name: "gpus", Aliases: []string{"gpu"}, Help: "every GPU, joined to the allocation that holds it", Needs: gpuSources(),
		Columns: columns(append([]Column{
			{Name: "node", Title: "NODE"},
			{Name: "index", Title: "GPU"},
			{Name: "uuid", Title: "UUID", Wide: true},
			{Name: "parent_uuid", Wide: true},
			{Name: "pci", Title: "PCI", Wide: true},
			{Name: "model", Title: "MODEL"},
			{Name: "state", Title: "STATE"},
			{Name: "util_percent", Title: "UTIL"},
			{Name: "memory_used_bytes", Title: "MEM USED"},
			{Name: "memory_total_bytes", Title: "MEM"},
			{Name: "power_watts", Title: "POWER"},
			{Name: "power_limit_watts", Title: "LIMIT", Wide: true},
			{Name: "temperature_celsius", Title: "TEMP"},
			{Name: "sm_clock_mhz", Title: "SM MHZ", Wide: true},
			{Name: "memory_clock_mhz", Title: "MEM MHZ", Wide: true},
			{Name: "throttle"},
			{Name: "ecc_corrected"},
			{Name: "ecc_uncorrected"},
			{Name: "energy_joules"},
			{Name: "health", Title: "HEALTH"},
			{Name: "health_reason", Title: "REASON", Wide: true},
			{Name: "schedulable", Title: "SCHED", Wide: true},
			{Name: "held_by", Title: "HELD BY"},
			{Name: "held_by_alloc", Title: "ALLOC", Wide: true},
			{Name: "held_by_job"},
			{Name: "processes"},
			{Name: "driver", Title: "DRIVER", Wide: true},
		}, detailColumns()...)...),
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for i := range s.GPUs {
				out = append(out, GPURow(&s.GPUs[i]))
			}
			return out
		},
	}
}

// detailColumns are what only a source on the node itself tells; detailValues
// are in the same order.
func detailColumns() []Column {
	return []Column{
		{Name: "cuda"},
		{Name: "vbios"},
		{Name: "serial"},
		{Name: "compute_mode"},
		{Name: "persistence"},
		{Name: "ecc"},
		{Name: "mig"},
		{Name: "mig_profile"},
		{Name: "memory_util_percent"},
		{Name: "memory_free_bytes"},
		{Name: "memory_reserved_bytes"},
		{Name: "bar1_used_bytes"},
		{Name: "bar1_total_bytes"},
		{Name: "memory_temperature_celsius", Title: "MEM TEMP", Wide: true},
		{Name: "temperature_margin_celsius", Title: "MARGIN", Wide: true},
		{Name: "slowdown_celsius"},
		{Name: "shutdown_celsius"},
		{Name: "power_default_limit_watts"},
		{Name: "sm_clock_max_mhz"},
		{Name: "memory_clock_max_mhz"},
		{Name: "video_clock_mhz"},
		{Name: "pstate"},
		{Name: "fan_percent"},
		{Name: "encoder_percent"},
		{Name: "decoder_percent"},
		{Name: "jpeg_percent"},
		{Name: "ofa_percent"},
		{Name: "throttle_times"},
		{Name: "pcie_generation", Title: "PCIE", Wide: true},
		{Name: "pcie_generation_max"},
		{Name: "pcie_width", Title: "LANES", Wide: true},
		{Name: "pcie_width_max"},
		{Name: "pcie_tx_bytes_per_second"},
		{Name: "pcie_rx_bytes_per_second"},
		{Name: "pcie_replays"},
		{Name: "nvlinks", Title: "LINKS", Wide: true},
		{Name: "nvlinks_up", Title: "UP", Wide: true},
		{Name: "nvlink_errors"},
		{Name: "nvlink_tx_bytes_per_second"},
		{Name: "nvlink_rx_bytes_per_second"},
		{Name: "ecc_corrected_total"},
		{Name: "ecc_uncorrected_total"},
		{Name: "rows_remapped_correctable"},
		{Name: "rows_remapped_uncorrectable"},
		{Name: "row_remap_pending"},
		{Name: "row_remap_failure"},
		{Name: "pages_retired_single_bit"},
		{Name: "pages_retired_double_bit"},
		{Name: "pages_pending"},
		{Name: "sm_percent"},
		{Name: "occupancy_percent"},
		{Name: "tensor_percent", Title: "TENSOR", Wide: true},
		{Name: "dram_percent"},
		{Name: "fp16_percent"},
		{Name: "fp32_percent"},
		{Name: "fp64_percent"},
	}
}

// GPURow is the row of one GPU in the view gpus.
func GPURow(g *cluster.GPU) Row {
	sample := g.Sample
	if sample == nil {
		sample = &gpu.Sample{}
	}
	var throttle, procs any
	if sample.Throttle != nil {
		throttle = strings.Join(sample.Throttle, ",")
	}
	if list, known := g.Processes(); known {
		procs = len(list)
	}
	var total any
	if g.MemoryBytes > 0 {
		total = g.MemoryBytes
	}
	var heldBy, alloc, job any
	if h := g.Holder; h != nil {
		heldBy, alloc, job = h.Job.Namespace+"/"+h.Name, string(h.Alloc), h.Job.String()
	}
	var schedulable any
	if g.Known {
		schedulable = g.Schedulable
	}
	values := []any{
		g.NodeName, g.Index, string(g.UUID), word(string(g.Parent)), word(g.PCI), g.Model, g.State(),
		num(sample.UtilPercent), num(sample.MemoryUsedBytes), total, num(sample.PowerWatts), num(sample.PowerLimitWatts), num(sample.TempCelsius),
		num(sample.SMClockMHz), num(sample.MemClockMHz), throttle, num(sample.ECCCorrected), num(sample.ECCUncorrected), num(sample.EnergyJoules),
		word(string(g.Health.Verdict)), word(g.Health.Reason), schedulable, heldBy, alloc, job, procs, word(g.Driver),
	}
	return line(g.Place, g.Source, g.AsOf(), append(values, detailValues(g, sample)...)...)
}

func detailValues(g *cluster.GPU, s *gpu.Sample) []any {
	d := s.Detail
	if d == nil {
		d = &gpu.Detail{}
	}
	m := d.GPM
	if m == nil {
		m = &gpu.GPM{}
	}
	links := g.Links()
	var all, up any
	if links.All > 0 {
		all, up = links.All, links.Up
	}
	return []any{
		word(g.CUDA), word(g.VBIOS), word(g.Serial), word(g.ComputeMode), num(g.Persistence), num(g.ECC), num(g.MIG), word(g.MIGProfile),
		num(s.MemoryUtilPercent), num(d.MemoryFreeBytes), num(d.MemoryReservedBytes), num(d.BAR1UsedBytes), num(g.BAR1Bytes),
		num(d.MemTempCelsius), num(d.TempMarginCelsius), num(g.SlowdownCelsius), num(g.ShutdownCelsius), num(g.PowerDefaultLimitWatts),
		num(g.MaxSMClockMHz), num(g.MaxMemClockMHz), num(d.VideoClockMHz), num(s.PState), num(s.FanPercent),
		num(s.EncoderPercent), num(s.DecoderPercent), num(d.JPEGPercent), num(d.OFAPercent), throttleTimes(d),
		num(d.PCIeGen), num(g.MaxPCIeGen), num(d.PCIeWidth), num(g.MaxPCIeWidth), num(s.PCIeTxBytesPerSec), num(s.PCIeRxBytesPerSec), num(d.PCIeReplays),
		all, up, num(links.Errors), num(links.TxBytesPerSec), num(links.RxBytesPerSec),
		num(d.ECCCorrectedTotal), num(d.ECCUncorrectedTotal), num(d.RowsCorrectable), num(d.RowsUncorrectable), num(s.RowRemapPending), num(s.RowRemapFailure),
		num(d.PagesSingleBit), num(d.PagesDoubleBit), num(d.PagesPending),
		num(m.SMPercent), num(m.OccupancyPercent), num(m.TensorPercent), num(m.DRAMPercent), num(m.FP16Percent), num(m.FP32Percent), num(m.FP64Percent),
	}
}

// throttleTimes are the reasons with their seconds, joined.
func throttleTimes(d *gpu.Detail) any {
	if d.ThrottleSeconds == nil {
		return nil
	}
	var out []string
	for _, reason := range slices.Sorted(maps.Keys(d.ThrottleSeconds)) {
		out = append(out, fmt.Sprintf("%s=%.3f", reason, d.ThrottleSeconds[reason]))
	}
	return strings.Join(out, ",")
}

func processesView() View {
	return View{
		Name: "processes", Aliases: []string{"process"}, Help: "every process with a context on a GPU", Needs: gpuSources(),
		Columns: columns(
			Column{Name: "node", Title: "NODE"},
			Column{Name: "index", Title: "GPU"},
			Column{Name: "uuid"},
			Column{Name: "pid", Title: "PID"},
			Column{Name: "user", Title: "USER"},
			Column{Name: "type", Title: "TYPE"},
			Column{Name: "util_percent", Title: "UTIL"},
			Column{Name: "memory_used_bytes", Title: "GPU MEM"},
			Column{Name: "cpu_percent", Title: "CPU"},
			Column{Name: "host_memory_bytes", Title: "HOST MEM"},
			Column{Name: "job", Title: "JOB", Wide: true},
			Column{Name: "alloc", Title: "ALLOC"},
			Column{Name: "alloc_id", Title: "ALLOC ID", Wide: true},
			Column{Name: "task", Title: "TASK"},
			Column{Name: "name"},
			Column{Name: "command", Title: "COMMAND"},
		),
		Rows: func(s *cluster.Snapshot) (out []Row) {
			for i := range s.GPUs {
				g := &s.GPUs[i]
				list, _ := g.Processes()
				for j := range list {
					out = append(out, ProcessRow(s, g, &list[j]))
				}
			}
			return out
		},
	}
}

// ProcessRow is the row of one process on one GPU in the view processes.
func ProcessRow(s *cluster.Snapshot, g *cluster.GPU, p *gpu.Process) Row {
	job, alloc := any(nil), any(nil)
	if a := s.Alloc(cluster.AllocID(p.AllocID)); a != nil {
		job, alloc = a.Job.String(), a.Name
	}
	if alloc == nil && p.AllocID != "" { // without a scheduler nobody tells its name
		alloc = cluster.AllocID(p.AllocID).Short()
	}
	memory := any(nil) // 0 is unknown
	if p.MemoryBytes > 0 {
		memory = p.MemoryBytes
	}
	command := p.Command
	if command == "" {
		command = p.Name
	}
	return line(g.Place, g.Source, g.AsOf(), g.NodeName, g.Index, string(g.UUID), p.PID, word(p.User), word(p.Type),
		num(p.UtilPercent), memory, num(p.CPUPercent), num(p.HostMemoryBytes), job, alloc, word(p.AllocID), word(p.Task), word(p.Name), word(command))
}

// Lacks says what the driver's libraries cannot tell; empty when they have all.
func Lacks(s *cluster.Snapshot) string {
	var names []string
	for i := range s.GPUs {
		for _, n := range s.GPUs[i].Lacks {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	what := "it tells"
	if len(names) > 1 {
		what = "they tell"
	}
	return fmt.Sprintf("this driver's library lacks %s: what %s is unknown", strings.Join(names, ", "), what)
}
