package lab

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Status is the lab as found at At.
type Status struct {
	Name    string    `json:"name"`
	Dir     string    `json:"dir"`
	Driver  string    `json:"driver"` // what tasks may use beside raw_exec
	Created time.Time `json:"created"`
	At      time.Time `json:"at"`
	Parts   []Part    `json:"parts"`
}

// Healthy tells whether every part is up.
func (s Status) Healthy() bool {
	for _, p := range s.Parts {
		if p.State != StateUp {
			return false
		}
	}
	return true
}

// States of a Part.
const (
	StateUp     = "up"
	StateDown   = "down"   // its process does not run
	StateSealed = "sealed" // Vault only
	StateSilent = "silent" // its process runs but is not (yet) of use
)

// Part is one process of the lab.
type Part struct {
	Name  string `json:"name"` // "vault", "server-1", the node's name, or "fleet"
	Kind  string `json:"kind"` // "vault", "server", "node" or "fleet"
	State string `json:"state"`
	PID   int    `json:"pid,omitempty"`
	Addr  string `json:"addr"` // URL; of a fleet, its addresses
	GPUs  int    `json:"gpus,omitempty"`
	Log   string `json:"log"`
}

// Status looks at every part. It does not wait for another program that works on
// the lab: it may see a lab half up.
func (l *Lab) Status(ctx context.Context) (Status, error) {
	s, err := loadState(l.paths.dir)
	if err != nil {
		return Status{}, err
	}
	se := &session{paths: l.paths, state: s}
	lay := s.layout()
	st := Status{Name: s.Name, Dir: l.paths.dir, Driver: s.Driver, Created: s.Created, At: time.Now()}
	v := se.vault()
	defer v.close()
	st.Parts = append(st.Parts, se.part("vault", "vault", lay.vaultURL(), func() string {
		h, err := v.health(ctx)
		switch {
		case err != nil || !h.Initialized:
			return StateSilent
		case h.Sealed:
			return StateSealed
		}
		return StateUp
	}))
	n := se.nomad()
	defer n.close()
	for i, at := range lay.Servers {
		st.Parts = append(st.Parts, se.part(serverName(i), "server", at.url(), func() string {
			srv := newNomad(at.url(), "")
			defer srv.close()
			if srv.get(ctx, "/v1/agent/health?type=server", nil) != nil {
				return StateSilent
			}
			return StateUp
		}))
	}
	nodes, _ := n.nodes(ctx) // without servers, no node is of use
	for i, node := range s.Nodes {
		p := se.part(node.Name, "node", lay.Clients[i].url(), func() string {
			if nodes[node.Name].Status != "ready" {
				return StateSilent
			}
			return StateUp
		})
		p.GPUs = nodes[node.Name].gpus()
		st.Parts = append(st.Parts, p)
	}
	if s.Fleet.Nodes > 0 {
		st.Parts = append(st.Parts, se.fleetPart(ctx))
	}
	return st, nil
}

// fleetPart is the fleet as one part. Single nodes of it may be down, and often
// are where there is churn.
func (se *session) fleetPart(ctx context.Context) Part {
	c := se.fleet()
	defer c.close()
	p := se.part(theFleet, theFleet, "", func() string {
		if st, err := c.status(ctx); err != nil || st.Ready == 0 {
			return StateSilent
		}
		return StateUp
	})
	p.Addr, p.GPUs = fmt.Sprintf("%d nodes at %s.0.0/16", se.state.Fleet.Nodes, se.state.layout().Fleet), fleetGPUs*se.state.Fleet.Nodes
	return p
}

func (se *session) part(name, kind, addr string, look func() string) Part {
	p := Part{Name: name, Kind: kind, State: StateDown, Addr: addr, Log: se.paths.log(name)}
	if id := se.proc(name); id.alive() {
		p.PID, p.State = id.PID, look()
	}
	return p
}

// writeContext describes the lab as a context: where it is and where its tokens
// are, not the tokens.
func (se *session) writeContext() error {
	lay := se.state.layout()
	text := fmt.Sprintf(`# written by stoker: changes are overwritten
name: %s
nomad:
  address: %s
  token_file: %q
vault:
  address: %s
  token_file: %q
agents:
  namespace: default
  job: %s
`, se.state.Name, lay.Servers[0].url(), se.paths.nomadToken(), lay.vaultURL(), se.paths.vaultToken(), AgentJob)
	if len(se.state.PackVars) > 0 {
		text += "pack_vars:\n"
		for _, name := range slices.Sorted(maps.Keys(se.state.PackVars)) {
			text += fmt.Sprintf("  %s: %q\n", name, se.state.PackVars[name])
		}
	}
	if err := writeFile(se.paths.context(), []byte(text)); err != nil {
		return fmt.Errorf("write the lab's context: %w", err)
	}
	return nil
}
