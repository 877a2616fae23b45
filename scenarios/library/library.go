package library

import (
	"embed"
	"errors"
	"fmt"
	"path"
	"strings"

	"stoker/scenarios"
)

//go:embed *.yaml
var files embed.FS

// ErrUnknown says that there is no shipped scenario of that name.
var ErrUnknown = errors.New("no such scenario")

// Names lists the shipped scenarios.
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil // an embedded folder can be read
	}
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.Name(), path.Ext(e.Name())))
	}
	return out
}

// Find parses a shipped scenario.
func Find(name string) (*scenarios.Scenario, error) {
	content, err := files.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("%w: %s; there are %s", ErrUnknown, name, strings.Join(Names(), ", "))
	}
	return scenarios.Parse(name+".yaml", content)
}
