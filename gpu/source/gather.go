package source

import (
	"cmp"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"stoker/gpu"
)

// series is one number of an exposition or of a query's answer.
type series struct {
	name   string
	labels map[string]string
	value  float64
	at     time.Time // by whoever measured it; zero where that is not told
}

// gathered is what the series of one GPU say together.
type gathered struct {
	device       gpu.Device
	sample       gpu.Sample // without the verdict, and At zero when nobody says
	detail       gpu.Detail
	gpm          gpu.GPM
	fabric       gpu.NVLinkTotal
	links        map[int]*gathered // of each NVLink only fabric and crc count
	crc          [3]*uint64        // of all kinds together, of flits, of data
	driver, cuda string

	xid    *uint64 // the last Xid; 0: none since the driver was loaded
	xids   map[uint64]float64
	recent map[uint64]bool // those of xids that happened minutes ago at most
	told   gpu.Verdict     // by the node's own agent
	best   []uint8         // for each metric, 1 + the spelling that holds
}

// empty says that labels alone were told, and no number.
func (g *gathered) empty() bool {
	return g.best == nil && g.links == nil && g.xids == nil && g.told == gpu.VerdictUnknown && g.sample.Throttle == nil
}

// count takes a series that counts the Xids of one number.
func (g *gathered) count(s series, recent bool) {
	n, err := strconv.ParseUint(s.labels["xid"], 10, 64)
	if err != nil || n == 0 || !(s.value > 0 && s.value < blankShort) {
		return
	}
	if g.xids == nil {
		g.xids, g.recent = map[uint64]float64{}, map[uint64]bool{}
	}
	g.xids[n] = max(s.value, g.xids[n])
	g.recent[n] = g.recent[n] || recent
}

// collector gathers series by GPU.
type collector struct {
	table    []metric
	at       map[string]place
	labelled map[string]func(*gathered, series)
	gpus     map[gpu.UUID]*gathered
}

// place is where in the table a name stands.
type place struct{ metric, spelling int }

func newCollector() *collector {
	c := &collector{table: metrics(), at: map[string]place{}, labelled: labelled(), gpus: map[gpu.UUID]*gathered{}}
	for i, m := range c.table {
		for j, s := range m.names {
			c.at[s.name] = place{i, j}
		}
	}
	return c
}

// names lists what a fleet can ask for: without details what it cannot do without.
func (c *collector) names(withDetails bool) []string {
	out := slices.Collect(maps.Keys(c.labelled))
	for _, m := range c.table {
		for _, s := range m.names {
			if withDetails || !m.detail {
				out = append(out, s.name)
			}
		}
	}
	slices.Sort(out)
	return out
}

// add takes a series; what is of no GPU, or of a part of one, is left out.
func (c *collector) add(s series) {
	id := uuidOf(s.labels)
	if id == "" {
		return
	}
	p, plain := c.at[s.name]
	special := c.labelled[s.name]
	if !plain && special == nil {
		return
	}
	g := c.of(id)
	g.describe(s)
	if s.labels["GPU_I_ID"] != "" || s.labels["GPU_I_PROFILE"] != "" {
		// Of a MIG instance, by the UUID of the device. An instance's own UUID,
		// by which it is scheduled, is not told, so there is no row for it.
		yes := true
		g.device.MIG = &yes
		return
	}
	if special != nil {
		special(g, s)
		return
	}
	to := g
	if n, err := strconv.Atoi(s.labels["nvlink"]); err == nil && n >= 0 && n < maxLinks {
		to = g.link(n)
	}
	c.put(to, p, s.value)
}

// put sets a number unless it is known already under a better name.
func (c *collector) put(g *gathered, p place, v float64) {
	m := &c.table[p.metric]
	if !m.known(v) {
		return
	}
	if g.best == nil {
		g.best = make([]uint8, len(c.table))
	}
	if held := g.best[p.metric]; held != 0 && int(held) < p.spelling+1 {
		return
	}
	g.best[p.metric] = uint8(p.spelling + 1)
	m.set(g, m.in(m.names[p.spelling], v))
}

func (c *collector) of(id gpu.UUID) *gathered {
	g := c.gpus[id]
	if g == nil {
		g = &gathered{device: gpu.Device{UUID: id, Index: gpu.UnknownIndex}, sample: gpu.Sample{UUID: id}}
		c.gpus[id] = g
	}
	return g
}

func (g *gathered) link(n int) *gathered {
	if g.links == nil {
		g.links = map[int]*gathered{}
	}
	if g.links[n] == nil {
		g.links[n] = &gathered{}
	}
	return g.links[n]
}

