package main

import (
	"errors"
	"net/rpc"
	"time"

	"github.com/hashicorp/nomad/nomad/structs"
	attrs "github.com/hashicorp/nomad/plugins/shared/structs"
)

// newCalls is what the servers may ask of a node. All else is refused by name.
func newCalls(f *fleet) (*rpc.Server, error) {
	s := rpc.NewServer()
	return s, errors.Join(
		s.RegisterName("ClientStats", &clientStats{f}),
		s.RegisterName("Allocations", &allocations{f}),
	)
}

// clientStats answers for all nodes: the request says for which.
type clientStats struct{ fleet *fleet }

// StatsReply is Nomad's own answer, as far as a simulated node has something to
// say. net/rpc wants it exported.
type StatsReply struct {
	HostStats *hostStats
	structs.QueryMeta
}

type hostStats struct {
	Memory      struct{ Total, Available, Used, Free uint64 }
	DeviceStats []*deviceGroupStats
	Uptime      uint64
	Timestamp   int64
}

type deviceGroupStats struct {
	Vendor, Type, Name string
	InstanceStats      map[string]*deviceStats
}

type deviceStats struct {
	Summary   *attrs.StatValue
	Stats     *attrs.StatObject
	Timestamp time.Time
}

// Stats tells what the device plugin of the node would tell of its GPUs.
func (c *clientStats) Stats(args *structs.NodeSpecificRequest, reply *StatsReply) error {
	for _, n := range c.fleet.nodes {
		if n.id == args.NodeID {
			reply.HostStats = n.hostStats()
			return nil
		}
	}
	return errors.New("no such node in the fleet")
}

func (n *node) hostStats() *hostStats {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := &hostStats{Timestamp: time.Now().UnixNano(), Uptime: 86400}
	h.Memory.Total, h.Memory.Used = memoryMB*mib, memoryMB*mib/4
	h.Memory.Free = h.Memory.Total - h.Memory.Used
	h.Memory.Available = h.Memory.Free
	g := &deviceGroupStats{Vendor: "nvidia", Type: "gpu", Name: n.shape.board.name, InstanceStats: map[string]*deviceStats{}}
	for _, d := range n.gpus {
		v := d.now
		whole := func(x float64, unit string) *attrs.StatValue {
			i := int64(x)
			return &attrs.StatValue{IntNumeratorVal: &i, Unit: unit}
		}
		of := func(x, total float64, unit string) *attrs.StatValue {
			s := whole(x, unit)
			s.IntDenominatorVal = whole(total, unit).IntNumeratorVal
			return s
		}
		health := string(d.record.Health.Verdict)
		if r := d.record.Health.Reason; r != "" {
			health += ": " + r
		}
		memory := of(float64(v.used/mib), float64(d.device.MemoryBytes/mib), "MiB")
		g.InstanceStats[string(d.device.UUID)] = &deviceStats{Summary: memory, Timestamp: n.read, Stats: &attrs.StatObject{Attributes: map[string]*attrs.StatValue{
			"Power usage": of(v.power, v.limit, "W"), "GPU utilization": whole(v.util, "%"), "Memory utilization": whole(v.memUtil, "%"),
			"Temperature": whole(v.temp, "C"), "Memory state": memory, "SM clock": whole(v.sm, "MHz"), "Memory clock": whole(v.mem, "MHz"),
			"ECC corrected errors": whole(float64(v.corrected), "#"), "ECC uncorrected errors": whole(float64(v.uncorrected), "#"), "Health": {StringVal: &health},
		}}}
	}
	h.DeviceStats = []*deviceGroupStats{g}
	return h
}
