package main

import (
	"fmt"
	"os"
	"syscall"
)

const (
	tmpfsMagic = 0x01021994
	ramfsMagic = 0x858458f6
)

// inMemory refuses a folder that is not on a memory filesystem, making the
// folder if needed.
func inMemory(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("filesystem of %s: %w", dir, err)
	}
	if kind := uint32(fs.Type); kind != tmpfsMagic && kind != ramfsMagic {
		return fmt.Errorf("%s is on a disk: give a folder on a tmpfs, such as the task's secrets folder", dir)
	}
	return nil
}
