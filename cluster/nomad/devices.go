package nomad

import (
	"context"
	"strings"
	"time"

	"stoker/cluster"
	"stoker/gpu"
)

// statsJSON is what of /v1/client/stats is about devices. The time of the whole
// answer and those of the devices are by the node's clock.
type statsJSON struct {
	Timestamp   int64
	DeviceStats []struct {
		Type, Name    string
		InstanceStats map[gpu.UUID]struct {
			Timestamp time.Time
			Stats     *struct{ Attributes map[string]statJSON }
		}
	}
}

// statJSON is one statistic: a number, or one out of another, or words.
type statJSON struct {
	FloatNumeratorVal, FloatDenominatorVal *float64
	IntNumeratorVal, IntDenominatorVal     *int64
	StringVal                              *string
}

// DeviceStats reads what the device plugins of one node tell of its GPUs. It
// needs nothing of stoker on the node, and the right node:read.
//
// Nomad never forgets a statistic: when a plugin has ended, its last numbers are
// told for ever. So each sample carries the time that the plugin gave it.
func (c *Client) DeviceStats(ctx context.Context, node cluster.NodeID) (gpu.Batch, error) {
	var answer statsJSON
	if _, err := c.get(ctx, "/v1/client/stats", map[string]string{"node_id": string(node)}, &answer); err != nil {
		return gpu.Batch{}, err
	}
	b := gpu.Batch{Node: string(node), Source: "nomad", At: time.Unix(0, answer.Timestamp)}
	for _, group := range answer.DeviceStats {
		if group.Type != "gpu" {
			continue
		}
		for id, i := range group.InstanceStats {
			if i.Stats == nil {
				continue
			}
			d, s := deviceOf(i.Stats.Attributes)
			d.UUID, d.Model, s.UUID, s.At = id, group.Name, id, i.Timestamp
			b.Devices, b.Samples = append(b.Devices, d), append(b.Samples, s)
		}
	}
	return b, nil
}

// deviceOf takes the statistics by the names of HashiCorp's NVIDIA plugin,
// which stoker's own uses and adds to.
func deviceOf(stats map[string]statJSON) (d gpu.Device, s gpu.Sample) {
	d.Index = gpu.UnknownIndex
	used, total := stats["Memory state"].fraction()
	if total != nil {
		d.MemoryBytes = *mebibytes(total)
	}
	s.MemoryUsedBytes = mebibytes(used)
	s.PowerWatts, s.PowerLimitWatts = stats["Power usage"].fraction()
	d.PowerLimitWatts = s.PowerLimitWatts
	s.UtilPercent = stats["GPU utilization"].number()
	s.MemoryUtilPercent = stats["Memory utilization"].number()
	s.EncoderPercent = stats["Encoder utilization"].number()
	s.DecoderPercent = stats["Decoder utilization"].number()
	s.TempCelsius = stats["Temperature"].number()
	s.SMClockMHz = stats["SM clock"].number()
	s.MemClockMHz = stats["Memory clock"].number()
	s.ECCCorrected = whole(stats["ECC corrected errors"].number())
	s.ECCUncorrected = whole(stats["ECC uncorrected errors"].number())
	if h := stats["Health"].StringVal; h != nil {
		verdict, reason, _ := strings.Cut(*h, ": ")
		switch v := gpu.Verdict(verdict); v {
		case gpu.VerdictOK, gpu.VerdictWatch, gpu.VerdictDegraded, gpu.VerdictFailed:
			s.Health = gpu.Health{Verdict: v, Reason: reason}
		}
	}
	return d, s
}

// number is the value; nil where the statistic is missing or says "N/A".
func (s statJSON) number() *float64 {
	n, _ := s.fraction()
	return n
}

func (s statJSON) fraction() (n, of *float64) {
	pick := func(f *float64, i *int64) *float64 {
		if f == nil && i != nil {
			v := float64(*i)
			return &v
		}
		return f
	}
	return pick(s.FloatNumeratorVal, s.IntNumeratorVal), pick(s.FloatDenominatorVal, s.IntDenominatorVal)
}

func whole(v *float64) *uint64 {
	if v == nil || *v < 0 {
		return nil
	}
	n := uint64(*v)
	return &n
}

func mebibytes(v *float64) *uint64 {
	n := whole(v)
	if n != nil {
		*n <<= 20
	}
	return n
}
