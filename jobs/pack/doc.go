// Package pack reads packs: ordinary Nomad HCL2 job files with variable blocks,
// which nomad job run -var runs as well.
//
// The variable blocks (type, default, description, validation) make the form
// on screen and the flags in line mode. Values are checked here for type and
// validation before Nomad sees them, so that a mistake is told beside its
// field; the job itself is left to Nomad, which parses the unchanged text with
// the variables that Render adds. Rules that call a function which only Nomad
// has are left to Nomad too.
//
// Packs are values: nothing is kept, and all functions may be called from any
// goroutine. A Library reads its folders at each call, so an edited file counts
// at once; a user's folder has the same rights as the packs built in, and wins.
package pack
