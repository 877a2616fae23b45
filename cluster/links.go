package cluster

// Links sums up the NVLinks of a device. What none of them tells is nil.
type Links struct {
	All, Up       int
	SpeedMBPerSec *float64 // of the slowest that is up, per direction
	TxBytesPerSec *float64
	RxBytesPerSec *float64
	Errors        *uint64 // replays, recoveries and CRC errors
}

// Links sums up the device's NVLinks; zero where it has none, or nobody told.
func (g *GPU) Links() Links {
	var out Links
	if g.Sample == nil || g.Sample.Detail == nil {
		return out
	}
	for _, l := range g.Sample.Detail.NVLinks {
		out.All++
		if l.Up {
			out.Up++
			if l.SpeedMBPerSec != nil && (out.SpeedMBPerSec == nil || *l.SpeedMBPerSec < *out.SpeedMBPerSec) {
				out.SpeedMBPerSec = l.SpeedMBPerSec
			}
		}
		out.TxBytesPerSec = plus(out.TxBytesPerSec, l.TxBytesPerSec)
		out.RxBytesPerSec = plus(out.RxBytesPerSec, l.RxBytesPerSec)
		for _, n := range []*uint64{l.Replays, l.Recoveries, l.CRCErrors} {
			out.Errors = plus(out.Errors, n)
		}
	}
	return out
}
