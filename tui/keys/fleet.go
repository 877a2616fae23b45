package keys

// The actions of the fleet screen.
const (
	GroupBy ID = "group"
	Left    ID = "left"
	RightOf ID = "right"
)

func fleet() []Binding {
	return []Binding{
		{GroupBy, ScopeFleet, []string{"b"}, "group by", "group the GPUs by node, pool, model or job"},
		{Left, ScopeFleet, []string{"h", "left"}, "left", "the GPU to the left"},
		{RightOf, ScopeFleet, []string{"l", "right"}, "right", "the GPU to the right"},
	}
}

func events() []Binding { return nil }

func usage() []Binding {
	return []Binding{
		{GoGPUs, ScopeUsage, []string{"v"}, "gpus", "the GPUs that the job holds; below: the GPU"},
	}
}
