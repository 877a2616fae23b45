//go:build cgo && nvml_hw

package nvml_test

import (
	"errors"
	"testing"
	"time"

	"stoker/gpu/nvml"
)

// TestHardware runs where GPUs are: go test -tags nvml_hw ./gpu/nvml
func TestHardware(t *testing.T) {
	lib, err := nvml.Load()
	if errors.Is(err, nvml.ErrNoDriver) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := nvml.Open(lib, "here")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 3 {
		start := time.Now()
		b, err := r.Read(start)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("driver %s, CUDA %s, read in %s", b.Driver, b.CUDA, time.Since(start))
		if len(b.Devices) == 0 || len(b.Samples) != len(b.Devices) {
			t.Fatalf("%d devices, %d samples", len(b.Devices), len(b.Samples))
		}
		for i, s := range b.Samples {
			t.Logf("%+v", b.Devices[i])
			t.Logf("%+v", s)
			if s.TempCelsius == nil || *s.TempCelsius < 1 || *s.TempCelsius > 110 {
				t.Error("the temperature is not plausible")
			}
			if s.MemoryUsedBytes == nil || *s.MemoryUsedBytes > b.Devices[i].MemoryBytes {
				t.Error("the memory is not plausible")
			}
		}
		time.Sleep(1100 * time.Millisecond) // so that PCI Express has its turn
	}
}
