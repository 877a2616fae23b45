package nomad

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unique"

	"stoker/cluster"
	"stoker/gpu"
)

// The structs of this file are what stoker reads of Nomad's answers. The same
// names occur in list stubs, in whole objects and in event payloads.

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
	d := &cluster.NodeDetail{Attributes: shared(n.Attributes), Meta: shared(n.Meta)}
	for name := range n.HostVolumes {
		d.Volumes = append(d.Volumes, unique.Make(name).Value())
	}
	slices.Sort(d.Volumes)
	return d
}

// one is the text itself, kept once: thousands of rows name the same things.
func one[T ~string](text string) T { return T(unique.Make(text).Value()) }

func shared(in map[string]string) map[string]string {
	out := make(map[string]string, len(in))
	for k, v := range in {
		out[unique.Make(k).Value()] = unique.Make(v).Value()
	}
	return out
}

type jobJSON struct {
	ID, Namespace, ParentID, Type, Status string
	NodePool                              string
	Datacenters                           []string
	Stop                                  bool
	Priority                              int
	Version                               uint64
	SubmitTime                            int64
	ModifyIndex                           uint64
	Meta                                  map[string]string
	Constraints                           []constraintJSON
	TaskGroups                            []groupJSON
	Periodic, ParameterizedJob            given
}

// given says whether something is: true in a list, an object in a whole job.
type given bool

func (g *given) UnmarshalJSON(raw []byte) error {
	*g = len(raw) > 0 && raw[0] != 'n' && raw[0] != 'f'
	return nil
}

type groupJSON struct {
	Name          string
	Count         int
	Constraints   []constraintJSON
	EphemeralDisk *struct{ SizeMB int }
	Networks      []networkJSON
	Volumes       map[string]*volumeJSON
	Tasks         []groupTaskJSON
}

type groupTaskJSON struct {
	Name, Driver string
	Constraints  []constraintJSON
	Lifecycle    *lifecycleJSON
	Resources    *struct {
		CPU, Cores, MemoryMB, SecretsMB int
		Networks                        []networkJSON
		NUMA                            *struct{ Affinity string }
		Devices                         []struct {
			Name        string
			Count       *uint64
			Constraints []constraintJSON
		}
	}
}

type volumeJSON struct {
	Type, Source, AccessMode string
	PerAlloc, Sticky         bool
}

type lifecycleJSON struct {
	Hook    string
	Sidecar bool
}

type networkJSON struct {
	Mode                        string
	ReservedPorts, DynamicPorts []struct {
		Value       int
		HostNetwork string
	}
}

type constraintJSON struct{ LTarget, RTarget, Operand string }

func (j *jobJSON) row(place cluster.Place) cluster.Job {
	out := cluster.Job{
		Place: place, ID: cluster.JobID{Namespace: j.Namespace, Name: j.ID}, Type: j.Type, Status: j.Status, Stopped: j.Stop,
		Priority: j.Priority, Pool: j.NodePool, Datacenters: j.Datacenters, Version: j.Version, Parent: j.ParentID, Submitted: nanos(j.SubmitTime), ModifyIndex: j.ModifyIndex,
		Kind: cluster.Kind(j.Meta["stoker.kind"]), Model: j.Meta["stoker.model"], ModelVer: j.Meta["stoker.version"],
	}
	out.Periodic, out.Parameterized = bool(j.Periodic), bool(j.ParameterizedJob)
	out.Constraints = constraints(nil, j.Constraints)
	for i := range j.TaskGroups {
		out.Groups = append(out.Groups, j.TaskGroups[i].row(j.Constraints))
	}
	return out
}

