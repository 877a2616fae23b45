// Package nodes shows every node: its state, its GPUs and what runs on them.
// Enter opens one node with each of its GPUs and allocations; d drains, u ends
// a drain.
//
// Rows are worked out once per snapshot, in one pass over the fleet, and keyed
// by the node's ID. Power and util are of the GPUs that report; a node that is
// down shows none, since its last readings are history.
package nodes
