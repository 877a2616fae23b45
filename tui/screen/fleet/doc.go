// Package fleet is the first screen: how much of the fleet is at work, what
// needs attention, and every GPU by node.
//
// The answer stands on top: capacity, then the problems, worst first, each with
// a way to the thing it is about. Below, each node has a row with one cell per
// GPU. When there are more nodes than lines, the rows give way to a map: a cell
// is a GPU, or half of one is, or a node or half a node, or a line is a group,
// whatever fits; + and - choose another scale. It is put together by node, pool,
// rack, class, model, job or namespace, the worst group first, and the cursor
// names what is under it.
//
// What is wrong has a sign of its own, so that the map can be read without
// colour. Cells hold steps and not exact numbers, a step changes only well
// beyond its edge, and only so many cells change in a second unless something
// fails: a large fleet stays calm, and cheap over a slow line.
package fleet
