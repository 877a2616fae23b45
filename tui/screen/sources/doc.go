// Package sources is the screen of where facts come from: which source answers,
// since when, and what one that does not said last.
package sources
