// Package nvml reads the GPUs of this node through NVIDIA's management library.
//
// It declares, in go-nvml's types, the small interfaces of exactly the calls
// that it makes: go-nvml's Device is a Device, Load wraps the installed
// library as a Library, and stoker/gpu/sim offers a simulated one, so that
// all code above the calls is the same on both.
//
// Each device is read by a goroutine of its own, so a device whose driver
// hangs or which is lost never holds up the others; there is never a second
// reading of a device under way. What a device does not support is asked once
// and is unknown from then on. A Reader may be used by several goroutines;
// each Read asks anew, except for what changes rarely (settings, retired
// pages, counts over the life of the device: 10 s), the states and errors of
// links (1 s), and PCI Express throughput, which the driver measures for
// 20 ms: one device has its turn each second and keeps its number until the
// next.
//
// A device that has answered once is expected from then on: it is lost when
// the driver does not find it any more. A driver that is unloaded and loaded
// again under the open library is noticed, and so is a lost device that was
// repaired: the library is closed and opened anew. Release closes it at once,
// since an open one keeps the driver's module in use.
//
// go-nvml ends the process when it calls a function that the installed
// library lacks, so each is looked up first and taken as unsupported when
// missing. go-nvml needs cgo: built without, Load and Open return
// ErrUnsupported.
package nvml
