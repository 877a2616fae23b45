// Package wire connects adapters to the program: it is the one package besides
// main that knows all of them. It makes a Session out of a context (Nomad,
// agents, model metrics, Vault and the registry, all feeding one Feed), and the
// commands that work on a machine rather than on a cluster.
//
// It holds no rule of its own: what is decided here is only who talks to whom.
//
// Connect returns at once: each source runs in goroutines of its own until the
// session is closed, which waits for them two seconds at most. How old what they
// bring is stands in every snapshot, source by source.
package wire
