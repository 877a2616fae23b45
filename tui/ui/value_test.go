package ui

import (
	"math"
	"testing"
	"time"
)

func noon() time.Time { return time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC) }

func TestValue(t *testing.T) {
	for _, tt := range []struct {
		column string
		value  any
		want   string
	}{
		{"node", nil, "–"},
		{"util_percent", nil, "–"},
		{"util_percent", 0.0, "0 %"},
		{"util_percent", 96.6, "97 %"},
		{"power_watts", 699.5, "700 W"},
		{"temperature_celsius", 64.2, "64 °C"},
		{"sm_clock_mhz", 1980.0, "1980"},
		{"error_ratio", 0.0125, "1.2 %"},
		{"latency_p95_seconds", 0.0042, "4.2 ms"},
		{"latency_p95_seconds", 1.5, "1.50 s"},
		{"requests_per_second", 19.96, "20.0"},
		{"memory_used_bytes", uint64(85_899_345_920), "80.0 GiB"},
		{"memory_used_bytes", uint64(0), "0.0 GiB"},
		{"host_memory_bytes", uint64(15 << 20), "15.0 MiB"},
		{"ecc_corrected", uint64(3), "3"},
		{"loss", 0.123456, "0.1235"},
		{"step", 1200.0, "1200"},
		{"loss", math.NaN(), "NaN"},
		{"gpus", 8, "8"},
		{"eligible", true, "yes"},
		{"eligible", false, "no"},
		{"submitted", noon().Add(-90 * time.Minute), "1h"},
		{"submitted", time.Time{}, "–"},
		{"state", "held", "held"},
	} {
		if got := Value(tt.column, tt.value, noon()); got != tt.want {
			t.Errorf("%s of %v: got %q, want %q", tt.column, tt.value, got, tt.want)
		}
	}
}
