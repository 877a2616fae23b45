// Package rows makes a screen of a view of line mode: a table whose columns are
// the view's, and a sheet of all facts of one row. What kinds of rows there are
// says a Kind each, in kinds.go: which things a snapshot lists, what makes one
// itself, which columns stand there unless somebody chooses others, and what a
// row belongs to. The screens that know more about their rows than a view does
// are packages of their own.
package rows
