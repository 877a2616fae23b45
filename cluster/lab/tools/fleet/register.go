package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/hashicorp/nomad/client/lib/numalib"
	"github.com/hashicorp/nomad/client/lib/numalib/hw"
	"github.com/hashicorp/nomad/nomad/structs"
	attrs "github.com/hashicorp/nomad/plugins/shared/structs"
)

// What a node of this fleet has beside its GPUs.
const (
	// The nodes are of the release before, as in many a fleet. The servers ask
	// such a node for its secret and sign no identity for it, which with a
	// thousand nodes would cost more than everything else.
	nomadVersion = "1.10.5"
	cores        = 64
	coreMHz      = 2600
	memoryMB     = 1031000
	diskMB       = 3500000
	minPort      = 20000
	maxPort      = 32000
	datacenter   = "dc1"
	driverText   = "580.82.07"
	cudaText     = "13.0"
)

// topology is shared by all nodes: they are of one kind. To the scheduler a node
// has an eighth of its cores, each eight times as fast: it makes sets of them for
// each node that it looks at, which took half of its time.
func topology() *numalib.Topology {
	top := &numalib.Topology{Distances: numalib.SLIT{{10, 20}, {20, 10}}}
	top.SetNodesFrom([]uint8{0, 1})
	for i := range cores / 8 {
		socket := i / (cores / 16)
		top.Cores = append(top.Cores, numalib.Core{
			SocketID: hw.SocketID(socket), NodeID: hw.NodeID(socket), ID: hw.CoreID(i),
			Grade: numalib.Performance, BaseSpeed: 8 * coreMHz, MaxSpeed: 8 * coreMHz,
		})
	}
	return top
}

// registration is the node as it registers, with the health of its GPUs as it is now.
func (n *node) registration() *structs.Node {
	ip := n.addr.String()
	now := time.Now()
	driver := func(a map[string]string) *structs.DriverInfo {
		return &structs.DriverInfo{Attributes: a, Detected: true, Healthy: true, HealthDescription: "Healthy", UpdateTime: now}
	}
	return &structs.Node{
		ID: n.id, SecretID: n.secret, Datacenter: datacenter, Name: n.shape.name, HTTPAddr: ip + ":4646",
		NodeClass: n.shape.board.class, NodePool: n.shape.pool, Status: structs.NodeStatusInit,
		Meta:       map[string]string{"rack": n.shape.rack, "gpu": n.shape.board.class, metaFleet: simulated},
		Attributes: n.attributes(ip), Links: map[string]string{},
		Drivers: map[string]*structs.DriverInfo{
			"raw_exec": driver(map[string]string{"driver.raw_exec": "1"}),
			"exec":     driver(map[string]string{"driver.exec": "1"}),
			"docker":   driver(map[string]string{"driver.docker": "1", "driver.docker.version": "27.3.1"}),
		},
		HostVolumes:       map[string]*structs.ClientHostVolumeConfig{"models": {Name: "models", Path: "/srv/models"}},
		ReservedResources: &structs.NodeReservedResources{},
		NodeResources: &structs.NodeResources{
			Processors: structs.NewNodeProcessorResources(n.fleet.topology),
			Memory:     structs.NodeMemoryResources{MemoryMB: memoryMB},
			Disk:       structs.NodeDiskResources{DiskMB: diskMB},
			Devices:    []*structs.NodeDeviceResource{n.deviceGroup()},
			NodeNetworks: []*structs.NodeNetworkResource{{
				Mode: "host", Device: "bond0", Speed: 100000,
				Addresses: []structs.NodeNetworkAddress{{Family: structs.NodeNetworkAF_IPv4, Alias: "default", Address: ip}},
			}},
			Networks:       structs.Networks{{Mode: "host", Device: "bond0", CIDR: ip + "/32", IP: ip, MBits: 100000}},
			MinDynamicPort: minPort, MaxDynamicPort: maxPort,
		},
	}
}

