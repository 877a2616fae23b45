// Package export serves what only stoker knows as Prometheus text: which job
// holds each GPU, and what jobs and namespaces use. The numbers of the GPUs
// themselves come from the agents; both are joined by the label uuid.
//
// A page is made of the latest snapshot at each request and holds only what is
// true now: once Nomad has not answered for a while, nobody knows who holds
// what, and those series end. Energy and hours are counted since the process
// began. It is for the command stoker export, which opens the listener.
package export
