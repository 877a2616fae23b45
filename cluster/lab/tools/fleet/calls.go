package main

import "net/rpc"

// newCalls is what the servers may ask of a node. All else is refused by name.
func newCalls() *rpc.Server { return rpc.NewServer() }
