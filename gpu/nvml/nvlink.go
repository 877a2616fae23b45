//go:build cgo

package nvml

import (
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"stoker/gpu"
)

// links are the NVLinks that a board has. What they carried comes with the
// numbered fields at each reading; states and errors need calls of their own.
type links struct {
	ids     []int
	at      time.Time // of the last counters
	was     map[int]carried
	askedAt time.Time    // when states and errors were asked for
	up      []bool       // beside ids
	errs    []linkErrors // beside ids
	turn    int          // whose errors are asked next
}

// carried are the bytes that went over a link since the driver was loaded.
type carried struct{ tx, rx float64 }

type linkErrors struct{ replays, recoveries, crc *uint64 }

// findLinks asks for each link once: one that the board does not have is an
// error, whatever it is called. It is nil without links.
func (p *probe) findLinks() *links {
	if p.cannot[callNVLink] {
		return nil
	}
	l := &links{}
	for i := range nvml.NVLINK_MAX_LINKS {
		p.calls++
		if _, ret := p.handle.GetNvLinkState(i); ret != nvml.SUCCESS {
			break
		}
		l.ids = append(l.ids, i)
	}
	if len(l.ids) == 0 {
		return nil
	}
	l.up, l.errs = make([]bool, len(l.ids)), make([]linkErrors, len(l.ids))
	return l
}

// fields adds those that tell of links.
func (l *links) fields(want []nvml.FieldValue) []nvml.FieldValue {
	if l == nil {
		return want
	}
	want = append(want, nvml.FieldValue{FieldId: nvml.FI_DEV_NVLINK_SPEED_MBPS_COMMON})
	for _, i := range l.ids {
		want = append(want,
			nvml.FieldValue{FieldId: nvml.FI_DEV_NVLINK_THROUGHPUT_DATA_TX, ScopeId: uint32(i)},
			nvml.FieldValue{FieldId: nvml.FI_DEV_NVLINK_THROUGHPUT_DATA_RX, ScopeId: uint32(i)})
	}
	return want
}

// read makes the links of a sample of the fields that came.
func (l *links) read(p *probe, now time.Time, got []nvml.FieldValue) []gpu.NVLink {
	if l == nil {
		return nil
	}
	var speed *float64
	is := map[int]carried{}
	told := map[int]int{}
	for _, f := range got {
		v, ok := number(f)
		if !ok {
			continue
		}
		c := is[int(f.ScopeId)]
		switch f.FieldId {
		case nvml.FI_DEV_NVLINK_SPEED_MBPS_COMMON:
			speed = &v
			continue
		case nvml.FI_DEV_NVLINK_THROUGHPUT_DATA_TX:
			c.tx = v * 1024 // the driver counts KiB
		case nvml.FI_DEV_NVLINK_THROUGHPUT_DATA_RX:
			c.rx = v * 1024
		default:
			continue
		}
		is[int(f.ScopeId)] = c
		told[int(f.ScopeId)]++
	}
	if age := now.Sub(l.askedAt); l.askedAt.IsZero() || age < 0 || age >= askLinks {
		l.askStates(p)
		l.askErrors(p)
		l.askedAt = now
	}
	elapsed := now.Sub(l.at).Seconds()
	out := make([]gpu.NVLink, 0, len(l.ids))
	for n, i := range l.ids {
		e := l.errs[n]
		link := gpu.NVLink{Link: i, Up: l.up[n], Replays: e.replays, Recoveries: e.recoveries, CRCErrors: e.crc}
		if link.Up {
			link.SpeedMBPerSec = speed
		}
		if before, known := l.was[i]; known && told[i] == 2 && elapsed > 0 {
			link.TxBytesPerSec, link.RxBytesPerSec = rate(before.tx, is[i].tx, elapsed), rate(before.rx, is[i].rx, elapsed)
		}
		out = append(out, link)
	}
	l.at, l.was = now, is
	return out
}

// rate is unknown over a reset of the counter.
func rate(before, now, seconds float64) *float64 {
	if now < before {
		return nil
	}
	r := (now - before) / seconds
	return &r
}

const (
	askLinks = 900 * time.Millisecond // between two looks at states and errors
	// perTurn is how many links are asked for their errors at one look: four
	// calls each, and eight GPUs with eighteen links would be most of the work.
	perTurn = 9
)

func (l *links) askStates(p *probe) {
	for n, i := range l.ids {
		state := ask(&p.asker, callNVLink, of(p.handle.GetNvLinkState, i))
		l.up[n] = state != nil && *state == nvml.FEATURE_ENABLED
	}
}

func (l *links) askErrors(p *probe) {
	for range min(perTurn, len(l.ids)) {
		n := l.turn % len(l.ids)
		l.turn++
		count := func(c nvml.NvLinkErrorCounter) *uint64 {
			return ask(&p.asker, callNVLinkErrors, func() (uint64, nvml.Return) { return p.handle.GetNvLinkErrorCounter(l.ids[n], c) })
		}
		e := linkErrors{replays: count(nvml.NVLINK_ERROR_DL_REPLAY), recoveries: count(nvml.NVLINK_ERROR_DL_RECOVERY)}
		flit, data := count(nvml.NVLINK_ERROR_DL_CRC_FLIT), count(nvml.NVLINK_ERROR_DL_CRC_DATA)
		switch {
		case flit != nil && data != nil:
			sum := *flit + *data
			e.crc = &sum
		case flit != nil:
			e.crc = flit
		default:
			e.crc = data
		}
		l.errs[n] = e
	}
}
