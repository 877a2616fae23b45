package jobs

// A log view's own replies. stream says which view asked: one that was closed
// meanwhile has another number, and the reply is dropped.

// logLinesMsg brings a batch of lines; the view then asks for the next one.
type logLinesMsg struct {
	stream uint64
	lines  []piece
}

// logEndedMsg says that one log ended, or broke off with err.
type logEndedMsg struct {
	stream uint64
	source int
	err    error
}

// piece is one line as it came, with the index of the source that it is from.
type piece struct {
	source int
	text   string
}
