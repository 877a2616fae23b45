// Package stream is the wire between an agent and whoever watches its node:
// newline-delimited JSON that begins with a Header and goes on with Frames.
//
// A keyframe holds a whole gpu.Batch; a delta holds only the samples that
// changed since the frame before it; a beat says that the agent lives although
// nothing was read. A reader starts at a keyframe, ignores fields and frame
// kinds that it does not know, and after a gap in the sequence waits for the
// next keyframe, so both ends may be of different ages.
//
// Deltas carry full samples, not fields: a sample is small, and a reader that
// replaces whole values cannot mix two readings. Only the details of a sample,
// which are longer than the rest, are left out of most deltas: a reader keeps
// those that it has. JSON lines, because curl and
// jq are enough to see what an agent says. Nothing here keeps state between
// calls but Decoder and Folder, which serve one goroutine each.
package stream
