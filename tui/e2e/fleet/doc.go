// Package fleet holds what is measured and watched on a lab with a large fleet:
// how fast stoker is there, beside another terminal UI for Nomad, and that it
// stays well while nodes, agents and servers fail. Tests and benchmarks alone.
package fleet