// label is the first of the labels that is there.
func label(of map[string]string, names ...string) string {
	for _, n := range names {
		if v := of[n]; v != "" {
			return v
		}
	}
	return ""
}

func uuidOf(labels map[string]string) gpu.UUID {
	id := label(labels, "UUID", "uuid", "gpu_uuid")
	if !strings.HasPrefix(id, "GPU-") && !strings.HasPrefix(id, "MIG-") {
		return ""
	}
	return gpu.UUID(id)
}

// describe takes what labels say of the GPU. Each value can be told by several
// names: those of dcgm-exporter before and after 4.9, and of stoker's agent.
func (g *gathered) describe(s series) {
	d := &g.device
	if n, err := strconv.Atoi(s.labels["gpu"]); err == nil && n >= 0 {
		d.Index = n
	}
	d.Model = cmp.Or(label(s.labels, "modelName", "model_name", "model"), d.Model)
	d.PCI = cmp.Or(shortPCI(label(s.labels, "pci_bus_id", "pci")), d.PCI)
	d.Parent = cmp.Or(gpu.UUID(s.labels["parent"]), d.Parent)
	d.Serial = cmp.Or(label(s.labels, "DCGM_FI_DEV_BOARD_SERIAL", "DCGM_FI_DEV_SERIAL"), d.Serial)
	d.VBIOS = cmp.Or(s.labels["DCGM_FI_DEV_VBIOS_VERSION"], d.VBIOS)
	g.driver = cmp.Or(label(s.labels, "DCGM_FI_SYSTEM_DRIVER_VERSION", "DCGM_FI_DRIVER_VERSION", "driver"), g.driver)
	g.cuda = cmp.Or(s.labels["cuda"], g.cuda)
	if s.at.After(g.sample.At) {
		g.sample.At = s.at
	}
}

// shortPCI writes a bus id as stoker does: DCGM's has a domain of eight digits.
func shortPCI(id string) string {
	id = strings.ToLower(id)
	if domain, rest, ok := strings.Cut(id, ":"); ok && len(domain) == 8 && strings.HasPrefix(domain, "0000") {
		return domain[4:] + ":" + rest
	}
	return id
}

// finish adds what follows from the rest.
func (g *gathered) finish() {
	d, s, det := &g.device, &g.sample, g.detail // a copy: a sample must not keep all of g
	if d.MemoryBytes == 0 && s.MemoryUsedBytes != nil && det.MemoryFreeBytes != nil {
		d.MemoryBytes = *s.MemoryUsedBytes + *det.MemoryFreeBytes
		if det.MemoryReservedBytes != nil {
			d.MemoryBytes += *det.MemoryReservedBytes
		}
	}
	d.PowerLimitWatts = s.PowerLimitWatts
	slices.Sort(s.Throttle)
	if gpm := g.gpm; gpm != (gpu.GPM{}) {
		det.GPM = &gpm
	}
	fabric := g.fabric
	fabric.CRCErrors = g.crcErrors()
	if fabric != (gpu.NVLinkTotal{}) {
		det.NVLinkTotal = &fabric
	}
	for _, n := range slices.Sorted(maps.Keys(g.links)) {
		l := g.links[n]
		// The exporter tells of links that are up, and of no others.
		det.NVLinks = append(det.NVLinks, gpu.NVLink{
			Link: n, Up: true, TxBytesPerSec: l.fabric.TxBytesPerSec, RxBytesPerSec: l.fabric.RxBytesPerSec,
			Replays: l.fabric.Replays, Recoveries: l.fabric.Recoveries, CRCErrors: l.crcErrors(),
		})
	}
	if !reflect.ValueOf(det).IsZero() {
		s.Detail = &det
	}
}

// crcErrors is the count of all kinds, or the sum of those of flits and data.
func (g *gathered) crcErrors() *uint64 {
	switch all, flits, data := g.crc[0], g.crc[1], g.crc[2]; {
	case all != nil:
		return all
	case flits != nil && data != nil:
		sum := *flits + *data
		return &sum
	default:
		return cmp.Or(flits, data)
	}
}

// readings gives the GPUs in a fixed order, each finished.
func (c *collector) readings() []*gathered {
	var out []*gathered
	for _, g := range c.gpus {
		g.finish()
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *gathered) int {
		return cmp.Or(cmp.Compare(a.device.Index, b.device.Index), cmp.Compare(a.device.UUID, b.device.UUID))
	})
	return out
}

// unixTime is a Prometheus time, in seconds with a fraction.
func unixTime(seconds float64) time.Time {
	if !(math.Abs(seconds) < 1<<40) {
		return time.Time{}
	}
	return time.UnixMilli(int64(math.Round(seconds * 1000)))
}
