package facts

import "testing"

func TestNearest(t *testing.T) {
	names := []string{"replicas", "digest", "gpus", "pool"}
	for typo, want := range map[string]string{
		"replcas": "replicas", "relpicas": "replicas", "digets": "digest", "gpsu": "gpus", "gpu": "gpus", "gpus": "gpus",
		"memory": "", "": "", "g": "", "foo": "", "gals": "",
	} {
		if got := Nearest(typo, names); got != want {
			t.Errorf("%q: got %q, want %q", typo, got, want)
		}
	}
	if got := Nearest("gpsu", []string{"gps", "gpus"}); got != "gps" { // of two as near, the first
		t.Errorf("got %q", got)
	}
	if got := Nearest("ab", nil); got != "" {
		t.Errorf("got %q from nothing", got)
	}
}
