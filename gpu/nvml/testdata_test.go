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
	for c := range callCount {
		for _, s := range c.symbols() {
			if !strings.Contains(string(source), "\nAPI "+s+"(") {
				t.Errorf("testdata/nvml.c has no %s", s)
			}
		}
	}
}
