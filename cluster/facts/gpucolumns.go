package facts

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"stoker/cluster"
	"stoker/gpu"
)

// gpuColumn is one column of the view gpus with what it holds of a GPU. Each is
// read by itself, so that a filter over thousands of GPUs costs the columns that
// it names and not all.
type gpuColumn struct {
	Column
	value func(p gpuParts) any
}

// gpuParts is a GPU with the parts of its sample; those that are not there are empty.
type gpuParts struct {
	*cluster.GPU
	s *gpu.Sample
	d *gpu.Detail
	m *gpu.GPM
}

var (
	noSample gpu.Sample
	noDetail gpu.Detail
	noGPM    gpu.GPM
)

func partsOf(g *cluster.GPU) gpuParts {
	p := gpuParts{g, &noSample, &noDetail, &noGPM}
	if g.Sample != nil {
		p.s = g.Sample
	}
	if p.s.Detail != nil {
		p.d = p.s.Detail
	}
	if p.d.GPM != nil {
		p.m = p.d.GPM
	}
	return p
}

// GPUCells reads the row of one GPU in the view gpus by columns.
func GPUCells(g *cluster.GPU) Cells {
	p := partsOf(g)
	return func(column int) any { return gpuValue(p, column) }
}

func gpuValue(p gpuParts, column int) any {
	switch column -= headColumns; {
	case column < 0:
		return headValue(p.Place, column+headColumns)
	case column < len(gpuColumns):
		return gpuColumns[column].value(p)
	}
	return tailValue(p.Source, p.AsOf(), column-len(gpuColumns))
}

// GPURow is the row of one GPU in the view gpus.
func GPURow(g *cluster.GPU) Row {
	p := partsOf(g)
	row := make(Row, headColumns+len(gpuColumns)+tailColumns)
	for i := range row {
		row[i] = gpuValue(p, i)
	}
	return row
}

