// Package explain says why a job waits: for each node a verdict in the words of
// an operator, the smallest changes that would let the job run, and whether
// Nomad's own counts say the same.
//
// It does over again, from a snapshot and without asking Nomad, what Nomad's
// scheduler does when it looks for a node (scheduler/feasible and
// structs.AllocsFit of Nomad 1.11): the nodes of the pool and the datacenters
// that are ready; then the job's constraints, the drivers, the constraints of
// group and tasks, the devices, the host volumes, distinct_hosts and
// distinct_property, the quota; and of the nodes that are left the ports, the
// devices that are free, CPU, memory and disk. Nomad tells of a node only the
// first thing that it met; here all are found, since a change helps only if
// nothing else is in the way. What a snapshot does not hold is named and not
// guessed: a constraint on an attribute that was not read yet is "not known",
// and what a job asks for beyond the list above stands under Unchecked.
//
// Every proposed change is proved: it is made in the model of the nodes, and the
// verdict is asked for again.
package explain
