package cluster

// LogRequest asks for the log of one task of one allocation.
type LogRequest struct {
	Alloc  AllocID
	Task   string
	Stderr bool
	// Tail is how many bytes back from the end to begin; 0 begins at the start.
	Tail   int64
	Follow bool
}

// LogLine is one line of a log, without its newline and with remote text as it
// came: whoever draws it must clean it first.
type LogLine struct {
	Alloc  AllocID
	Name   string // job.group[index]
	Task   string
	Stderr bool
	Text   string
}
