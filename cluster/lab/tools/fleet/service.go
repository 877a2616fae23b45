package main

import (
	"maps"
	"slices"

	"github.com/hashicorp/nomad/client/serviceregistration"
	"github.com/hashicorp/nomad/nomad/structs"
)

// registered is a service of an allocation here.
type registered struct {
	structs.ServiceRegistration
	told bool // the servers have it
	gone bool // it is to be taken back
}

// offer registers the services of an allocation, and lets an agent listen. The
// caller holds the lock.
func (n *node) offer(a *alloc) {
	for _, s := range a.services {
		if s.Provider != structs.ServiceProviderNomad {
			continue
		}
		addr, port, err := serviceregistration.GetAddress(s.Address, s.AddressMode, s.PortLabel, a.networks, nil, a.ports, nil)
		if err != nil {
			n.fleet.log.Printf("%s: service %s of %s: %v", n.shape.name, s.Name, a.id, err)
			continue
		}
		owner := "group-" + a.group
		if s.TaskName != "" {
			owner = s.TaskName
		}
		id := serviceregistration.MakeAllocServiceID(a.id, owner, s)
		reg := structs.ServiceRegistration{
			ID: id, ServiceName: s.Name, Namespace: a.namespace, NodeID: n.id, Datacenter: datacenter,
			JobID: a.job, AllocID: a.id, Tags: s.Tags, Address: addr, Port: port,
		}
		if was := n.services[id]; was == nil || was.gone || !was.Equal(&reg) {
			n.services[id] = &registered{ServiceRegistration: reg}
			n.nudge()
		}
	}
	if a.job == n.fleet.conf.agentJob && n.agents[a.id] == nil {
		n.serveAgent(a)
	}
}

// withdraw takes the services of an allocation back. The caller holds the lock.
func (n *node) withdraw(a *alloc) {
	for id, s := range n.services {
		switch {
		case s.AllocID != a.id:
		case s.told:
			s.gone = true
			n.nudge()
		default:
			delete(n.services, id)
		}
	}
	if agent := n.agents[a.id]; agent != nil {
		delete(n.agents, a.id)
		agent.close()
	}
}

// tellServices registers what is new and takes back what is gone.
func (n *node) tellServices(l *link) error {
	n.mu.Lock()
	var add []*structs.ServiceRegistration
	var drop []structs.ServiceRegistration
	for _, id := range slices.Sorted(maps.Keys(n.services)) {
		switch s := n.services[id]; {
		case s.gone:
			drop = append(drop, s.ServiceRegistration)
		case !s.told:
			add = append(add, s.ServiceRegistration.Copy())
		}
	}
	n.mu.Unlock()
	if len(add) > 0 {
		var resp structs.ServiceRegistrationUpsertResponse
		err := l.call(structs.ServiceRegistrationUpsertRPCMethod, &structs.ServiceRegistrationUpsertRequest{Services: add, WriteRequest: n.write()}, &resp)
		if err != nil {
			return err
		}
		n.mu.Lock()
		for _, s := range add {
			if is := n.services[s.ID]; is != nil && is.Equal(s) {
				is.told = true
			}
		}
		n.mu.Unlock()
	}
	for _, s := range drop {
		req := structs.ServiceRegistrationDeleteByIDRequest{ID: s.ID, WriteRequest: n.write()}
		req.Namespace = s.Namespace
		var resp structs.ServiceRegistrationDeleteByIDResponse
		err := l.call(structs.ServiceRegistrationDeleteByIDRPCMethod, &req, &resp)
		if err != nil && !isNotFound(err) {
			return err
		}
		n.mu.Lock()
		if is := n.services[s.ID]; is != nil && is.gone {
			delete(n.services, s.ID)
		}
		n.mu.Unlock()
	}
	return nil
}