// gpuColumns are the columns of the view gpus, between those that all views
// have. From cuda on they are what only a source on the node itself tells.
var gpuColumns = [...]gpuColumn{
	{Column{Name: "node", Title: "NODE"}, func(p gpuParts) any { return p.NodeName }},
	{Column{Name: "node_pool", Title: "POOL", Wide: true}, func(p gpuParts) any { return word(p.Pool) }},
	{Column{Name: "index", Title: "GPU", Type: Int}, func(p gpuParts) any { return p.Index }},
	{Column{Name: "uuid", Title: "UUID", Wide: true}, func(p gpuParts) any { return string(p.UUID) }},
	{Column{Name: "parent_uuid", Wide: true}, func(p gpuParts) any { return word(string(p.Parent)) }},
	{Column{Name: "pci", Title: "PCI", Wide: true}, func(p gpuParts) any { return word(p.PCI) }},
	{Column{Name: "model", Title: "MODEL"}, func(p gpuParts) any { return p.Model }},
	{Column{Name: "state", Title: "STATE", Words: cluster.GPUStates()}, func(p gpuParts) any { return p.State() }},
	{Column{Name: "util_percent", Title: "UTIL", Type: Float}, func(p gpuParts) any { return num(p.s.UtilPercent) }},
	{Column{Name: "memory_used_bytes", Title: "MEM USED", Type: Int}, func(p gpuParts) any { return num(p.s.MemoryUsedBytes) }},
	{Column{Name: "memory_total_bytes", Title: "MEM", Type: Int}, func(p gpuParts) any { return p.memory() }},
	{Column{Name: "power_watts", Title: "POWER", Type: Float}, func(p gpuParts) any { return num(p.s.PowerWatts) }},
	{Column{Name: "power_limit_watts", Title: "LIMIT", Wide: true, Type: Float}, func(p gpuParts) any { return num(p.s.PowerLimitWatts) }},
	{Column{Name: "temperature_celsius", Title: "TEMP", Type: Float}, func(p gpuParts) any { return num(p.s.TempCelsius) }},
	{Column{Name: "sm_clock_mhz", Title: "SM MHZ", Wide: true, Type: Float}, func(p gpuParts) any { return num(p.s.SMClockMHz) }},
	{Column{Name: "memory_clock_mhz", Title: "MEM MHZ", Wide: true, Type: Float}, func(p gpuParts) any { return num(p.s.MemClockMHz) }},
	{Column{Name: "throttle"}, func(p gpuParts) any { return p.throttle() }},
	{Column{Name: "ecc_corrected", Type: Int}, func(p gpuParts) any { return num(p.s.ECCCorrected) }},
	{Column{Name: "ecc_uncorrected", Type: Int}, func(p gpuParts) any { return num(p.s.ECCUncorrected) }},
	{Column{Name: "energy_joules", Type: Float}, func(p gpuParts) any { return num(p.s.EnergyJoules) }},
	{Column{Name: "health", Title: "HEALTH", Words: words(gpu.Verdicts()[1:])}, func(p gpuParts) any { return word(string(p.Health.Verdict)) }},
	{Column{Name: "health_reason", Title: "REASON", Wide: true}, func(p gpuParts) any { return word(p.Health.Reason) }},
	{Column{Name: "schedulable", Title: "SCHED", Wide: true, Type: Bool}, func(p gpuParts) any { return p.schedulable() }},
	{Column{Name: "held_by", Title: "HELD BY"}, func(p gpuParts) any { return p.heldBy() }},
	{Column{Name: "held_by_alloc", Title: "ALLOC", Wide: true}, func(p gpuParts) any { return p.alloc() }},
	{Column{Name: "held_by_job"}, func(p gpuParts) any { return p.job() }},
	{Column{Name: "held_by_namespace"}, func(p gpuParts) any { return p.namespace() }},
	{Column{Name: "held", Type: Bool}, func(p gpuParts) any { return p.claimed(p.Holder != nil) }},
	{Column{Name: "free", Type: Bool}, func(p gpuParts) any { return p.claimed(p.Free()) }},
	{Column{Name: "idle", Type: Bool}, func(p gpuParts) any { return p.claimed(p.Idle()) }},
	{Column{Name: "rogue", Type: Bool}, func(p gpuParts) any { return p.claimed(p.Rogue()) }},
	{Column{Name: "failed", Type: Bool}, func(p gpuParts) any { return p.Failed() }},
	{Column{Name: "processes", Type: Int}, func(p gpuParts) any { return p.processes() }},
	{Column{Name: "driver", Title: "DRIVER", Wide: true}, func(p gpuParts) any { return word(p.Driver) }},

	{Column{Name: "cuda"}, func(p gpuParts) any { return word(p.CUDA) }},
	{Column{Name: "vbios"}, func(p gpuParts) any { return word(p.VBIOS) }},
	{Column{Name: "serial"}, func(p gpuParts) any { return word(p.Serial) }},
	{Column{Name: "compute_mode"}, func(p gpuParts) any { return word(p.ComputeMode) }},
	{Column{Name: "persistence", Type: Bool}, func(p gpuParts) any { return num(p.Persistence) }},
	{Column{Name: "ecc", Type: Bool}, func(p gpuParts) any { return num(p.ECC) }},
	{Column{Name: "mig", Type: Bool}, func(p gpuParts) any { return num(p.MIG) }},
	{Column{Name: "mig_profile"}, func(p gpuParts) any { return word(p.MIGProfile) }},
	{Column{Name: "memory_util_percent", Type: Float}, func(p gpuParts) any { return num(p.s.MemoryUtilPercent) }},
	{Column{Name: "memory_free_bytes", Type: Int}, func(p gpuParts) any { return num(p.d.MemoryFreeBytes) }},
	{Column{Name: "memory_reserved_bytes", Type: Int}, func(p gpuParts) any { return num(p.d.MemoryReservedBytes) }},
	{Column{Name: "bar1_used_bytes", Type: Int}, func(p gpuParts) any { return num(p.d.BAR1UsedBytes) }},
	{Column{Name: "bar1_total_bytes", Type: Int}, func(p gpuParts) any { return num(p.BAR1Bytes) }},
	{Column{Name: "memory_temperature_celsius", Title: "MEM TEMP", Wide: true, Type: Float}, func(p gpuParts) any { return num(p.d.MemTempCelsius) }},
	{Column{Name: "temperature_margin_celsius", Title: "MARGIN", Wide: true, Type: Float}, func(p gpuParts) any { return num(p.d.TempMarginCelsius) }},
	{Column{Name: "slowdown_celsius", Type: Float}, func(p gpuParts) any { return num(p.SlowdownCelsius) }},
	{Column{Name: "shutdown_celsius", Type: Float}, func(p gpuParts) any { return num(p.ShutdownCelsius) }},
	{Column{Name: "power_default_limit_watts", Type: Float}, func(p gpuParts) any { return num(p.PowerDefaultLimitWatts) }},
	{Column{Name: "sm_clock_max_mhz", Type: Float}, func(p gpuParts) any { return num(p.MaxSMClockMHz) }},
	{Column{Name: "memory_clock_max_mhz", Type: Float}, func(p gpuParts) any { return num(p.MaxMemClockMHz) }},
	{Column{Name: "video_clock_mhz", Type: Float}, func(p gpuParts) any { return num(p.d.VideoClockMHz) }},
	{Column{Name: "pstate", Type: Int}, func(p gpuParts) any { return num(p.s.PState) }},
	{Column{Name: "fan_percent", Type: Float}, func(p gpuParts) any { return num(p.s.FanPercent) }},
	{Column{Name: "encoder_percent", Type: Float}, func(p gpuParts) any { return num(p.s.EncoderPercent) }},
	{Column{Name: "decoder_percent", Type: Float}, func(p gpuParts) any { return num(p.s.DecoderPercent) }},
	{Column{Name: "jpeg_percent", Type: Float}, func(p gpuParts) any { return num(p.d.JPEGPercent) }},
	{Column{Name: "ofa_percent", Type: Float}, func(p gpuParts) any { return num(p.d.OFAPercent) }},
	{Column{Name: "throttle_times"}, func(p gpuParts) any { return throttleTimes(p.d) }},
	{Column{Name: "pcie_generation", Title: "PCIE", Wide: true, Type: Int}, func(p gpuParts) any { return num(p.d.PCIeGen) }},
	{Column{Name: "pcie_generation_max", Type: Int}, func(p gpuParts) any { return num(p.MaxPCIeGen) }},
	{Column{Name: "pcie_width", Title: "LANES", Wide: true, Type: Int}, func(p gpuParts) any { return num(p.d.PCIeWidth) }},
	{Column{Name: "pcie_width_max", Type: Int}, func(p gpuParts) any { return num(p.MaxPCIeWidth) }},
	{Column{Name: "pcie_tx_bytes_per_second", Type: Float}, func(p gpuParts) any { return num(p.s.PCIeTxBytesPerSec) }},
	{Column{Name: "pcie_rx_bytes_per_second", Type: Float}, func(p gpuParts) any { return num(p.s.PCIeRxBytesPerSec) }},
	{Column{Name: "pcie_replays", Type: Int}, func(p gpuParts) any { return num(p.d.PCIeReplays) }},
	{Column{Name: "nvlinks", Title: "LINKS", Wide: true, Type: Int}, func(p gpuParts) any { return p.links() }},
	{Column{Name: "nvlinks_up", Title: "UP", Wide: true, Type: Int}, func(p gpuParts) any { return p.linksUp() }},
	{Column{Name: "nvlink_errors", Type: Int}, func(p gpuParts) any { return num(p.Links().Errors) }},
	{Column{Name: "nvlink_tx_bytes_per_second", Type: Float}, func(p gpuParts) any { return num(p.Links().TxBytesPerSec) }},
	{Column{Name: "nvlink_rx_bytes_per_second", Type: Float}, func(p gpuParts) any { return num(p.Links().RxBytesPerSec) }},
	{Column{Name: "ecc_corrected_total", Type: Int}, func(p gpuParts) any { return num(p.d.ECCCorrectedTotal) }},
	{Column{Name: "ecc_uncorrected_total", Type: Int}, func(p gpuParts) any { return num(p.d.ECCUncorrectedTotal) }},
	{Column{Name: "rows_remapped_correctable", Type: Int}, func(p gpuParts) any { return num(p.d.RowsCorrectable) }},
	{Column{Name: "rows_remapped_uncorrectable", Type: Int}, func(p gpuParts) any { return num(p.d.RowsUncorrectable) }},
	{Column{Name: "row_remap_pending", Type: Bool}, func(p gpuParts) any { return num(p.s.RowRemapPending) }},
	{Column{Name: "row_remap_failure", Type: Bool}, func(p gpuParts) any { return num(p.s.RowRemapFailure) }},
	{Column{Name: "pages_retired_single_bit", Type: Int}, func(p gpuParts) any { return num(p.d.PagesSingleBit) }},
	{Column{Name: "pages_retired_double_bit", Type: Int}, func(p gpuParts) any { return num(p.d.PagesDoubleBit) }},
	{Column{Name: "pages_pending", Type: Bool}, func(p gpuParts) any { return num(p.d.PagesPending) }},
	{Column{Name: "sm_percent", Type: Float}, func(p gpuParts) any { return num(p.m.SMPercent) }},
	{Column{Name: "occupancy_percent", Type: Float}, func(p gpuParts) any { return num(p.m.OccupancyPercent) }},
	{Column{Name: "tensor_percent", Title: "TENSOR", Wide: true, Type: Float}, func(p gpuParts) any { return num(p.m.TensorPercent) }},
	{Column{Name: "dram_percent", Type: Float}, func(p gpuParts) any { return num(p.m.DRAMPercent) }},
	{Column{Name: "fp16_percent", Type: Float}, func(p gpuParts) any { return num(p.m.FP16Percent) }},
	{Column{Name: "fp32_percent", Type: Float}, func(p gpuParts) any { return num(p.m.FP32Percent) }},
	{Column{Name: "fp64_percent", Type: Float}, func(p gpuParts) any { return num(p.m.FP64Percent) }},
}

