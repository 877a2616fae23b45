// Package e2e holds the tests that use stoker as its operators do: the built
// program against a real Nomad and a real Vault, commands by their output and
// exit codes, screens in tmux. make e2e runs them; without STOKER_E2E=1 they skip.
//
// One lab of its own serves all of them, in folders and on ports of its own, so
// that a lab that somebody uses is left alone.
package e2e
