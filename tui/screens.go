package tui

import (
	"stoker/tui/keys"
	"stoker/tui/screen"
	"stoker/tui/screen/events"
	"stoker/tui/screen/fleet"
	"stoker/tui/screen/gpus"
	"stoker/tui/screen/jobs"
	"stoker/tui/screen/keyring"
	"stoker/tui/screen/models"
	"stoker/tui/screen/nodes"
	"stoker/tui/screen/rows"
	"stoker/tui/screen/scenarios"
	"stoker/tui/screen/sources"
	"stoker/tui/screen/submit"
	"stoker/tui/screen/training"
	"stoker/tui/screen/usage"
)

// entry is one screen as the root knows it.
type entry struct {
	name  screen.Name
	key   keys.ID // the global key that opens it; empty for those that have none
	scope keys.Scope
	screen.Screen
}

// screens makes them all, in the order of their keys.
func screens(e *screen.Env, cfg Config) []entry {
	event := entry{screen.Events, keys.Go9, keys.ScopeEvents, events.New(e)}
	if cfg.Local {
		killer := cfg.Killer
		if cfg.ReadOnly {
			killer = nil
		}
		return []entry{{screen.GPUs, keys.Go3, keys.ScopeTop, gpus.NewTop(e, killer)}, event}
	}
	out := []entry{
		{screen.Fleet, keys.Go1, keys.ScopeFleet, fleet.New(e)},
		{screen.Nodes, keys.Go2, keys.ScopeNodes, nodes.New(e)},
		{screen.GPUs, keys.Go3, keys.ScopeGPUs, gpus.New(e)},
		{screen.Jobs, keys.Go4, keys.ScopeJobs, jobs.New(e)},
		{screen.Models, keys.Go5, keys.ScopeModels, models.New(e)},
		{screen.Training, keys.Go6, keys.ScopeTrain, training.New(e)},
		{screen.Keys, keys.Go7, keys.ScopeKeys, keyring.New(e, cfg.Keys)},
		{screen.Scenarios, keys.Go8, keys.ScopeScen, scenarios.New(e, cfg.Runs)},
		event,
		{screen.Usage, keys.Go0, keys.ScopeUsage, usage.New(e)},
	}
	out = append(
		out,
		entry{screen.Allocs, "", keys.ScopeAllocs, rows.NewAllocs(e)},
		entry{screen.Deployments, "", keys.ScopeDeploy, rows.NewDeployments(e)},
		entry{screen.Evaluations, "", "", rows.NewEvaluations(e)},
		entry{screen.Services, "", "", rows.NewServices(e)},
		entry{screen.Pools, "", "", rows.NewPools(e)},
		entry{screen.Namespaces, "", "", rows.NewNamespaces(e)},
		entry{screen.Variables, "", "", rows.NewVariables(e)},
		entry{screen.Sources, "", "", sources.New(e)},
	)
	if cfg.Packs != nil {
		out = append(out, entry{screen.Submit, keys.GoSubmit, keys.ScopeSubmit, submit.New(e, cfg.Packs, cfg.PackVars, cfg.CommandContext)})
	}
	return out
}
