// Package sources is the screen of where facts come from: which source answers,
// since when, what one that does not said last, and what to do about a token that ends.
package sources
