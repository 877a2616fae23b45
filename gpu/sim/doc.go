// Package sim simulates the GPUs of a node at the calls of NVIDIA's management
// library, so that everything above those calls is the code that runs on
// real hardware.
//
// A simulated node is a folder: spec.json says which GPUs it has, state.json
// how warm they are, what they counted and what is wrong with them,
// events.json what their driver reported, and load/ (package stoker/gpu/sim/load) what the tasks ask of
// them. The device plugin, the agent and the injector of faults of one node
// share the folder; a lock file orders them.
//
// Readings follow a small physical model: util is the sum of the reported
// load, power follows util, temperature follows power with inertia, clocks
// and throttling follow temperature. Whoever reads moves the model on to the
// present by an exact step, so how often it is read does not matter, and
// nothing runs while nobody looks. Readings are at most 100 ms old.
//
// Create, Inject, Clear, Faults and Devices need no cgo; Open does.
package sim
