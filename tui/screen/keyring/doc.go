// Package keyring shows Vault: its state, the Transit keys, and which sealed
// artifacts each of them still opens. Enter opens one key with its versions and
// artifacts; r rotates it, where somebody was given who may.
//
// Nothing here is secret: a key is its name, its versions and their ages. What
// the token may not read is named, with the capability that it lacks, so that a
// short list is never taken for a whole one. It is not called keys, since
// tui/keys is the table of the keyboard.
package keyring
