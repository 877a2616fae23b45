package main

import (
	"encoding/json"
	"strconv"
	"time"

	"stoker/gpu"
	"stoker/gpu/stream"
)

// encoded are the parts of a device's sample that seldom change, as JSON. A
// thousand nodes send eight samples a second each: encoding them whole by
// reflection would cost more than everything else that this program does.
type encoded struct {
	health    []byte
	processes []byte // nil when there are none
	detail    []byte
}

func toJSON(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		return []byte("null") // none of these types can fail
	}
	return out
}

// encodeKey makes the line with the whole reading, without details for who wants
// none. The details are those that the next deltas tell too.
func (n *node) encodeKey(seq uint64, plain bool, events []gpu.Event) []byte {
	b := n.batch(events)
	if plain {
		b = stream.Plain(b)
	} else {
		for _, d := range n.gpus {
			d.json.detail = toJSON(&d.detail)
		}
	}
	line, err := stream.MarshalFrame(stream.Key(seq, b))
	if err != nil {
		return nil // it cannot fail
	}
	return line
}

// encodeDelta makes a line that says what package stream's would of a delta with
// all samples: with that, a test compares it.
func (n *node) encodeDelta(seq uint64, now time.Time, details bool, events []gpu.Event) []byte {
	at := toJSON(now)
	b := make([]byte, 0, 8<<10)
	b = append(b, `{"kind":"`...)
	b = append(b, stream.KindDelta...)
	b = append(b, `","seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"at":`...)
	b = append(b, at...)
	b = append(b, `,"samples":[`...)
	for i, d := range n.gpus {
		if i > 0 {
			b = append(b, ',')
		}
		b = d.encodeSample(b, at, details)
	}
	b = append(b, ']')
	if !details {
		b = append(b, `,"same_detail":true`...)
	}
	if len(events) > 0 {
		b = append(append(b, `,"events":`...), toJSON(events)...)
	}
	return append(b, "}\n"...)
}

func (d *device) encodeSample(b, at []byte, details bool) []byte {
	v := &d.now
	number := func(name string, x float64) {
		b = append(append(append(b, `,"`...), name...), `":`...)
		b = strconv.AppendFloat(b, x, 'f', -1, 64)
	}
	b = append(append(append(b, `{"uuid":"`...), d.device.UUID...), `","at":`...)
	b = append(b, at...)
	if d.faults[faultLost] {
		return append(append(append(b, `,"health":`...), d.json.health...), '}')
	}
	number("util_percent", v.util)
	number("memory_util_percent", v.memUtil)
	number("memory_used_bytes", float64(v.used))
	number("power_watts", v.power)
	number("power_limit_watts", v.limit)
	number("energy_joules", v.energy)
	number("temperature_celsius", v.temp)
	number("sm_clock_mhz", v.sm)
	number("mem_clock_mhz", v.mem)
	number("pstate", float64(v.pstate))
	b = append(b, `,"encoder_percent":0,"decoder_percent":0`...)
	number("pcie_tx_bytes_per_second", v.tx)
	number("pcie_rx_bytes_per_second", v.rx)
	number("ecc_corrected", float64(v.corrected))
	number("ecc_uncorrected", float64(v.uncorrected))
	b = append(b, `,"row_remap_pending":false,"row_remap_failure":false,"throttle":[`...)
	for i, reason := range d.sample.Throttle {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendQuote(b, reason)
	}
	b = append(append(b, `],"health":`...), d.json.health...)
	if d.json.processes != nil {
		b = append(append(b, `,"processes":`...), d.json.processes...)
	}
	if details {
		b = append(append(b, `,"detail":`...), d.json.detail...)
	}
	return append(b, '}')
}
