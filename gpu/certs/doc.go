// Package certs holds the TLS files of one end of a stream, the agent's or its
// reader's, and reads them again when they change: a certificate is renewed on
// disk, and neither end is restarted.
//
// A file that is being replaced, or was broken, costs nothing: what was read
// last goes on counting, and the trouble is told once.
package certs
