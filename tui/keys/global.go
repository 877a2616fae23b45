package keys

// The global actions. Screen digits are in Go1 to Go9 and Go0.
const (
	Command  ID = "command"
	Filter   ID = "filter"
	Help     ID = "help"
	Messages ID = "messages"
	Back     ID = "back"
	Quit     ID = "quit"
	QuitNow  ID = "quit now"
	GoSubmit ID = "go submit"

	Go1 ID = "go 1"
	Go2 ID = "go 2"
	Go3 ID = "go 3"
	Go4 ID = "go 4"
	Go5 ID = "go 5"
	Go6 ID = "go 6"
	Go7 ID = "go 7"
	Go8 ID = "go 8"
	Go9 ID = "go 9"
	Go0 ID = "go 0"
)

func global() []Binding {
	return []Binding{
		{Command, Global, []string{":"}, "command", "type a command: a screen, a view, an order, an export, a theme"},
		{Filter, Global, []string{"/"}, "filter", "keep rows by words, !word or an expression"},
		{Help, Global, []string{"?"}, "help", "all keys of this screen"},
		{Messages, Global, []string{"!"}, "messages", "what was done and what went wrong"},
		{GoSubmit, Global, []string{"S"}, "submit", "open the form that submits a job"},
		{Back, Global, []string{"esc"}, "back", "clear the filter, close, or go back"},
		{Quit, Global, []string{"q"}, "quit", "go back; from the top, quit"},
		{QuitNow, Global, []string{"ctrl+c"}, "quit", "quit at once"},
		{Go1, Global, []string{"1"}, "fleet", "every GPU, and what needs attention"},
		{Go2, Global, []string{"2"}, "nodes", "every node"},
		{Go3, Global, []string{"3"}, "gpus", "every GPU as a row"},
		{Go4, Global, []string{"4"}, "jobs", "every job"},
		{Go5, Global, []string{"5"}, "models", "models that are served"},
		{Go6, Global, []string{"6"}, "training", "training jobs"},
		{Go7, Global, []string{"7"}, "keys", "Vault keys and what they open"},
		{Go8, Global, []string{"8"}, "scenarios", "the steps of a scenario that runs"},
		{Go9, Global, []string{"9"}, "events", "what happened"},
		{Go0, Global, []string{"0"}, "usage", "what jobs use of their GPUs, and which GPUs lie idle"},
	}
}

// The actions of every screen with rows.
const (
	Up       ID = "up"
	Down     ID = "down"
	PageUp   ID = "page up"
	PageDown ID = "page down"
	Top      ID = "top"
	Bottom   ID = "bottom"
	Open     ID = "open"
	Sort     ID = "sort"
	Reverse  ID = "reverse"
	Pane     ID = "pane"
	Mark     ID = "mark"
	MarkAll  ID = "mark all"
	Columns  ID = "columns"
	Raw      ID = "raw"
	CopyName ID = "copy name"
	Export   ID = "export"
)

func list() []Binding {
	return []Binding{
		{Up, List, []string{"k", "up", "ctrl+p"}, "up", "up"},
		{Down, List, []string{"j", "down", "ctrl+n"}, "down", "down"},
		{PageUp, List, []string{"pgup", "ctrl+b", "ctrl+u"}, "page up", "a page up"},
		{PageDown, List, []string{"pgdown", "ctrl+f", "ctrl+d"}, "page down", "a page down"},
		{Top, List, []string{"g", "home"}, "top", "to the first row"},
		{Bottom, List, []string{"G", "end"}, "bottom", "to the last row"},
		{Open, List, []string{"enter"}, "open", "details of the selected row"},
		{Sort, List, []string{"o"}, "order", "order by the next column"},
		{Reverse, List, []string{"O"}, "reverse", "reverse the order"},
		{Mark, List, []string{"space"}, "mark", "mark the row, or not: what one does then is done to all marked rows"},
		{MarkAll, List, []string{"*", "ctrl+space"}, "mark all", "mark all rows that are shown, or none"},
		{Columns, List, []string{"C"}, "columns", "choose the columns, and the one that rows are in order of"},
		{Raw, List, []string{"y"}, "raw", "what the cursor is on, as Nomad tells it: JSON, to look through and to copy"},
		{CopyName, List, []string{"c"}, "copy", "copy the name or ID of the row, or of all marked rows"},
		{Export, List, []string{"X"}, "export", "write the rows that are shown to a file"},
		{Pane, List, []string{"tab"}, "other pane", "to the next part of the screen"},
	}
}

// The jumps from what the cursor is on.
const (
	GoNode        ID = "go node"
	GoGPUs        ID = "go gpus"
	GoJob         ID = "go job"
	GoAllocs      ID = "go allocs"
	GoDeployments ID = "go deployments"
	GoEvaluations ID = "go evaluations"
	GoServices    ID = "go services"
	GoPool        ID = "go pool"
)