// row is what one allocation of the group needs; of are the constraints of its job.
func (tg *groupJSON) row(of []constraintJSON) cluster.Group {
	g := cluster.Group{
		Name: tg.Name, Count: tg.Count, Constraints: constraints(constraints(nil, of), tg.Constraints),
		Ports: staticPorts(nil, tg.Networks), Beyond: tg.beyond(),
	}
	if tg.EphemeralDisk != nil {
		g.DiskMB = tg.EphemeralDisk.SizeMB
	}
	for _, v := range tg.Volumes {
		if v != nil && v.Type == "host" && !v.PerAlloc {
			g.Volumes = append(g.Volumes, v.Source)
		}
	}
	var need stages
	for i := range tg.Tasks {
		t := &tg.Tasks[i]
		g.Constraints = constraints(g.Constraints, t.Constraints)
		if t.Driver != "" && !slices.Contains(g.Drivers, t.Driver) {
			g.Drivers = append(g.Drivers, t.Driver)
		}
		r := t.Resources
		if r == nil {
			continue
		}
		shares := r.CPU
		if r.Cores > 0 { // with cores of its own a task has no shares
			shares, g.Cores = 0, g.Cores+r.Cores
		}
		need.add(t.Lifecycle, shares, r.MemoryMB+r.SecretsMB)
		g.Ports = staticPorts(g.Ports, r.Networks)
		for _, d := range r.Devices {
			ask := cluster.GPUAsk{Task: t.Name, Name: d.Name, Count: 1, Constraints: constraints(nil, d.Constraints)}
			if d.Count != nil {
				ask.Count = int(*d.Count)
			}
			if isGPU(d.Name) {
				g.GPUs = append(g.GPUs, ask)
			}
		}
	}
	g.CPUMHz, g.MemoryMB = need.most()
	slices.Sort(g.Drivers)
	slices.Sort(g.Volumes)
	return g
}

func constraints(to []cluster.Constraint, in []constraintJSON) []cluster.Constraint {
	for _, c := range in {
		if row := (cluster.Constraint{Left: c.LTarget, Operator: c.Operand, Right: c.RTarget}); !slices.Contains(to, row) {
			to = append(to, row)
		}
	}
	return to
}

func staticPorts(to []int, networks []networkJSON) []int {
	for _, n := range networks {
		for _, p := range n.ReservedPorts {
			to = append(to, p.Value)
		}
	}
	return to
}

// isGPU tells whether a device selector ("gpu", "nvidia/gpu", "nvidia/gpu/MODEL") asks for a GPU.
func isGPU(name string) bool {
	parts := strings.Split(name, "/")
	return parts[0] == "gpu" && len(parts) == 1 || len(parts) > 1 && parts[1] == "gpu"
}

type allocJSON struct {
	ID, Name, Namespace, JobID, TaskGroup, NodeID, NodeName, EvalID, DeploymentID string
	JobVersion                                                                    *uint64 // not in events, whose Job is cut off
	Job                                                                           *struct{ Version uint64 }
	DesiredStatus, ClientStatus, ClientDescription                                string
	DeploymentStatus                                                              *struct{ Healthy *bool }
	CreateTime, ModifyTime                                                        int64
	ModifyIndex                                                                   uint64
	TaskStates                                                                    map[string]*taskJSON
	AllocatedResources                                                            *struct {
		Tasks map[string]*struct {
			Cpu struct { //nolint:revive // Nomad's spelling
				CpuShares     int
				ReservedCores []int
			}
			Memory  struct{ MemoryMB int }
			Devices []struct {
				Type      string
				DeviceIDs []string
			}
		}
		TaskLifecycles map[string]*lifecycleJSON
		Shared         struct {
			DiskMB int
			Ports  []struct {
				Label  string
				Value  int
				HostIP string
			}
		}
	}
}

type taskJSON struct {
	State                 string
	Failed                bool
	Restarts              int
	StartedAt, FinishedAt time.Time
	Events                []struct {
		Type, DisplayMessage, Message string
		Time                          int64
	}
}

