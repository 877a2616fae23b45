// Package keys holds every key of the interactive program as data: an ID, a
// scope, the keys and a label. Dispatch, footer and help read the same table,
// so they cannot disagree; an action that changes the cluster has the ID that
// jobs/action gives it.
//
// Scopes: Global is heard everywhere, List on every screen that has rows, and
// each screen has its own. While an overlay is open only its scope counts. No
// key has two meanings among the scopes that are heard together; a test holds
// that. A new screen adds its bindings in a file of its own and to Table.
package keys
