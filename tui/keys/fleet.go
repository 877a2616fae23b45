package keys

// The actions of the fleet screen.
const (
	GroupBy ID = "group"
	Left    ID = "left"
	RightOf ID = "right"
	ZoomIn  ID = "zoom in"
	ZoomOut ID = "zoom out"
	ZoomFit ID = "zoom fit"
)

func fleet() []Binding {
	return []Binding{
		{GroupBy, ScopeFleet, []string{"b"}, "group by", "group the GPUs by node, pool, rack, class, model, job or namespace"},
		{ZoomIn, ScopeFleet, []string{"+", "="}, "finer", "show more of each GPU or node, and fewer of them"},
		{ZoomOut, ScopeFleet, []string{"-"}, "coarser", "show more GPUs or nodes, and less of each"},
		{ZoomFit, ScopeFleet, []string{"z"}, "fit", "show as much as fits"},
		{Left, ScopeFleet, []string{"h", "left"}, "left", "the cell to the left"},
		{RightOf, ScopeFleet, []string{"l", "right"}, "right", "the cell to the right"},
	}
}

func events() []Binding { return nil }

func usage() []Binding { return nil }
