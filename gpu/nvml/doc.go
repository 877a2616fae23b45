// Package nvml reads the GPUs of this node through NVIDIA's management library.
//
// It declares, in go-nvml's types, the small interfaces of exactly the calls
// that it makes: go-nvml's Device is a Device, Load wraps the installed
// library as a Library, and stoker/gpu/sim offers a simulated one, so that
// all code above the calls is the same on both.
//
// Each device is read by a goroutine of its own, so a device whose driver
// hangs or which is lost never holds up the others. What a device does not
// support is asked once and is unknown from then on. A Reader may be used by
// several goroutines; each Read asks anew, except for PCI Express throughput,
// which the driver measures for 20 ms: one device has its turn each second
// and keeps its number until the next.
//
// go-nvml ends the process when it calls a function that the installed
// library lacks, so each is looked up first and taken as unsupported when
// missing. go-nvml needs cgo: built without, Load and Open return
// ErrUnsupported.
package nvml