func (a *allocJSON) row(place cluster.Place) cluster.Alloc {
	out := cluster.Alloc{
		Place: place, ID: cluster.AllocID(a.ID), Name: a.Name, Job: cluster.JobID{Namespace: one[string](a.Namespace), Name: one[string](a.JobID)},
		JobVersion: cluster.UnknownVersion, Group: one[string](a.TaskGroup), Node: one[cluster.NodeID](a.NodeID), NodeName: one[string](a.NodeName),
		Eval: one[cluster.EvalID](a.EvalID), Deployment: one[cluster.DeploymentID](a.DeploymentID), Desired: one[string](a.DesiredStatus),
		Client: one[string](a.ClientStatus), ClientText: one[string](a.ClientDescription), Created: nanos(a.CreateTime), Modified: nanos(a.ModifyTime),
		ModifyIndex: a.ModifyIndex,
	}
	switch {
	case a.Job != nil:
		out.JobVersion = a.Job.Version
	case a.JobVersion != nil:
		out.JobVersion = *a.JobVersion
	}
	if a.DeploymentStatus != nil {
		out.Healthy = a.DeploymentStatus.Healthy
	}
	tasks := map[string]*cluster.Task{}
	for name, t := range a.TaskStates {
		tasks[name] = t.row(name)
	}
	if r := a.AllocatedResources; r != nil {
		var use stages
		for name, t := range r.Tasks {
			if tasks[name] == nil {
				tasks[name] = &cluster.Task{Name: name, State: "pending"}
			}
			shares := t.Cpu.CpuShares
			if len(t.Cpu.ReservedCores) > 0 { // they stay its own
				use.kept, shares = use.kept+shares, 0
			}
			use.add(r.TaskLifecycles[name], shares, t.Memory.MemoryMB)
			for _, d := range t.Devices {
				if d.Type != "gpu" {
					continue
				}
				for _, id := range d.DeviceIDs {
					tasks[name].GPUs = append(tasks[name].GPUs, gpu.UUID(id))
					out.GPUs = append(out.GPUs, gpu.UUID(id))
				}
			}
		}
		out.CPUMHz, out.MemoryMB = use.most()
		out.DiskMB = r.Shared.DiskMB
		for _, p := range r.Shared.Ports {
			out.Ports = append(out.Ports, cluster.Port{Label: p.Label, Host: p.HostIP, Port: p.Value})
		}
	}
	for _, t := range tasks {
		out.Tasks = append(out.Tasks, *t)
	}
	slices.SortFunc(out.Tasks, func(a, b cluster.Task) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(out.GPUs)
	return out
}

func (t *taskJSON) row(name string) *cluster.Task {
	if t == nil {
		return &cluster.Task{Name: name, State: "pending"}
	}
	out := &cluster.Task{Name: one[string](name), State: one[string](t.State), Failed: t.Failed, Restarts: t.Restarts, Started: t.StartedAt, Finished: t.FinishedAt}
	for _, e := range t.Events {
		text := e.DisplayMessage
		if text == "" {
			text = e.Message
		}
		out.Events = append(out.Events, cluster.TaskEvent{At: nanos(e.Time), Type: one[string](e.Type), Text: one[string](text)})
	}
	return out
}

type deploymentJSON struct {
	ID, Namespace, JobID, Status, StatusDescription string
	JobVersion, ModifyIndex                         uint64
	CreateTime                                      int64
	TaskGroups                                      map[string]*struct {
		DesiredTotal, PlacedAllocs, HealthyAllocs, UnhealthyAllocs, DesiredCanaries int
		Promoted                                                                    bool
	}
}

func (d *deploymentJSON) row(place cluster.Place) cluster.Deployment {
	out := cluster.Deployment{
		Place: place, ID: cluster.DeploymentID(d.ID), Job: cluster.JobID{Namespace: d.Namespace, Name: d.JobID},
		JobVersion: d.JobVersion, Created: nanos(d.CreateTime), Status: d.Status, StatusText: d.StatusDescription, ModifyIndex: d.ModifyIndex,
	}
	for name, g := range d.TaskGroups {
		out.Groups = append(out.Groups, cluster.DeploymentGroup{
			Name: name, Desired: g.DesiredTotal, Placed: g.PlacedAllocs, Healthy: g.HealthyAllocs,
			Unhealthy: g.UnhealthyAllocs, Canaries: g.DesiredCanaries, Promoted: g.Promoted,
		})
	}
	slices.SortFunc(out.Groups, func(a, b cluster.DeploymentGroup) int { return strings.Compare(a.Name, b.Name) })
	return out
}

type metricJSON struct {
	NodesEvaluated, NodesFiltered, NodesInPool, NodesExhausted, CoalescedFailures int
	NodesAvailable, ConstraintFiltered, DimensionExhausted                        map[string]int
	QuotaExhausted                                                                []string
}

func (m *metricJSON) row(group string) cluster.PlacementFailure {
	return cluster.PlacementFailure{
		Group: group, Unplaced: m.CoalescedFailures + 1, Evaluated: m.NodesEvaluated, Filtered: m.NodesFiltered,
		Exhausted: m.NodesExhausted, InPool: m.NodesInPool, Available: m.NodesAvailable,
		Constraints: m.ConstraintFiltered, Dimensions: m.DimensionExhausted, Quota: m.QuotaExhausted,
	}
}

type evalJSON struct {
	ID, Namespace, JobID, Type, Status, StatusDescription, TriggeredBy string
	NodeID, DeploymentID, NextEval, PreviousEval, BlockedEval          string
	Priority                                                           int
	CreateTime                                                         int64
	WaitUntil                                                          time.Time
	ModifyIndex                                                        uint64
	FailedTGAllocs                                                     map[string]*metricJSON
}

func (e *evalJSON) row(place cluster.Place) cluster.Evaluation {
	out := cluster.Evaluation{
		Place: place, ID: cluster.EvalID(e.ID), Job: cluster.JobID{Namespace: e.Namespace, Name: e.JobID},
		Type: e.Type, Priority: e.Priority, Status: e.Status, StatusText: e.StatusDescription, TriggeredBy: e.TriggeredBy,
		Node: cluster.NodeID(e.NodeID), Deployment: cluster.DeploymentID(e.DeploymentID),
		Next: cluster.EvalID(e.NextEval), Prev: cluster.EvalID(e.PreviousEval), Blocked: cluster.EvalID(e.BlockedEval),
		Created: nanos(e.CreateTime), WaitUntil: e.WaitUntil, ModifyIndex: e.ModifyIndex,
	}
	for group, m := range e.FailedTGAllocs {
		out.Failures = append(out.Failures, m.row(group))
	}
	slices.SortFunc(out.Failures, func(a, b cluster.PlacementFailure) int { return strings.Compare(a.Group, b.Group) })
	return out
}

type serviceJSON struct {
	ID, ServiceName, Namespace, NodeID, JobID, AllocID, Address string
	Port                                                        int
	Tags                                                        []string
	ModifyIndex                                                 uint64
}

func (s *serviceJSON) row(place cluster.Place) cluster.Service {
	return cluster.Service{
		Place: place, ID: cluster.ServiceID(s.ID), Name: s.ServiceName, Namespace: s.Namespace, Job: s.JobID,
		Alloc: cluster.AllocID(s.AllocID), Node: cluster.NodeID(s.NodeID), Address: s.Address, Port: s.Port,
		Tags: s.Tags, ModifyIndex: s.ModifyIndex,
	}
}

func nanos(ns int64) time.Time {
	if ns <= 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// jobPath is the API path of a job, whose name may hold any character.
func jobPath(id cluster.JobID, rest string) string {
	return fmt.Sprintf("/v1/job/%s%s", pathEscape(id.Name), rest)
}

type poolJSON struct {
	Name, Description      string
	Meta                   map[string]string
	SchedulerConfiguration *struct{ SchedulerAlgorithm string }
	ModifyIndex            uint64
}

func (p *poolJSON) row(place cluster.Place) cluster.NodePool {
	out := cluster.NodePool{Place: place, Name: p.Name, Description: p.Description, Meta: p.Meta, ModifyIndex: p.ModifyIndex}
	if p.SchedulerConfiguration != nil {
		out.Scheduler = p.SchedulerConfiguration.SchedulerAlgorithm
	}
	return out
}

type namespaceJSON struct {
	Name, Description, Quota string
	Meta                     map[string]string
	NodePoolConfiguration    *struct{ Default string }
	ModifyIndex              uint64
}

func (n *namespaceJSON) row(place cluster.Place) cluster.Namespace {
	out := cluster.Namespace{Place: place, Name: n.Name, Description: n.Description, Quota: n.Quota, Meta: n.Meta, ModifyIndex: n.ModifyIndex}
	if n.NodePoolConfiguration != nil {
		out.Pool = n.NodePoolConfiguration.Default
	}
	return out
}

// variableJSON is what the list of variables tells: not what they hold.
type variableJSON struct {
	Namespace, Path        string
	CreateTime, ModifyTime int64
	Lock                   *struct{ ID string }
	ModifyIndex            uint64
}

func (v *variableJSON) row(place cluster.Place) cluster.Variable {
	return cluster.Variable{
		Place: place, ID: cluster.VariableID{Namespace: v.Namespace, Path: v.Path}, Created: nanos(v.CreateTime), Modified: nanos(v.ModifyTime),
		Locked: v.Lock != nil && v.Lock.ID != "", ModifyIndex: v.ModifyIndex,
	}
}
