package sim

import (
	"math"
	"testing"
	"time"

	"stoker/gpu/sim/load"
)

func mustProfile(t *testing.T, name string) profile {
	t.Helper()
	p, err := profileOf(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func busy(util float64) []load.Report { return []load.Report{{PID: 1, UtilPercent: util}} }

func TestModelSettles(t *testing.T) {
	for name, c := range map[string]struct {
		profile string
		reports []load.Report
		faults  []Fault
		watts   [2]float64 // from, to
		tempC   [2]float64
		smMHz   [2]float64
		hot     bool
	}{
		"h100 idle":           {H100, nil, nil, [2]float64{70, 70}, [2]float64{30, 32}, [2]float64{345, 345}, false},
		"h100 half":           {H100, busy(50), nil, [2]float64{370, 390}, [2]float64{47, 50}, [2]float64{1980, 1980}, false},
		"h100 full":           {H100, busy(100), nil, [2]float64{680, 700}, [2]float64{64, 68}, [2]float64{1800, 1900}, false},
		"a100 full":           {A100, busy(100), nil, [2]float64{385, 400}, [2]float64{64, 68}, [2]float64{1250, 1350}, false},
		"l40s idle":           {L40S, nil, nil, [2]float64{35, 35}, [2]float64{30, 32}, [2]float64{210, 210}, false},
		"more than all of it": {H100, append(busy(80), busy(80)...), nil, [2]float64{680, 700}, [2]float64{64, 68}, [2]float64{1800, 1900}, false},
		"no cooling, idle":    {H100, nil, []Fault{{Kind: FaultThermal}}, [2]float64{70, 70}, [2]float64{92, 100}, [2]float64{345, 345}, true},
		"no cooling, full":    {H100, busy(100), []Fault{{Kind: FaultThermal}}, [2]float64{200, 400}, [2]float64{92, 115}, [2]float64{500, 700}, true},
	} {
		t.Run(name, func(t *testing.T) {
			_, r := mustProfile(t, c.profile).step(thermal{TempC: ambientC, Faults: c.faults}, work{whole: c.reports}, time.Hour)
			for what, v := range map[string]struct {
				got  float64
				want [2]float64
			}{"watts": {r.watts, c.watts}, "temperature": {r.tempC, c.tempC}, "clock": {r.smMHz, c.smMHz}} {
				if v.got < v.want[0] || v.got > v.want[1] {
					t.Errorf("%s = %.1f, want %v", what, v.got, v.want)
				}
			}
			if r.swThermal != c.hot || r.hwThermal != c.hot {
				t.Errorf("thermal slowdown = %v and %v, want %v", r.swThermal, r.hwThermal, c.hot)
			}
		})
	}
}

func TestTemperatureHasInertia(t *testing.T) {
	p := mustProfile(t, H100)
	_, soon := p.step(thermal{TempC: 31}, work{whole: busy(100)}, time.Second)
	if soon.tempC < 32 || soon.tempC > 35 || soon.watts < 680 {
		t.Errorf("after a second under load: %.1f C at %.0f W, want a little warmer at full power", soon.tempC, soon.watts)
	}
}

// Whoever reads more often must not make a GPU warmer.
func TestHowOftenItIsReadDoesNotMatter(t *testing.T) {
	p := mustProfile(t, H100)
	for name, faults := range map[string][]Fault{"cooled": nil, "no cooling": {{Kind: FaultThermal}}} {
		t.Run(name, func(t *testing.T) {
			start := thermal{TempC: ambientC, Faults: faults}
			once, _ := p.step(start, work{whole: busy(90)}, time.Minute)
			often := start
			for range 600 {
				often, _ = p.step(often, work{whole: busy(90)}, 100*time.Millisecond)
			}
			if math.Abs(once.TempC-often.TempC) > 0.5 || math.Abs(once.EnergyJoules/often.EnergyJoules-1) > 0.01 {
				t.Errorf("once: %.2f C %.0f J; often: %.2f C %.0f J", once.TempC, once.EnergyJoules, often.TempC, often.EnergyJoules)
			}
		})
	}
}
