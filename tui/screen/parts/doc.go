// Package parts holds what the screens about GPUs, models, training, keys and
// scenarios do alike: the base of a detail, a meter with its number, labelled
// facts that flow over lines, a chart of several lines, a body that scrolls, the
// table of the GPUs of one job, and the list of the processes on GPUs.
//
// It is functions over a theme and widgets without a clock of their own, called
// from the program's one goroutine like everything below tui. It is beside ui
// and not in it, since it knows the rows of a snapshot.
package parts
