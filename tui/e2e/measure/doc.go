// Package measure tells what a program costs and what it shows in a terminal, for
// benchmarks and for tests that watch a program for long.
package measure
