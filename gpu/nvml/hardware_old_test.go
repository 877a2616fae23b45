//go:build cgo

package nvml_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"stoker/gpu"
	"stoker/gpu/nvml"
)

// oldLibrary is a driver's library that has few functions: the real go-nvml
// on top of it ends the process at the first call of one that is missing.
const oldLibrary = `
#include <string.h>
typedef struct { char legacy[16]; unsigned domain, bus, device, id, sub; char bus_id[32]; } pci_t;
typedef struct { unsigned gpu, memory; } util_t;
int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **d) { static int devices[2]; *d = &devices[i]; return 0; }
int nvmlDeviceGetUUID(void *d, char *s, unsigned n) { strncpy(s, "GPU-old", n); return 0; }
int nvmlDeviceGetName(void *d, char *s, unsigned n) { strncpy(s, "Old GPU", n); return 0; }
int nvmlDeviceGetPciInfo_v3(void *d, pci_t *p) { memset(p, 0, sizeof *p); p->bus = 0x1b; strcpy(p->bus_id, "00000000:1B:00.0"); return 0; }
int nvmlDeviceGetUtilizationRates(void *d, util_t *u) { u->gpu = 42; u->memory = 7; return 0; }
int nvmlDeviceGetFanSpeed(void *d, unsigned *s) { return 3; }
int nvmlDeviceGetTemperature(void *d, int sensor, unsigned *t) { return 999; }
`

// TestAnOldLibrary runs itself again with that library in the path.
func TestAnOldLibrary(t *testing.T) {
	if os.Getenv("NVML_TEST_OLD") != "" {
		readOldLibrary(t)
		return
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "old.c")
	if err := os.WriteFile(source, []byte(oldLibrary), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-o", filepath.Join(dir, "libnvidia-ml.so.1"), source).CombinedOutput(); err != nil {
		t.Skipf("needs gcc: %v\n%s", err, out)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestAnOldLibrary$")
	cmd.Env = append(os.Environ(), "NVML_TEST_OLD=1", "LD_LIBRARY_PATH="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func readOldLibrary(t *testing.T) {
	lib, err := nvml.Load()
	if err != nil {
		t.Fatal(err)
	}
	r, err := nvml.Open(lib, "n1")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 { // PCIe is measured from the second on
		b, err := r.Read(time.Unix(int64(100+2*i), 0))
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Samples) != 2 || b.Devices[0].UUID != "GPU-old" || b.Devices[0].PCI != "0000:1b:00.0" {
			t.Fatalf("batch %+v", b)
		}
		s := b.Samples[0]
		if s.UtilPercent == nil || *s.UtilPercent != 42 || s.PowerWatts != nil || s.FanPercent != nil || s.TempCelsius != nil || s.Health.Verdict != gpu.VerdictOK {
			t.Errorf("sample %+v", s)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
