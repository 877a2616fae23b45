package keys

import "stoker/jobs/action"

// The actions of the job screens. Those of package action change the cluster.
const (
	Submit  = ID(action.Submit)
	Scale   = ID(action.Scale)
	Restart = ID(action.Restart)
	Stop    = ID(action.Stop)

	Logs ID = "logs"
	Why  ID = "why"

	// In the log.
	Stderr      ID = "stderr"
	Follow      ID = "follow"
	Wrap        ID = "wrap"
	OnlyMatches ID = "only matches"
	NextMatch   ID = "next match"
	PrevMatch   ID = "previous match"

	// In the form that submits a pack.
	NextField ID = "next field"
	PrevField ID = "previous field"
	Copy      ID = "copy"
	Preset    ID = "preset"
)

func jobs() []Binding {
	return []Binding{
		{Scale, ScopeJobs, []string{"s"}, "scale", "change how many allocations a group has"},
		{Restart, ScopeJobs, []string{"R"}, "restart", "restart every allocation, one after the other"},
		{Stop, ScopeJobs, []string{"x"}, "stop", "stop the job and free what it holds"},
		{Logs, ScopeJobs, []string{"l"}, "logs", "follow the logs of all allocations; enter on one: its own"},
		{Why, ScopeJobs, []string{"w"}, "why", "why the job waits, node by node, and what would help"},
	}
}

func logs() []Binding {
	return []Binding{
		{Follow, ScopeLog, []string{"f"}, "follow", "keep to its end, or stay here"},
		{Stderr, ScopeLog, []string{"e"}, "out/err", "standard output, standard error, or both"},
		{Wrap, ScopeLog, []string{"W"}, "wrap", "break long lines, or cut them"},
		{OnlyMatches, ScopeLog, []string{"a"}, "all/matches", "all lines, or only those that the filter keeps"},
		{NextMatch, ScopeLog, []string{"n"}, "next", "to the next line that the filter keeps"},
		{PrevMatch, ScopeLog, []string{"N"}, "previous", "to the one before"},
		{Scale, ScopeLog, []string{"s"}, "scale", "change how many allocations a group of the job has"},
		{Restart, ScopeLog, []string{"R"}, "restart", "restart every allocation of the job, one after the other"},
		{Stop, ScopeLog, []string{"x"}, "stop", "stop the job and free what it holds"},
	}
}

func models() []Binding {
	return []Binding{
		{Scale, ScopeModels, []string{"s"}, "scale", "change the number of replicas"},
		{Restart, ScopeModels, []string{"R"}, "restart", "restart every replica, one after the other"},
		{Stop, ScopeModels, []string{"x"}, "stop", "stop the job that serves the model"},
		{Logs, ScopeModels, []string{"l"}, "logs", "follow the logs of all replicas"},
	}
}

func allocs() []Binding {
	return []Binding{
		{Logs, ScopeAllocs, []string{"l"}, "logs", "follow the log of the allocation"},
	}
}

func deployments() []Binding {
	return []Binding{
		{Restart, ScopeDeploy, []string{"R"}, "restart", "restart every allocation of the job, one after the other"},
		{Stop, ScopeDeploy, []string{"x"}, "stop", "stop the job and free what it holds"},
	}
}

func training() []Binding {
	return []Binding{
		{Stop, ScopeTrain, []string{"x"}, "stop", "stop the training job"},
		{Logs, ScopeTrain, []string{"l"}, "logs", "follow the logs of the job"},
		{Why, ScopeTrain, []string{"w"}, "why", "why the job waits, node by node, and what would help"},
	}
}

func submit() []Binding {
	return []Binding{
		{Submit, Form, []string{"ctrl+s", "enter"}, "plan", "show the plan; a second key submits"},
		{NextField, Form, []string{"tab", "down", "ctrl+n"}, "next field", "to the next field"},
		{PrevField, Form, []string{"shift+tab", "up", "ctrl+p"}, "previous field", "to the field before"},
		{Cancel, Form, []string{"esc"}, "back", "back to the packs; what was typed is kept"},
		{Copy, Form, []string{"ctrl+y"}, "copy", "copy the command that submits the same"},
		{Preset, Form, []string{"ctrl+r"}, "default", "put the field's default back"},
	}
}
