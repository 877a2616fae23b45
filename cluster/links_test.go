package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
)

func TestLinks(t *testing.T) {
	p := func(v float64) *float64 { return &v }
	n := func(v uint64) *uint64 { return &v }
	of := func(links ...gpu.NVLink) Links {
		g := GPU{Sample: &gpu.Sample{Detail: &gpu.Detail{NVLinks: links}}}
		return g.Links()
	}
	for _, c := range []struct {
		name      string
		got, want Links
	}{
		{"no reading", (&GPU{}).Links(), Links{}},
		{"none", of(), Links{}},
		{"nothing told but the state", of(gpu.NVLink{Up: true}, gpu.NVLink{}), Links{All: 2, Up: 1}},
		{
			"all told; one that is down has no speed", of(
				gpu.NVLink{Up: true, SpeedMBPerSec: p(26562), TxBytesPerSec: p(1), RxBytesPerSec: p(2), Replays: n(1), Recoveries: n(0), CRCErrors: n(3)},
				gpu.NVLink{Up: true, SpeedMBPerSec: p(25781), TxBytesPerSec: p(4), Replays: n(2)},
				gpu.NVLink{SpeedMBPerSec: p(0)},
			), Links{All: 3, Up: 2, SpeedMBPerSec: p(25781), TxBytesPerSec: p(5), RxBytesPerSec: p(2), Errors: n(6)},
		},
	} {
		if d := cmp.Diff(c.want, c.got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}
