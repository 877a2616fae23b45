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
	all     []link
	at      time.Time // of the last counters
	askedAt time.Time // when states and errors were asked for
	turn    int       // whose errors are asked next
}

// link is what is remembered of one between two readings.
type link struct {
	id     int
	up     bool
	tx, rx *float64 // KiB carried since the driver was loaded
	errs   linkErrors
}

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
		l.all = append(l.all, link{id: i})
	}
	if len(l.all) == 0 {
		return nil
	}
	return l
}

// fields adds those that tell of links: the speed, then two for each.
func (l *links) fields(want []nvml.FieldValue) []nvml.FieldValue {
	if l == nil {
		return want
	}
	want = append(want, nvml.FieldValue{FieldId: nvml.FI_DEV_NVLINK_SPEED_MBPS_COMMON})
	for _, k := range l.all {
		want = append(want,
			nvml.FieldValue{FieldId: nvml.FI_DEV_NVLINK_THROUGHPUT_DATA_TX, ScopeId: uint32(k.id)},
			nvml.FieldValue{FieldId: nvml.FI_DEV_NVLINK_THROUGHPUT_DATA_RX, ScopeId: uint32(k.id)})
	}
	return want
}

// read makes the links of a sample of the fields that came; there may be none.
func (l *links) read(p *probe, now time.Time, got []nvml.FieldValue) []gpu.NVLink {
	if l == nil {
		return nil
	}
	if age := now.Sub(l.askedAt); l.askedAt.IsZero() || age < 0 || age >= askLinks {
		l.askStates(p)
		l.askErrors(p)
		l.askedAt = now
	}
	told := func(i int) *float64 {
		if i >= len(got) {
			return nil
		}
		v, ok := number(got[i])
		if !ok {
			return nil
		}
		return p.num(v)
	}
	speed, elapsed := told(0), now.Sub(l.at).Seconds()
	out := make([]gpu.NVLink, len(l.all))
	for i := range l.all {
		k := &l.all[i]
		out[i] = gpu.NVLink{Link: k.id, Up: k.up, Replays: k.errs.replays, Recoveries: k.errs.recoveries, CRCErrors: k.errs.crc}
		if k.up {
			out[i].SpeedMBPerSec = speed
		}
		tx, rx := told(1+2*i), told(2+2*i)
		out[i].TxBytesPerSec, out[i].RxBytesPerSec = rate(&p.asker, k.tx, tx, elapsed), rate(&p.asker, k.rx, rx, elapsed)
		k.tx, k.rx = tx, rx
	}
	l.at = now
	return out
}

// rate is in bytes, of counts of KiB; it is unknown over a reset of the counter.
func rate(p *asker, before, now *float64, seconds float64) *float64 {
	if before == nil || now == nil || *now < *before || seconds <= 0 {
		return nil
	}
	return p.num((*now - *before) * 1024 / seconds)
}

const (
	askLinks = 900 * time.Millisecond // between two looks at states and errors
	// perTurn is how many links are asked for their errors at one look: four
	// calls each, and eight GPUs with eighteen links would be most of the work.
	perTurn = 9
)

func (l *links) askStates(p *probe) {
	for i := range l.all {
		k := &l.all[i]
		state := ask(&p.asker, callNVLink, of(p.handle.GetNvLinkState, k.id))
		if state != nil { // a call that failed does not say that the link went down
			k.up = *state == nvml.FEATURE_ENABLED
		}
	}
}

func (l *links) askErrors(p *probe) {
	for range min(perTurn, len(l.all)) {
		k := &l.all[l.turn%len(l.all)]
		l.turn++
		count := func(is call, c nvml.NvLinkErrorCounter) *uint64 {
			return ask(&p.asker, is, func() (uint64, nvml.Return) { return p.handle.GetNvLinkErrorCounter(k.id, c) })
		}
		e := linkErrors{replays: count(callNVLinkReplays, nvml.NVLINK_ERROR_DL_REPLAY), recoveries: count(callNVLinkRecoveries, nvml.NVLINK_ERROR_DL_RECOVERY)}
		flit, data := count(callNVLinkFlits, nvml.NVLINK_ERROR_DL_CRC_FLIT), count(callNVLinkData, nvml.NVLINK_ERROR_DL_CRC_DATA)
		switch {
		case flit != nil && data != nil:
			sum := *flit + *data
			e.crc = &sum
		case flit != nil:
			e.crc = flit
		default:
			e.crc = data
		}
		k.errs = e
	}
}
