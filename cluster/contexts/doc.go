// Package contexts answers "which cluster, with which token": named contexts
// from one strict YAML file, those that running labs leave beside it, and the
// official NOMAD_* and VAULT_* variables.
//
// What a context says wins over the environment; what it leaves out comes from
// there, as in the official command lines. Tokens are sources, not values: a
// file is read again each time it is asked for, so a renewed token is picked
// up without a restart. Nothing here connects to anything.
package contexts
