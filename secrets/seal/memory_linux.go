package seal

import (
	"fmt"
	"syscall"
)

// Magic numbers of statfs(2).
const (
	magicTmpfs = 0x01021994
	magicRamfs = 0x858458f6
)

// memory says how many bytes are free in dir, which must be a tmpfs or a ramfs.
// A tmpfs can be swapped out: nodes that open models want no swap, or an
// encrypted one. Nomad mounts its secrets folders without swap where the kernel can.
func memory(dir string) (free int64, err error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("look at %s: %w", dir, err)
	}
	switch uint32(fs.Type) {
	case magicTmpfs:
		if fs.Blocks == 0 { // mounted without a limit
			return maxSize, nil
		}
		return int64(fs.Bavail) * int64(fs.Bsize), nil
	case magicRamfs:
		return maxSize, nil
	}
	return 0, notMemory(dir)
}
