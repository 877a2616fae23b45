package ui

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Value writes a value of a row of facts for a person, unknown as "–". The unit
// follows from the column's name; times are ages. The text is as the value was:
// Clean it before it is drawn.
func Value(name string, v any, now time.Time) string {
	switch v := v.(type) {
	case nil:
		return None
	case string:
		return v
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case time.Time:
		return Age(v, now)
	case uint64:
		switch {
		case !strings.HasSuffix(name, "_bytes"):
		case v > 0 && v < 1<<30/10: // as GiB it would read as nothing
			return Bytes(v)
		default:
			return fmt.Sprintf("%.1f GiB", float64(v)/(1<<30))
		}
		return fmt.Sprint(v)
	case float64:
		return number(name, v)
	}
	return fmt.Sprint(v)
}

func number(name string, v float64) string {
	unit := func(suffix string) bool { return strings.HasSuffix(name, suffix) }
	switch {
	case unit("_percent"):
		return fmt.Sprintf("%.0f %%", v)
	case unit("_watts"):
		return Watts(&v)
	case unit("_celsius"):
		return fmt.Sprintf("%.0f °C", v)
	case unit("_mhz"):
		return fmt.Sprintf("%.0f", v)
	case unit("_ratio"):
		return fmt.Sprintf("%.1f %%", 100*v)
	case unit("_joules"):
		return Energy(&v)
	case unit("_gpu_seconds"):
		return GPUHours(&v)
	case unit("_seconds") && v < 1:
		return fmt.Sprintf("%.1f ms", 1000*v)
	case unit("_seconds"):
		return fmt.Sprintf("%.2f s", v)
	case unit("_per_second"):
		return fmt.Sprintf("%.1f", v)
	case v == math.Trunc(v) && math.Abs(v) < 1e15:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.4f", v)
}

// IsNumber says of a value of a row of facts that it is a number or an age:
// these stand on the right.
func IsNumber(v any) bool {
	switch v.(type) {
	case int, uint64, float64, time.Time:
		return true
	}
	return false
}
