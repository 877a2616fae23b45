//go:build cgo

package nvml

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheTestLibraryIsWhole: testdata/nvml.c has every function that is looked
// up, so that tests can take each away.
func TestTheTestLibraryIsWhole(t *testing.T) {
	source, err := os.ReadFile(filepath.Join("testdata", "nvml.c"))
	if err != nil {
		t.Fatal(err)
	}
	known := beside()
	for c := range callCount {
		known = append(known, c.symbols())
	}
	for _, versions := range known {
		for _, s := range versions {
			if !strings.Contains(string(source), "\nAPI "+s+"(") {
				t.Errorf("testdata/nvml.c has no %s", s)
			}
		}
	}
}
