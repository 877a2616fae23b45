// Package registry keeps the registered model versions in Nomad Variables, one
// variable a version under stoker/models/<name>/<version>.
//
// Nomad Variables need no other store, are encrypted and replicated, and are
// bound to jobs by policy: a seal task may write the versions, whoever deploys
// may read them. What a version says (URN and digest) is what its opener
// checks, so a variable is read strictly: its path, its URN and its values must
// fit each other, and one that does not is left out and told of. Items that
// this program does not know are left alone, for people and later programs.
//
// A Registry keeps no state and may be used from any goroutine. Nomad has no
// cheap stream of variables in all versions supported, so Run polls: what it
// emits is at most one interval old.
package registry
