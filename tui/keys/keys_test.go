package keys

import (
	"testing"

	"stoker/jobs/action"
)

// heard lists the scopes that are heard together.
func heard() map[string][]Scope {
	out := map[string][]Scope{"confirm": {Confirm}, "input": {Input}, "box": {Box}, "choose": {Choose}, "pager": {Pager}, "form": {Form}}
	for _, b := range Table() {
		switch s := b.Scope; s {
		case Confirm, Input, Box, Choose, Pager, Form, List, Global, Jump: // alone, or under every screen
		case ScopeLog:
			out["log"] = []Scope{ScopeLog, List, Global}
		default:
			out[string(s)] = []Scope{s, Jump, List, Global}
		}
	}
	return out
}

func TestNoKeyHasTwoMeanings(t *testing.T) {
	m := NewMap(Table())
	for where, scopes := range heard() {
		seen := map[string]ID{}
		for _, s := range scopes {
			for _, b := range m.In(s) {
				for _, k := range b.Keys {
					if other, dup := seen[k]; dup {
						t.Errorf("%s: key %q means both %q and %q", where, k, other, b.ID)
					}
					seen[k] = b.ID
				}
			}
		}
	}
}

func TestEveryBindingIsComplete(t *testing.T) {
	for _, b := range Table() {
		if b.ID == "" || b.Scope == "" || len(b.Keys) == 0 || b.Label == "" || b.Help == "" {
			t.Errorf("incomplete: %+v", b)
		}
	}
}

func TestAChangeHasOneKeyEverywhere(t *testing.T) {
	first := map[action.ID]string{}
	for _, b := range Table() {
		def, change := b.Change()
		if !change {
			continue
		}
		if k, ok := first[def.ID]; ok && k != b.Keys[0] {
			t.Errorf("%s is on %q and on %q", def.ID, k, b.Keys[0])
		}
		first[def.ID] = b.Keys[0]
	}
	for _, def := range action.Table() {
		if first[def.ID] == "" {
			t.Errorf("action %s has no key", def.ID)
		}
	}
}

func TestLookup(t *testing.T) {
	m := NewMap(Table())
	if id, ok := m.Lookup("d", ScopeNodes, List, Global); !ok || id != Drain {
		t.Errorf("d on nodes is %q", id)
	}
	if id, ok := m.Lookup("d", ScopeEvents, List, Global); ok {
		t.Errorf("d on events is %q", id)
	}
}
