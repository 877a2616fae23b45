package main

import "fmt"

// gpusPerNode is how many GPUs each node has.
const gpusPerNode = 8

// nodesPerRack are the nodes that share the value of meta "rack".
const nodesPerRack = 8

// The node pools. None of the fleet's nodes is in the pool "default", so that a
// job without a pool runs on the lab's real nodes, where it does what it says.
const (
	poolTrain = "train"
	poolInfer = "infer"
	poolDev   = "dev"
)

// metaFleet marks what is simulated, nodes and jobs: the lab knows them by it.
const (
	metaFleet = "fleet"
	simulated = "simulated"
)

// board is a model of GPU. The numbers are those of package stoker/gpu/sim.
type board struct {
	name                   string
	class                  string // of a node full of them
	memoryMiB              uint64
	idleWatts, limitWatts  float64
	idleMHz, fullMHz       float64 // of the multiprocessors
	memIdleMHz, memFullMHz float64
	slowdownC, shutdownC   float64
	idlePState             int
	nvlinks                int
	nvlinkMBps             float64
	gpm, mig               bool
	pcieGen                int
	bar1MiB                uint64
	vbios                  string
}

var (
	h100 = board{
		name: "NVIDIA H100 80GB HBM3", class: "h100x8", memoryMiB: 81559, idleWatts: 70, limitWatts: 700, idleMHz: 345, fullMHz: 1980,
		memIdleMHz: 2619, memFullMHz: 2619, slowdownC: 85, shutdownC: 95, nvlinks: 18, nvlinkMBps: 26562, gpm: true, mig: true, pcieGen: 5, bar1MiB: 131072, vbios: "96.00.89.00.01",
	}
	a100 = board{
		name: "NVIDIA A100-SXM4-80GB", class: "a100x8", memoryMiB: 81920, idleWatts: 60, limitWatts: 400, idleMHz: 210, fullMHz: 1410,
		memIdleMHz: 1593, memFullMHz: 1593, slowdownC: 85, shutdownC: 95, nvlinks: 12, nvlinkMBps: 25000, mig: true, pcieGen: 4, bar1MiB: 131072, vbios: "92.00.45.00.05",
	}
	l40s = board{
		name: "NVIDIA L40S", class: "l40sx8", memoryMiB: 46068, idleWatts: 35, limitWatts: 350, idleMHz: 210, fullMHz: 2520,
		memIdleMHz: 405, memFullMHz: 9001, slowdownC: 87, shutdownC: 98, idlePState: 8, pcieGen: 4, bar1MiB: 65536, vbios: "95.02.66.00.02",
	}
)

// shape is what the i-th of n nodes is.
type shape struct {
	name, rack, pool string
	board            *board
}

// shapeOf gives half of the nodes H100s, three tenths A100s and the rest L40S,
// in blocks, since a rack is bought as a whole.
func shapeOf(i, n int) shape {
	s := shape{name: nodeName(i), rack: fmt.Sprintf("r%02d", i/nodesPerRack+1)}
	switch part := float64(i) / float64(n); {
	case part < 0.35:
		s.board, s.pool = &h100, poolTrain
	case part < 0.5:
		s.board, s.pool = &h100, poolInfer
	case part < 0.8:
		s.board, s.pool = &a100, poolInfer
	case part < 0.85:
		s.board, s.pool = &l40s, poolInfer
	default:
		s.board, s.pool = &l40s, poolDev
	}
	return s
}

// nodeName is the name of the i-th node: gpu-0001 is the first.
func nodeName(i int) string { return fmt.Sprintf("gpu-%04d", i+1) }
