// Package encode writes rows of a facts.View for programs: JSON, YAML and CSV.
//
// Line mode prints with it and the screens export with it, so a file that was
// exported reads like the answer of stoker get. Unknown is null or empty; times
// are RFC 3339 in UTC; a text keeps its characters, escaped where the format
// wants it, and a cell of CSV is never a formula.
package encode
