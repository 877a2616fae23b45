// Package events shows what happened, newest first: nodes, allocations,
// deployments, GPUs, Vault and the sources themselves. Enter goes to the GPU,
// job or node that an event is about. An event of a GPU names the allocations that
// were on it then. When the ring let old events go, it says how many.
//
// As any screen it is called from the program's one goroutine, and it is as old
// as the latest snapshot. What the node of a GPU reports bears its time, and what
// the first lists recall bears Nomad's; all else the time when stoker learned of it.
package events
