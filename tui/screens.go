package tui

import (
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/events"
	"stoker/tui/screen/fleet"
	"stoker/tui/screen/nodes"
)

// entry is one screen as the root knows it.
type entry struct {
	name  screen.Name
	key   keys.ID // the global key that opens it
	scope keys.Scope
	screen.Screen
}

// screens makes them all, in the order of their keys.
func screens(e *screen.Env, _ Config) []entry {
	return []entry{
		{screen.Fleet, keys.Go1, keys.ScopeFleet, fleet.New(e)},
		{screen.Nodes, keys.Go2, keys.ScopeNodes, nodes.New(e)},
		{screen.Events, keys.Go9, keys.ScopeEvents, events.New(e)},
	}
}
