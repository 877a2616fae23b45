// Command workload is stoker's reference model: a small but real classifier of
// handwritten digits that trains, serves and is driven with real images, so
// that everything around a model (deploying, watching, sealing, rolling out)
// can be shown and tested with one.
//
//	workload train    learn, report progress, hand the model to the sealer
//	workload serve    answer over the Open Inference Protocol
//	workload drive    send test images to servers and report how they did
//	workload images   print test images
//
// It is a module of its own and one static program that runs in an empty
// container image; it needs no file, no network and no clock but the system's.
package main
