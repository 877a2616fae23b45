// Package proc says of a process on a GPU who it is, what it costs its machine
// and which Nomad task it belongs to, and signals it. Only the node itself can
// know: the agent and stoker top use it.
//
// The task is looked for in the cgroup (v1 and v2), which a process cannot
// choose, then in the labels of its container, and only then in the environment
// of the process and of its ancestors. Of an environment nothing but Nomad's two
// variables is kept. A command is kept without its arguments unless they are
// asked for: they may hold tokens.
//
// A number of a process is used again once that has ended, so what is remembered
// of one, and what a signal goes to, is a number together with its start.
package proc
