package nomad

import (
	"slices"
	"strings"
	"time"

	"stoker/cluster"
	"stoker/gpu"
)

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
