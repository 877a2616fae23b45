// Package cluster holds every type that a Snapshot holds, and the Feed that
// makes Snapshots out of what the sources emit.
//
// A source (Nomad, the GPU agents, model metrics, Vault) lists, then streams;
// it hands plain values to one inlet of the Feed. One goroutine folds them,
// does all joins (GPU to allocation, allocation to job, service to model) and
// publishes an immutable, numbered Snapshot: the first change at once, then at
// most ten a second, of readings alone four. Screens, line mode and scenario assertions all read the
// same Snapshot, so a fact is computed once, here.
//
// What happened to a GPU is kept with the allocations that were on it then, by
// the scheduler or by their processes, in whatever order the sources tell of it.
// Accounts hold what jobs and namespaces used of the GPUs that they held, from
// reading to reading, since the Feed began.
//
// Folding is idempotent by modify index: duplicates and late events are
// harmless. A source that fails keeps its last data; its SourceStatus says
// since when. Numbers that nobody reported are nil, never 0.
package cluster
