// Package fleet is the first screen: how much of the fleet is at work, what
// needs attention, and every GPU by node.
//
// The answer stands on top: capacity, then the problems, worst first, each with
// a way to the thing it is about. Below, each node has a row with one cell per
// GPU. When there are more nodes than lines, the rows give way to a map with
// one cell per GPU, grouped by node, pool, model or job, the worst group first,
// and the cursor names the GPU under it. Cells hold steps and not exact
// numbers, and a step changes only well beyond its edge, so that a large fleet
// stays calm and cheap over a slow line.
package fleet