func (p gpuParts) memory() any {
	if p.MemoryBytes == 0 {
		return nil
	}
	return p.MemoryBytes
}

func (p gpuParts) throttle() any {
	if p.s.Throttle == nil {
		return nil
	}
	return strings.Join(p.s.Throttle, ",")
}

func (p gpuParts) schedulable() any {
	if !p.Known {
		return nil
	}
	return p.Schedulable
}

func (p gpuParts) heldBy() any {
	if p.Holder == nil {
		return nil
	}
	return p.Holder.Job.Namespace + "/" + p.Holder.Name
}

func (p gpuParts) alloc() any {
	if p.Holder == nil {
		return nil
	}
	return string(p.Holder.Alloc)
}

func (p gpuParts) job() any {
	if p.Holder == nil {
		return nil
	}
	return p.Holder.Job.String()
}

func (p gpuParts) namespace() any {
	if p.Holder == nil {
		return nil
	}
	return p.Holder.Job.Namespace
}

// claimed is a fact about who holds the GPU, unknown while nobody knows that.
func (p gpuParts) claimed(is bool) any {
	if !p.Claims || p.Alone {
		return nil
	}
	return is
}

func (p gpuParts) processes() any {
	list, known := p.Processes()
	if !known {
		return nil
	}
	return len(list)
}

func (p gpuParts) links() any {
	if n := p.Links().All; n > 0 {
		return n
	}
	return nil
}

func (p gpuParts) linksUp() any {
	if l := p.Links(); l.All > 0 {
		return l.Up
	}
	return nil
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
