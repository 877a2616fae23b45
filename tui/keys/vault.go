package keys

// The actions of the keys screen.
const (
	Rotate ID = "rotate"
	Rewrap ID = "rewrap"
)

func vaultKeys() []Binding {
	return []Binding{
		{Rotate, ScopeKeys, []string{"r"}, "rotate", "make a new version of the key"},
		{Rewrap, ScopeKeys, []string{"w"}, "rewrap", "wrap the artifacts' data keys under the latest version"},
	}
}
