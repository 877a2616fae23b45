//go:build !linux

package main

import "fmt"

// inMemory refuses every folder: what backs one is known on Linux only.
func inMemory(dir string) error {
	return fmt.Errorf("%s: whether it is in memory can be told on Linux only, train without --checkpoints", dir)
}
