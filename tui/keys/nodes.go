package keys

import "stoker/jobs/action"

// The changes that nodes take.
const (
	Drain   = ID(action.Drain)
	Undrain = ID(action.Undrain)

	Ineligible = ID(action.Ineligible)
)

func nodes() []Binding {
	return []Binding{
		{Drain, ScopeNodes, []string{"d"}, "drain", "move all work off the node and keep new work away"},
		{Ineligible, ScopeNodes, []string{"i"}, "ineligible", "keep new work away from the node; what runs there stays"},
		{Undrain, ScopeNodes, []string{"u"}, "undrain", "let the node take work again"},
	}
}

func gpus() []Binding {
	return []Binding{
		{Drain, ScopeGPUs, []string{"d"}, "drain node", "move all work off the GPU's node and keep new work away"},
		{Ineligible, ScopeGPUs, []string{"i"}, "ineligible", "keep new work away from the GPU's node; what runs there stays"},
		{Undrain, ScopeGPUs, []string{"u"}, "undrain node", "let the GPU's node take work again"},
	}
}

// The actions of the screen of one machine. EndProcess changes that machine and
// no cluster, so it is none of package action.
const (
	EndProcess ID = "end process"
	AllGPUs    ID = "all gpus"
)

func top() []Binding {
	return []Binding{
		{EndProcess, ScopeTop, []string{"x", "K"}, "end process", "ask the selected process to end, or kill it"},
		{AllGPUs, ScopeTop, []string{"a"}, "one/all", "draw the selected GPU over time, or all as one"},
	}
}
