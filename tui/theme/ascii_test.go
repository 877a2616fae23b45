package theme

import "testing"

// TestPlain: own signs become like ones, what is in names from elsewhere a ? for each cell.
func TestPlain(t *testing.T) {
	plain := Plain()
	for in, want := range map[string]string{
		"gpu-a":                 "gpu-a",
		"– 81 °C …":             "- 81  C ~",
		"knoten-größe":          "knoten-gr??e",
		"e\u0301t\u00e9":        "et?",
		"日本 node":               "???? node",
		"\x1b[31mжук\x1b[0m 3":  "\x1b[31m???\x1b[0m 3",
		"\x1b[1m\u0301x\x1b[0m": "\x1b[1mx\x1b[0m",
		"한국":                    "????",
		"a\ufffdb":              "a?b",
	} {
		if got := plain(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
