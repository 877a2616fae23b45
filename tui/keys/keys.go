package keys

import (
	"slices"

	"stoker/jobs/action"
)

// ID names what a key does.
type ID string

// Scope says where a key is heard.
type Scope string

// The scopes. Those from ScopeFleet on belong to one screen each.
const (
	Global      Scope = "global"
	List        Scope = "list"
	Box         Scope = "box"     // help, messages
	Confirm     Scope = "confirm" // the question before a change
	Pager       Scope = "pager"   // a long text
	Choose      Scope = "choose"  // the columns of a table
	Input       Scope = "input"   // filter, command bar, prompt
	Form        Scope = "form"    // the fields of the form that submits: other keys type
	Jump        Scope = "jump"    // from what the cursor is on to what is related, on every screen
	ScopeLog    Scope = "log"     // a log, in place of the screen's own keys
	ScopeFleet  Scope = "fleet"
	ScopeNodes  Scope = "nodes"
	ScopeGPUs   Scope = "gpus"
	ScopeTop    Scope = "top" // the GPUs of this machine alone
	ScopeJobs   Scope = "jobs"
	ScopeModels Scope = "models"
	ScopeTrain  Scope = "training"
	ScopeKeys   Scope = "keys"
	ScopeScen   Scope = "scenarios"
	ScopeEvents Scope = "events"
	ScopeUsage  Scope = "usage"
	ScopeSubmit Scope = "submit"
	ScopeAllocs Scope = "allocs"
	ScopeDeploy Scope = "deployments"
)

// Binding is one line of the table.
type Binding struct {
	ID    ID
	Scope Scope
	Keys  []string // as Bubble Tea spells them; the first is the one shown
	Label string   // for the footer, one or two words
	Help  string   // for the help, a few words
}

// Change reports whether the binding changes the cluster; def says how.
func (b Binding) Change() (def action.Def, ok bool) { return action.Lookup(action.ID(b.ID)) }

// Map finds bindings. It is immutable.
type Map struct {
	all []Binding
	by  map[Scope]map[string]ID
	id  map[Scope]map[ID]Binding
}

// NewMap indexes a table.
func NewMap(table []Binding) *Map {
	m := &Map{all: table, by: map[Scope]map[string]ID{}, id: map[Scope]map[ID]Binding{}}
	for _, b := range table {
		if m.by[b.Scope] == nil {
			m.by[b.Scope], m.id[b.Scope] = map[string]ID{}, map[ID]Binding{}
		}
		m.id[b.Scope][b.ID] = b
		for _, k := range b.Keys {
			m.by[b.Scope][k] = b.ID
		}
	}
	return m
}

// Lookup finds what a key means in the given scopes, the first that knows it.
func (m *Map) Lookup(key string, scopes ...Scope) (ID, bool) {
	for _, s := range scopes {
		if id, ok := m.by[s][key]; ok {
			return id, true
		}
	}
	return "", false
}

// Find returns an ID's binding in the given scopes.
func (m *Map) Find(id ID, scopes ...Scope) (Binding, bool) {
	for _, s := range scopes {
		if b, ok := m.id[s][id]; ok {
			return b, true
		}
	}
	return Binding{}, false
}

// In lists a scope's bindings in the order of the table.
func (m *Map) In(s Scope) []Binding {
	return slices.DeleteFunc(slices.Clone(m.all), func(b Binding) bool { return b.Scope != s })
}

// Table is every binding.
func Table() []Binding {
	return slices.Concat(
		global(), list(), jumps(), overlays(),
		fleet(), nodes(), gpus(), top(), jobs(), logs(), allocs(), deployments(), models(), training(), vaultKeys(), events(), usage(), submit(),
	)
}
