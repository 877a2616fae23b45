// Fleet is many simulated Nomad clients in one process, so that a lab can have
// a thousand nodes on one machine. The servers are real and cannot tell: each
// node has a connection of its own, registers, heartbeats, waits for its
// allocations and reports on them over Nomad's own protocol, as package client
// of Nomad does.
//
// What an allocation does is simulated: it starts, runs, becomes healthy, ends
// or fails, holds the GPUs that the scheduler gave it, and registers its
// services. An allocation of the job of agents is the exception: it listens at
// the address and port that it was given and streams the readings of its node's
// GPUs, which follow what runs on them, in package stoker/gpu/stream's words.
//
// The program also submits the jobs that fill the fleet, changes them at a given
// rate, and lets single nodes, agents and GPUs fail on demand; the lab speaks to
// it over a unix socket. It keeps nothing on disk: identities derive from the
// lab's token, and everything else is asked of the servers.
package main
