// Package drive sends the test images to model servers at a steady rate and
// says how they did: errors, accuracy, latency.
//
// The load is open: requests start on schedule whether or not earlier ones
// were answered, and latency counts from the scheduled time. A server that
// stalls is therefore charged for the stall, not relieved of load by it
// (closed loops hide exactly the slow moments). What may be under way at once
// is bounded; a request that finds no room is an error of its own kind.
//
// Run starts its goroutines and ends them before it returns.
package drive
