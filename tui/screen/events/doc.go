// Package events shows what happened, newest first: nodes, allocations,
// deployments, GPUs, Vault and the sources themselves. Enter goes to the job or
// node that an event is about. When the ring let old events go, it says how many.
package events
