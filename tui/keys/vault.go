package keys

// Rotate makes a new version of a Vault key.
const Rotate ID = "rotate"

func vaultKeys() []Binding {
	return []Binding{
		{Rotate, ScopeKeys, []string{"r"}, "rotate", "make a new version of the key"},
	}
}
