package nomad

import (
	"encoding/json"
	"net"
	"slices"
	"strconv"
	"strings"
	"unique"

	"stoker/cluster"
	"stoker/gpu"
)

type nodeJSON struct {
	ID, Name, Datacenter, NodePool, NodeClass string
	Address, Version                          string            // stubs
	HTTPAddr                                  string            // whole nodes
	Attributes, Meta                          map[string]string // whole nodes
	HostVolumes                               map[string]struct{}
	Drivers                                   map[string]*struct{ Detected, Healthy bool }
	Status, StatusDescription                 string
	SchedulingEligibility                     string
	Drain                                     bool
	DrainStrategy                             *struct{}
	ModifyIndex                               uint64
	NodeResources, ReservedResources          *nodeResourcesJSON
}

type nodeResourcesJSON struct {
	Cpu struct { //nolint:revive // Nomad's spelling
		CpuShares int
	}
	Memory  struct{ MemoryMB int }
	Disk    struct{ DiskMB int }
	Devices []deviceJSON
	// Networks are a list in what a node has, and an object in what is reserved of it.
	Networks     reservedPorts
	NodeNetworks []struct {
		Addresses []struct{ Alias, Address string }
	}
}

// reservedPorts are the ports of a node that no allocation may have.
type reservedPorts string

func (p *reservedPorts) UnmarshalJSON(raw []byte) error {
	if len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	var in struct{ ReservedHostPorts string }
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	*p = reservedPorts(in.ReservedHostPorts)
	return nil
}

type deviceJSON struct {
	Vendor, Type, Name string
	Attributes         map[string]attributeJSON
	Instances          []struct {
		ID                string
		Healthy           bool
		HealthDescription string
		Locality          *struct{ PciBusID string }
	}
}

// attributeJSON is one value with its unit.
type attributeJSON struct {
	Int    *int64
	Float  *float64
	Bool   *bool
	String *string
	Unit   string
}

func (a *attributeJSON) row() cluster.DeviceAttribute {
	var text string
	switch {
	case a.String != nil:
		return cluster.DeviceAttribute{Value: unique.Make(*a.String).Value(), Text: true}
	case a.Int != nil:
		text = strconv.FormatInt(*a.Int, 10)
	case a.Float != nil:
		text = strconv.FormatFloat(*a.Float, 'f', -1, 64)
	case a.Bool != nil:
		text = strconv.FormatBool(*a.Bool)
	}
	if a.Unit != "" {
		text += " " + a.Unit
	}
	return cluster.DeviceAttribute{Value: unique.Make(text).Value()}
}

func (d *deviceJSON) attributes() map[string]cluster.DeviceAttribute {
	if len(d.Attributes) == 0 {
		return nil
	}
	out := make(map[string]cluster.DeviceAttribute, len(d.Attributes))
	for k, v := range d.Attributes {
		out[unique.Make(k).Value()] = v.row()
	}
	return out
}

func (n *nodeJSON) row(place cluster.Place) cluster.Node {
	out := cluster.Node{
		Place: place, ID: cluster.NodeID(n.ID), Name: n.Name, Pool: n.NodePool, Datacenter: n.Datacenter, Class: n.NodeClass,
		Address: n.Address, Version: n.Version, Status: cluster.NodeStatus(n.Status), StatusText: n.StatusDescription,
		Eligible: n.SchedulingEligibility == "eligible", Draining: n.Drain || n.DrainStrategy != nil, ModifyIndex: n.ModifyIndex,
	}
	if out.Version == "" {
		out.Version = n.Attributes["nomad.version"]
	}
	if host, _, err := net.SplitHostPort(n.HTTPAddr); err == nil && out.Address == "" {
		out.Address = host
	}
	for name, d := range n.Drivers {
		if d != nil && d.Detected && d.Healthy {
			out.Drivers = append(out.Drivers, name)
		}
	}
	slices.Sort(out.Drivers)
	if n.Attributes != nil {
		out.Detail = n.detail()
	}
	if r := n.NodeResources; r != nil {
		out.CPUMHz, out.MemoryMB, out.DiskMB = r.Cpu.CpuShares, r.Memory.MemoryMB, r.Disk.DiskMB
		if less := n.ReservedResources; less != nil {
			out.CPUMHz, out.MemoryMB, out.DiskMB = out.CPUMHz-less.Cpu.CpuShares, out.MemoryMB-less.Memory.MemoryMB, out.DiskMB-less.Disk.DiskMB
			out.ReservedPorts = string(less.Networks)
		}
		for _, n := range r.NodeNetworks {
			for _, a := range n.Addresses {
				if a.Alias == "default" { // what a port has that names no host network
					out.PortAddresses = append(out.PortAddresses, a.Address)
				}
			}
		}
		for _, d := range r.Devices {
			if d.Type != "gpu" {
				continue
			}
			out.Models = append(out.Models, cluster.NodeModel{Vendor: d.Vendor, Name: d.Name, Attributes: d.attributes()})
			for _, i := range d.Instances {
				row := cluster.NodeDevice{UUID: gpu.UUID(i.ID), Vendor: d.Vendor, Model: d.Name, Healthy: i.Healthy, HealthText: i.HealthDescription}
				if i.Locality != nil {
					row.PCI = i.Locality.PciBusID
				}
				out.Devices = append(out.Devices, row)
			}
		}
		slices.SortFunc(out.Devices, func(a, b cluster.NodeDevice) int {
			if a.PCI != b.PCI {
				return strings.Compare(a.PCI, b.PCI)
			}
			return strings.Compare(string(a.UUID), string(b.UUID))
		})
	}
	return out
}

// detail is what only a whole node tells. The texts are shared: a thousand
// nodes have the same few hundred.
func (n *nodeJSON) detail() *cluster.NodeDetail {
	d := &cluster.NodeDetail{ModifyIndex: n.ModifyIndex, Attributes: shared(n.Attributes), Meta: shared(n.Meta)}
	for name := range n.HostVolumes {
		d.Volumes = append(d.Volumes, unique.Make(name).Value())
	}
	slices.Sort(d.Volumes)
	return d
}
