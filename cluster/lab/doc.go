// Package lab runs a real cluster on one Linux machine: Vault, Nomad servers,
// and Nomad clients with simulated (or the machine's own) GPUs, all on loopback.
//
// It starts the official binaries and speaks their HTTP interfaces through a
// small helper of its own, so that a fault in stoker's Nomad or Vault adapters
// cannot hide itself by also shaping the cluster that tests them.
//
// What it started is written to state.json in the lab's folder before it is
// relied on: process id together with the kernel's start time, so a recycled id
// is never signalled. Every process also carries the lab's random mark in its
// environment, which is how what outlived a crash is found again.
//
// A Lab holds no state in memory: each call locks the folder, reads the file and
// acts, so several programs may drive one lab, and no answer is older than the
// call. The methods may be called from several goroutines; they take turns.
package lab