func (n *node) attributes(ip string) map[string]string {
	return map[string]string{
		"cpu.arch": "amd64", "cpu.modelname": "Intel(R) Xeon(R) Platinum 8480C", "cpu.numcores": strconv.Itoa(cores),
		"cpu.numcores.power": strconv.Itoa(cores), "cpu.frequency": strconv.Itoa(coreMHz), "cpu.reservablecores": strconv.Itoa(cores),
		"cpu.totalcompute": strconv.Itoa(cores * coreMHz), "cpu.usablecompute": strconv.Itoa(cores * coreMHz),
		"memory.totalbytes": strconv.Itoa(memoryMB << 20), "numa.node.count": "2", "numa.node0.cores": "0-31", "numa.node1.cores": "32-63",
		"kernel.name": "linux", "kernel.arch": "x86_64", "kernel.version": "6.8.0-51-generic", "kernel.landlock": "v4",
		"os.name": "ubuntu", "os.version": "24.04", "os.cgroups.version": "2", "os.build": "24.04",
		"os.signals":    "SIGABRT,SIGALRM,SIGBUS,SIGCHLD,SIGCONT,SIGFPE,SIGHUP,SIGILL,SIGINT,SIGIO,SIGIOT,SIGKILL,SIGNULL,SIGPIPE,SIGPROF,SIGQUIT,SIGSEGV,SIGSTOP,SIGSYS,SIGTERM,SIGTRAP,SIGTSTP,SIGTTIN,SIGTTOU,SIGURG,SIGUSR1,SIGUSR2,SIGWINCH,SIGXCPU,SIGXFSZ",
		"nomad.version": nomadVersion, "nomad.service_discovery": "true", "nomad.bridge.hairpin_mode": "false", "nomad.advertise.address": ip + ":4646",
		"driver.raw_exec": "1", "driver.exec": "1", "driver.docker": "1", "driver.docker.version": "27.3.1", "driver.docker.bridge_ip": "172.17.0.1",
		"driver.docker.runtimes": "io.containerd.runc.v2,nvidia,runc", "driver.docker.os_type": "linux", "driver.docker.volumes.enabled": "true",
		"plugins.cni.version.bridge": "v1.6.0", "plugins.cni.version.host-local": "v1.6.0", "plugins.cni.version.loopback": "v1.6.0", "plugins.cni.version.portmap": "v1.6.0",
		"unique.hostname": n.shape.name, "unique.network.ip-address": ip, "unique.cgroup.mountpoint": "/sys/fs/cgroup", "unique.cgroup.version": "v2",
		"unique.storage.volume": "/dev/md0", "unique.storage.bytestotal": strconv.Itoa(diskMB << 20), "unique.storage.bytesfree": strconv.Itoa(diskMB << 19),
	}
}

// deviceGroup is the GPUs as stoker's device plugin would offer them.
func (n *node) deviceGroup() *structs.NodeDeviceResource {
	b := n.shape.board
	group := &structs.NodeDeviceResource{
		Vendor: "nvidia", Type: "gpu", Name: b.name,
		Attributes: map[string]*attrs.Attribute{
			"memory":         attrs.NewIntAttribute(int64(b.memoryMiB), attrs.UnitMiB),
			"model":          attrs.NewStringAttribute(b.name),
			"driver_version": attrs.NewStringAttribute(driverText),
			"cuda_version":   attrs.NewStringAttribute(cudaText),
			"simulated":      attrs.NewBoolAttribute(true),
			"power":          attrs.NewIntAttribute(int64(b.limitWatts), attrs.UnitW),
			"cores_clock":    attrs.NewIntAttribute(int64(b.fullMHz), attrs.UnitMHz),
			"memory_clock":   attrs.NewIntAttribute(int64(b.memFullMHz), attrs.UnitMHz),
		},
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range n.gpus {
		failed, why := d.failed()
		group.Instances = append(group.Instances, &structs.NodeDevice{
			ID: string(d.device.UUID), Healthy: !failed, HealthDescription: why,
			Locality: &structs.NodeDeviceLocality{PciBusID: d.device.PCI},
		})
	}
	return group
}

// pci is the bus address of the i-th GPU.
func pci(i int) string { return fmt.Sprintf("0000:%02x:00.0", 0x1b+0x0f*i) }
