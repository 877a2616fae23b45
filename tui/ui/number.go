package ui

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// None stands for a number that nobody reported. It is never 0.
const None = "–"

// Num formats a number with so many decimals and a unit; nil is "–".
func Num(v *float64, decimals int, unit string) string {
	if v == nil {
		return None
	}
	s := Group(strconv.FormatFloat(*v, 'f', decimals, 64))
	if unit == "" {
		return s
	}
	return s + " " + unit
}

// Percent is "53 %".
func Percent(v *float64) string { return Num(v, 0, "%") }

// Ratio is a share of 1 as percent with so many decimals.
func Ratio(v *float64, decimals int) string {
	if v == nil {
		return None
	}
	p := 100 * *v
	return Num(&p, decimals, "%")
}

// Celsius is "83 °C".
func Celsius(v *float64) string { return Num(v, 0, "°C") }

// Watts is "312 W", or "4.1 kW" from a thousand on, and "112 kW" where decimals say nothing.
func Watts(v *float64) string {
	if v == nil {
		return None
	}
	if *v >= 1000 {
		k := *v / 1000
		if k >= 99.95 {
			return Num(&k, 0, "kW")
		}
		return Num(&k, 1, "kW")
	}
	return Num(v, 0, "W")
}

// Energy is "812 Wh", or "4.1 kWh" from a thousand on: joules as people pay for them.
func Energy(joules *float64) string {
	if joules == nil {
		return None
	}
	switch wh := *joules / 3600; {
	case wh >= 1e6:
		wh /= 1e6
		return Num(&wh, 1, "MWh")
	case wh >= 1000:
		wh /= 1000
		return Num(&wh, 1, "kWh")
	case wh < 10:
		return Num(&wh, 1, "Wh")
	default:
		return Num(&wh, 0, "Wh")
	}
}

// GPUHours is a time on GPUs, "12.3 h": two of them for an hour are two.
func GPUHours(seconds *float64) string {
	if seconds == nil {
		return None
	}
	h := *seconds / 3600
	if h < 10 {
		return Num(&h, 2, "h")
	}
	return Num(&h, 1, "h")
}

// Group puts commas between thousands of a decimal number.
func Group(s string) string {
	whole, frac, _ := strings.Cut(s, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if frac != "" {
		whole += "." + frac
	}
	return sign + whole
}

// Int is an integer with commas.
func Int(n int) string { return Group(strconv.Itoa(n)) }

// Count is "1 GPU", "2 GPUs", "1,504 GPUs".
func Count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return Int(n) + " " + word + "s"
}

const kib = 1024

// Bytes is a size in binary units: "512 B", "71.2 GiB". From a hundred on
// decimals say nothing.
func Bytes(n uint64) string {
	if n < kib {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), 0
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	for v >= kib && unit < len(units)-1 {
		v /= kib
		unit++
	}
	decimals := 1
	if v >= 99.95 {
		decimals = 0
	}
	return Num(&v, decimals, units[unit])
}

// BytesOf is Bytes for a number that may be unknown.
func BytesOf(n *uint64) string {
	if n == nil {
		return None
	}
	return Bytes(*n)
}

// GiB is a size in whole GiB without its unit, for "812 of 1,504 GiB".
func GiB(n uint64) string { return Int(int((n + 1<<29) >> 30)) }

// Age says how long ago t was, in its largest unit: "4s", "12m", "3h", "2d". A
// zero time is "–", and the future is "now": clocks of two machines differ.
func Age(t, now time.Time) string {
	if t.IsZero() {
		return None
	}
	return Dur(now.Sub(t))
}

// Dur is a duration in its largest unit.
func Dur(d time.Duration) string {
	switch {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d/time.Hour))
	}
	return fmt.Sprintf("%dd", int(d/(24*time.Hour)))
}

// Ago is Age in a sentence: "4m ago", "now", "never".
func Ago(t, now time.Time) string {
	switch age := Age(t, now); age {
	case None:
		return "never"
	case "now":
		return age
	default:
		return age + " ago"
	}
}

// Long is a duration in its two largest units, for details: "2d 4h", "4m 12s".
func Long(d time.Duration) string {
	switch {
	case d < time.Minute:
		return Dur(d)
	case d < time.Hour:
		return fmt.Sprintf("%dm %ds", int(d/time.Minute), int(d%time.Minute/time.Second))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh %dm", int(d/time.Hour), int(d%time.Hour/time.Minute))
	}
	return fmt.Sprintf("%dd %dh", int(d/(24*time.Hour)), int(d%(24*time.Hour)/time.Hour))
}
