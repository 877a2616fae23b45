// Package artifact is the model folder: what training hands over and serving
// loads. It holds model.json (the weights), evaluation.json (how good it is on
// images it never saw) and baseline.json (what its inputs and scores looked
// like, to compare live traffic with).
//
// The files are plain JSON with a versioned format name, and carry no clock
// time: the same training gives the same bytes, and so the same digest.
//
// A folder leaves the process either as a tar stream over a unix socket, built
// in memory, for a sealer that encrypts it (Send), or as plain files where
// somebody asked for that (WriteDir). Nothing else here touches a disk.
// All values are plain data; functions keep no state.
package artifact
