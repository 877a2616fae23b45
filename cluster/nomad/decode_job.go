package nomad

import (
	"fmt"
	"slices"
	"strings"

	"stoker/cluster"
)

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

// jobPath is the API path of a job, whose name may hold any character.
func jobPath(id cluster.JobID, rest string) string {
	return fmt.Sprintf("/v1/job/%s%s", pathEscape(id.Name), rest)
}