func jumps() []Binding {
	return []Binding{
		{GoNode, Jump, []string{"N"}, "node", "the node, or the nodes, of what the cursor is on"},
		{GoGPUs, Jump, []string{"v"}, "gpus", "its GPUs"},
		{GoJob, Jump, []string{"J"}, "job", "its job, or jobs"},
		{GoAllocs, Jump, []string{"A"}, "allocs", "its allocations"},
		{GoDeployments, Jump, []string{"D"}, "deployments", "its deployments"},
		{GoEvaluations, Jump, []string{"E"}, "evaluations", "its evaluations"},
		{GoServices, Jump, []string{"V"}, "services", "its services"},
		{GoPool, Jump, []string{"P"}, "pool", "its node pool"},
	}
}

// The actions of overlays.
const (
	Toggle   ID = "toggle"
	MoveUp   ID = "move up"
	MoveDown ID = "move down"
	Restore  ID = "restore"
	CopyAll  ID = "copy all"
	Yes      ID = "yes"
	No       ID = "no"
	Turn     ID = "turn"
	ShowAll  ID = "show all"
	Accept   ID = "accept"
	Cancel   ID = "cancel"
	Complete ID = "complete"
	Older    ID = "older"
	Newer    ID = "newer"

	CompleteBack ID = "complete back"

	ScrollUp  ID = "scroll up"
	ScrollDn  ID = "scroll down"
	ScrollPgU ID = "scroll page up"
	ScrollPgD ID = "scroll page down"
)

func overlays() []Binding {
	return []Binding{
		{Yes, Confirm, []string{"y"}, "yes", "do it"},
		{No, Confirm, []string{"n"}, "no", "leave it"},
		{Turn, Confirm, []string{"tab", "left", "right", "shift+tab"}, "choose", "between no and yes"},
		{ShowAll, Confirm, []string{"ctrl+d"}, "all lines", "all that a new job sets, or its outline only"},
		{Accept, Confirm, []string{"enter"}, "take the choice", "take the choice"},
		{Cancel, Confirm, []string{"esc"}, "cancel", "leave it"},
		{ScrollUp, Confirm, []string{"up", "pgup"}, "up", "scroll"},
		{ScrollDn, Confirm, []string{"down", "pgdown"}, "down", "scroll"},

		{Cancel, Pager, []string{"esc", "q", "y"}, "close", "close"},
		{Filter, Pager, []string{"/"}, "find", "find words"},
		{NextMatch, Pager, []string{"n"}, "next", "to the next line with them"},
		{PrevMatch, Pager, []string{"N"}, "previous", "to the one before"},
		{CopyAll, Pager, []string{"c"}, "copy", "copy all of it"},
		{ScrollUp, Pager, []string{"k", "up"}, "up", "scroll"},
		{ScrollDn, Pager, []string{"j", "down", "enter"}, "down", "scroll"},
		{ScrollPgU, Pager, []string{"pgup", "ctrl+b", "ctrl+u"}, "page up", "scroll"},
		{ScrollPgD, Pager, []string{"pgdown", "ctrl+f", "ctrl+d", "space"}, "page down", "scroll"},
		{Top, Pager, []string{"g", "home"}, "top", "to the beginning"},
		{Bottom, Pager, []string{"G", "end"}, "bottom", "to the end"},

		{Up, Choose, []string{"k", "up", "ctrl+p"}, "up", "up"},
		{Down, Choose, []string{"j", "down", "ctrl+n"}, "down", "down"},
		{PageUp, Choose, []string{"pgup", "ctrl+b", "ctrl+u"}, "page up", "a page up"},
		{PageDown, Choose, []string{"pgdown", "ctrl+f", "ctrl+d"}, "page down", "a page down"},
		{Top, Choose, []string{"g", "home"}, "top", "to the first column"},
		{Bottom, Choose, []string{"G", "end"}, "bottom", "to the last column"},
		{Toggle, Choose, []string{"space", "x"}, "show or hide", "show the column, or hide it"},
		{MoveUp, Choose, []string{"K", "shift+up"}, "move up", "move the column to the left"},
		{MoveDown, Choose, []string{"J", "shift+down"}, "move down", "move the column to the right"},
		{Sort, Choose, []string{"o"}, "order", "put the rows in order by this column; again: the other way around"},
		{Restore, Choose, []string{"r"}, "as it was", "show the columns that are there unless one chooses"},
		{Accept, Choose, []string{"enter"}, "take", "take the choice"},
		{Cancel, Choose, []string{"esc", "q", "C"}, "cancel", "leave it as it was"},

		{Accept, Input, []string{"enter"}, "accept", "accept"},
		{Cancel, Input, []string{"esc"}, "cancel", "leave it"},
		{Complete, Input, []string{"tab"}, "complete", "complete the word; again: the next that it could be"},
		{CompleteBack, Input, []string{"shift+tab"}, "complete back", "the one before"},
		{Older, Input, []string{"up", "ctrl+p"}, "older", "what was typed before"},
		{Newer, Input, []string{"down", "ctrl+n"}, "newer", "what was typed after that"},

		{Cancel, Box, []string{"esc", "q", "enter", "?", "!"}, "close", "close"},
		{ScrollUp, Box, []string{"k", "up"}, "up", "scroll"},
		{ScrollDn, Box, []string{"j", "down"}, "down", "scroll"},
		{ScrollPgU, Box, []string{"pgup", "ctrl+b"}, "page up", "scroll"},
		{ScrollPgD, Box, []string{"pgdown", "ctrl+f", "space"}, "page down", "scroll"},
	}
}
