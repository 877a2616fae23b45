// Package vault talks to HashiCorp Vault: what a screen shows of it (State, Run)
// and Transit data keys (Datakey, Unwrap, Rewrap). It is the only importer of
// Vault's API module, and none of its types leave here. A task's login is Nomad's
// matter: its token lies in a file, as a person's does.
//
// Nothing is read from the environment on purpose: the caller resolves contexts,
// VAULT_* variables and token files, and hands in a token source. The source is
// asked again, once, when Vault answers 403, so a renewed token file or a new
// login works without a restart.
//
// A Client is safe for concurrent use. Run polls, since Vault has no event
// stream in its free edition: its states are as old as their At says, and an
// unreachable Vault is asked less and less often, up to every 30 seconds.
// Errors say what was tried; errors.Is finds ErrUnreachable, ErrSealed, ErrDenied
// or ErrNotFound in them, and Hint says what to do.
package vault
