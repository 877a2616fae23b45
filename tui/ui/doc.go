// Package ui draws: it fits text to cells, formats numbers with their units,
// and has the few widgets that every screen uses (table, spark line, meter,
// heat cell, input line, box).
//
// Everything here is called from one goroutine, that of the program's Update
// and View, and keeps no time of its own. Widgets are our own because the rows
// of a fleet are many and the frame is short: a Table draws a row once when its
// data changes, and View joins lines that are ready.
//
// Text from remote machines goes through Clean once, where it enters a cell:
// Txt and Line do it. Fit is the only way to a width.
package ui
