package keys

import "stoker/jobs/action"

// The actions of the job screens. Those of package action change the cluster.
const (
	Submit  = ID(action.Submit)
	Scale   = ID(action.Scale)
	Restart = ID(action.Restart)
	Stop    = ID(action.Stop)

	Logs   ID = "logs"
	Stderr ID = "stderr"
	Follow ID = "follow"
	Why    ID = "why"
	GoGPUs ID = "go gpus"
)

func jobs() []Binding {
	return []Binding{
		{Scale, ScopeJobs, []string{"s"}, "scale", "change how many allocations a group has"},
		{Restart, ScopeJobs, []string{"R"}, "restart", "restart every allocation, one after the other"},
		{Stop, ScopeJobs, []string{"x"}, "stop", "stop the job and free what it holds"},
		{Logs, ScopeJobs, []string{"l"}, "logs", "follow the log of a task"},
		{Stderr, ScopeJobs, []string{"e"}, "stderr", "standard error instead of standard output"},
		{Follow, ScopeJobs, []string{"f"}, "follow", "keep to the end of the log"},
		{Why, ScopeJobs, []string{"w"}, "why", "why the job waits, node by node"},
		{GoGPUs, ScopeJobs, []string{"v"}, "gpus", "the GPUs that the job holds"},
	}
}

func models() []Binding {
	return []Binding{
		{Scale, ScopeModels, []string{"s"}, "scale", "change the number of replicas"},
		{Restart, ScopeModels, []string{"R"}, "restart", "restart every replica, one after the other"},
		{Stop, ScopeModels, []string{"x"}, "stop", "stop the job that serves the model"},
		{Logs, ScopeModels, []string{"l"}, "logs", "follow the log of a replica"},
	}
}

func training() []Binding {
	return []Binding{
		{Stop, ScopeTrain, []string{"x"}, "stop", "stop the training job"},
		{Logs, ScopeTrain, []string{"l"}, "logs", "follow the log of the trainer"},
		{Why, ScopeTrain, []string{"w"}, "why", "why the job waits, node by node"},
	}
}

func submit() []Binding {
	return []Binding{
		{Submit, ScopeSubmit, []string{"ctrl+s"}, "plan", "show the plan; a second key submits"},
	}
}
