package library_test

import (
	"testing"

	"stoker/jobs/pack"
	"stoker/scenarios/library"
)

// Every shipped scenario must parse, and fit the shipped packs.
func TestShippedScenariosAreRight(t *testing.T) {
	names := library.Names()
	if len(names) == 0 {
		t.Fatal("no scenario is shipped")
	}
	for _, name := range names {
		s, err := library.Find(name)
		if err != nil {
			t.Errorf("%s:\n%v", name, err)
			continue
		}
		if err := s.Check(pack.Library{}); err != nil {
			t.Errorf("%s:\n%v", name, err)
		}
		if s.Name != name {
			t.Errorf("%s.yaml is called %s inside", name, s.Name)
		}
		if s.Description == "" {
			t.Errorf("%s does not say what it does", name)
		}
	}
}
