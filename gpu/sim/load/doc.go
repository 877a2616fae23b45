// Package load is how a process tells a simulated GPU what it asks of it.
//
// A task on a simulated GPU has no device to burden, so it says how busy the
// device would be: one small file for each device and process, in a folder
// shared by all tasks of the node. The writer holds a POSIX lock on its file
// for as long as it lives. The kernel drops the lock when the process ends,
// however it ends, so load never outlives its cause; and the kernel says who
// holds the lock in the reader's own pid namespace, so the PID of a process
// in a container is right without asking anybody.
//
// A Reporter may be used by several goroutines. Reports are as fresh as the
// writer's last Set. POSIX locks belong to a process, and closing any
// descriptor of the file drops them: a process must not Read a folder into
// which it reports, nor open report files by other means.
//
// The package is pure Go and imports only package gpu, so that a workload
// built without cgo can use it.
package load
