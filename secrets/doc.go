// Package secrets says what stoker knows of keys and secrets: a Secret that
// prints as [redacted] wherever it ends up, a Redactor that keeps secrets out of
// text, the URN of a model, and what a screen shows of Vault (State, Key).
//
// It is a leaf: it imports nothing of stoker and no client library, so Nomad's
// adapter, Vault's adapter, the sealer and the screens can all speak of the same
// things. Redaction is a property of the type rather than of the places that
// print, because a place can be forgotten and a type cannot.
//
// A Secret shares its bytes between copies and is safe for concurrent reading;
// Wipe must not run beside a reader. A Redactor is safe for concurrent use.
// Everything else is plain data: whoever hands a State on gives it away.
package secrets
